r"""`.pgpass`: which line answers for an account, and a password put into its lines. Pure.

PostgreSQL manual 34.16, "The Password File", and passwordFromFile in fe-connect.c: five fields between `:`,
of which `\` escapes itself and `:`; `*` alone is any; the first line that fits answers.
"""

from __future__ import annotations

import hmac
import re
from typing import NamedTuple

from console.errors import UsageError

ANY = "*"


class Key(NamedTuple):
    """Whom lines are for: those of `user` on this server, for one database or, `*`, for each."""

    host: str
    port: str
    database: str
    user: str


class _Line(NamedTuple):
    """`start` is where the password begins in `raw`. Fields are None in a line that is no entry."""

    raw: str
    key: Key | None
    start: int = 0
    password: str = ""


def keys(text: str) -> tuple[Key, ...]:
    """Of all lines that are entries, in their order."""
    return tuple(one.key for one in _lines(text) if one.key is not None)


def count(text: str, key: Key) -> int:
    """How many lines are the key's own."""
    return sum(_ours(one, key) for one in _lines(text))


def fault(text: str, key: Key, password: str) -> str:
    """Why a client would not get this password for the key; empty where it does."""
    lines = list(enumerate(_lines(text), 1))
    own = [number for number, line in lines if _ours(line, key)]
    if not own:
        return "there is no line of it"
    for number, line in lines:
        if line.key is None or hmac.compare_digest(line.password.encode(), password.encode()):
            continue
        if _ours(line, key):
            return f"line {number} has another password"
        if number < own[0] and _overlaps(line.key, key):
            return f"line {number} answers first and has another password; it is not this hook's to change"
    return ""


def with_password(text: str, key: Key, password: str) -> str:
    """Its own lines with the password; every other line stays as it is. Where there is none, one is put in
    front of the first that would answer in its place. Raises UsageError for what no line can hold.
    """
    if any(char in password for char in "\n\r\0"):
        raise UsageError("a .pgpass cannot hold a password with a line end; the file is as it was")
    lines = _lines(text)
    written = escaped(password)
    if any(_ours(line, key) for line in lines):
        return "".join(_again(line, written) if _ours(line, key) else line.raw for line in lines)
    own = ":".join([*(escaped(field) if field != ANY else ANY for field in key), written]) + "\n"
    raw = [line.raw for line in lines]
    place = next((n for n, line in enumerate(lines) if line.key and _overlaps(line.key, key)), len(lines))
    if place and not raw[place - 1].endswith("\n"):
        raw[place - 1] += "\n"
    return "".join([*raw[:place], own, *raw[place:]])


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:")


def _ours(line: _Line, key: Key) -> bool:
    if line.key is None:
        return False
    same = (line.key.host, line.key.port, line.key.user) == (key.host, key.port, key.user)
    return same and key.database in (ANY, line.key.database)


def _overlaps(one: Key, other: Key) -> bool:
    """Whether both fit some connection."""
    return all(a == b or ANY in (a, b) for a, b in zip(one, other, strict=True))


def _again(line: _Line, written: str) -> str:
    end = line.raw[len(line.raw.rstrip("\r\n")) :]
    return line.raw[: line.start] + written + end


def _lines(text: str) -> list[_Line]:
    return [_line(raw) for raw in re.findall(r"[^\n]*\n|[^\n]+", text)]


_FIELD = re.compile(r"((?:\\.|[^\\:])*):")


def _line(raw: str) -> _Line:
    """An entry has four fields and a password; anything else answers for nobody."""
    start = 0
    fields: list[str] = []
    while len(fields) < 4 and not raw.startswith("#"):
        found = _FIELD.match(raw, start)
        if found is None:
            break
        fields.append(_plain(found[1]))
        start = found.end()
    if len(fields) < 4:
        return _Line(raw, None)
    return _Line(raw, Key(*fields), start, _plain(raw[start:].rstrip("\r\n")))


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
