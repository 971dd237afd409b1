"""Rows with verifiers -> what guesses are tried on. Pure; nothing here is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from console.model.guessing import Stored
from console.model.verifiers import parse

_Auth = dict[str, Any]


def stored(rows: Iterable[Mapping[str, Any]]) -> tuple[Stored, ...]:
    """One for each way in: MySQL keeps an older password beside, MariaDB several plugins."""
    return tuple(one for row in rows for one in _of(row))


def _of(row: Mapping[str, Any]) -> list[Stored]:
    if "priv" in row:
        return _of_mariadb(row)
    found = [_one(row, row["plugin"] or "", row["verifier"] or "")]
    if row["older"]:
        found.append(_one(row, row["plugin"], row["older"], "its older password"))
    return found


def _of_mariadb(row: Mapping[str, Any]) -> list[Stored]:
    priv: _Auth = msgspec.json.decode(row["priv"])
    if priv.get("is_role"):
        return []
    ways = [priv, *(one for one in priv.get("auth_or", ()) if one)]
    return [_one(row, one.get("plugin", ""), one.get("authentication_string", "")) for one in ways]


def _one(row: Mapping[str, Any], plugin: str, text: str, which: str = "") -> Stored:
    return Stored(
        name=row["name"], host=row["host"], verifier=parse(text, plugin, user=row["name"]), which=which
    )
