"""What the ledger knows of rotations: the last one of each account, and the fingerprint it left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from console.audit.ledger import Ledger
from console.audit.record import Entry, Kind, from_iso
from console.audit.verify import fields
from console.model.accounts import label
from console.model.drift import Rotated

ROTATE: Final = "credential.rotate"
_KINDS: Final = (Kind.INTENT, Kind.OUTCOME, Kind.RESOLVED)
_UNDONE: Final = ("failed", "not_applied", "no_op")
_Body = Mapping[str, Any]


async def rotation_rows(ledger: Ledger) -> list[Entry]:
    """Of all targets, oldest first; the table is passed over once. Raises AuditUnavailable,
    PrivilegeMissing for a login that may only write.
    """
    return await ledger.entries(kinds=_KINDS, newest_first=False, containing=f'"action":"{ROTATE}"')


HANDED: Final = "handed"  # in a note of a rotation: what was handed on, that no look can tell afterwards


async def noted(ledger: Ledger, rotation: str) -> frozenset[str]:
    """What the runs of a rotation noted as handed on. Raises AuditUnavailable, PrivilegeMissing."""
    rows = await ledger.entries(kinds=(Kind.NOTE,), containing=f'"rotation":"{rotation}"')
    return handed((_mapping(fields(row.body), "seen") for row in rows), rotation)


def handed(seen: Iterable[_Body], rotation: str) -> frozenset[str]:
    mine = (one for one in seen if one.get("rotation") == rotation)
    return frozenset(str(one[HANDED]) for one in mine if HANDED in one)


class _Run(msgspec.Struct, frozen=True, kw_only=True):
    """One rotation of one or several accounts; `status` None while its end is not known."""

    at: datetime
    target: str
    server: str
    accounts: tuple[tuple[str, ...], ...]  # the rows of each user
    status: str | None = None
    ended_at: datetime | None = None
    evidence: _Body = {}

    def sent_none(self, rows: tuple[str, ...]) -> bool:
        """What the run itself wrote down of an account says that its password was not touched."""
        name = " and ".join(rows)
        moves = _mapping(self.evidence, "moves").get(name)
        unsent = isinstance(moves, list) and "apply" not in moves
        return unsent or name in _mapping(self.evidence, "left_out")


def rotations(entries: Iterable[Entry], target: str, server: str) -> dict[str, Rotated]:
    """The last of each account, by its label; pure.

    Those of the target of this name, and those on this server (its system id) under another name.
    """
    found: dict[str, Rotated] = {}
    for run in _runs(entries):
        if run.target != target and run.server != server:
            continue
        for rows in run.accounts:
            for row in rows:
                latest = _latest(run, rows, row, found.get(row))
                if latest is not None:
                    found[row] = latest
    return found


def _latest(run: _Run, rows: tuple[str, ...], row: str, before: Rotated | None) -> Rotated | None:
    ended_at = run.ended_at or run.at
    marks = _mapping(run.evidence, "fingerprints")
    if row in marks:
        set_at = _time(_mapping(run.evidence, "set_at").get(row))
        seen_at = _time(_mapping(run.evidence, "same_since").get(row))
        return Rotated(
            at=set_at or seen_at or ended_at,
            fingerprint=None if marks[row] is None else str(marks[row]),
            key=str(run.evidence.get("fingerprint_key", "")),
            exact=set_at is not None,
            server=run.server,
        )
    if run.status in _UNDONE or run.sent_none(rows):
        return before
    if run.status == "applied":
        return Rotated(at=ended_at, server=run.server)
    old = before or Rotated(at=ended_at, server=run.server)
    return msgspec.structs.replace(old, unsettled=True)


def _runs(entries: Iterable[Entry]) -> list[_Run]:
    """Oldest first: of one account never two run at once. A later word on how one ended wins."""
    found: dict[UUID, _Run] = {}
    for entry in sorted(entries, key=lambda one: (one.kind != Kind.INTENT, one.id)):
        body = fields(entry.body)
        if entry.kind == Kind.INTENT and body.get("action") == ROTATE:
            found[entry.action_id] = _run(entry, body)
        elif entry.action_id in found:
            ended = {"status": str(body.get("status")), "ended_at": entry.at}
            evidence = _mapping(_mapping(body, "verify"), "evidence")
            found[entry.action_id] = msgspec.structs.replace(
                found[entry.action_id], **ended, evidence=evidence
            )
    return sorted(found.values(), key=lambda run: run.at)


def _run(entry: Entry, body: _Body) -> _Run:
    accounts = _mapping(body, "subject").get("accounts")
    aims = accounts if isinstance(accounts, list) else []
    keys = [one.get("keys") for one in aims if isinstance(one, dict)]
    left_out = _mapping(_mapping(_mapping(body, "plan"), "evidence"), "left_out")
    found = (_labels(one) for one in keys if isinstance(one, list))
    return _Run(
        at=entry.at,
        target=str(body.get("target")),
        server=str(_mapping(body, "server").get("system_id")),
        accounts=tuple(rows for rows in found if " and ".join(rows) not in left_out),
    )


def _labels(keys: Iterable[Any]) -> tuple[str, ...]:
    return tuple(label(str(name), None if host is None else str(host)) for name, host in keys)


def _mapping(body: _Body, name: str) -> _Body:
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def _time(value: object) -> datetime | None:
    try:
        return from_iso(value) if isinstance(value, str) else None
    except ValueError:
        return None
