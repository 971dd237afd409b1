"""What the ledger knows of effects: the looks that were recorded, and what was done between two of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from console.audit.ledger import Ledger
from console.audit.record import Entry, Kind
from console.audit.verify import fields
from console.model.effects import Comparison, Deed, Finding, Look, Standing

TEXT: Final = "what the server showed, for audit compare"
_VERSION: Final = 1
_AT_ONCE: Final = (1, 8, 64, 512, None)  # rows of looks, which are long: the newest is nearly always meant
_LATE: Final = 300  # rows before a look whose actions may be told of late by the server's log
_OF_ACTIONS: Final = (Kind.INTENT, Kind.STEP, Kind.OUTCOME, Kind.RESOLVED)
_Body = Mapping[str, Any]


class Kept(NamedTuple):
    """A recorded look. `above` is the ledger's newest row as it began; `at` the ledger's clock."""

    look: Look
    above: int
    at: datetime


def look_note(target: str, look: Look, above: int) -> dict[str, object]:
    """The body of a row: marks. No secret and no text of a query is in it."""
    return {
        "text": TEXT,
        "effects": _VERSION,
        "target": target,
        "look_of": _name(target, look.server),
        "above": above,
        "look": msgspec.to_builtins(look),
    }


def found_note(found: Comparison) -> dict[str, object]:
    """The body of another, which is short: what nobody declared, and what is not known."""
    told = [one for one in found.findings if one.standing is not Standing.DECLARED]
    undeclared, unclear = len(found.of(Standing.UNDECLARED)), len(found.of(Standing.UNCLEAR))
    return {
        "text": f"undeclared: {undeclared}, unclear: {unclear}",
        "effects": _VERSION,
        "effects_of": found.target,
        "target": found.target,
        "since": found.since,
        "declared": len(found.of(Standing.DECLARED)),
        "findings": [msgspec.to_builtins(one) for one in told],
        "notes": list(found.notes),
        "unknown": dict(found.unseen),
    }


def _name(target: str, server: str) -> str:
    """Of a target: the servers of one PostgreSQL cluster have one id, and settings of their own."""
    return f"{target} on {server}"


async def kept_look(ledger: Ledger, target: str, server: str, until: datetime | None = None) -> Kept | None:
    """The newest look, or the newest that was recorded by then. Raises AuditUnavailable, PrivilegeMissing."""
    named = msgspec.json.encode(_name(target, server)).decode()
    for limit in _AT_ONCE:
        entries = await ledger.entries(limit=limit, kinds=(Kind.NOTE,), containing=f'"look_of":{named}')
        for entry in entries:
            found = kept(entry)
            if found is not None and (until is None or entry.at <= until):
                return found
        if limit is None or len(entries) < limit:
            return None
    return None


def kept(entry: Entry) -> Kept | None:
    """None for another row, a redacted one, or one of a newer dbdeck."""
    body = fields(entry.body)
    if body.get("effects") != _VERSION:
        return None
    try:
        return Kept(msgspec.convert(body.get("look"), Look), int(str(body.get("above"))), entry.at)
    except (msgspec.ValidationError, ValueError):
        return None


async def newest_row(ledger: Ledger) -> int:
    """Its id; 0 of an empty ledger. Raises AuditUnavailable, PrivilegeMissing."""
    found = await ledger.entries(limit=1)
    return found[0].id if found else 0


async def deeds_since(ledger: Ledger, server: str, above: int) -> list[Deed]:
    """The actions that were at work after that row, those that still are, and the last ones before it.

    Raises as `newest_row`.
    """
    rows = [one async for one in ledger.stream(max(0, above - _LATE)) if one.kind in _OF_ACTIONS]
    begun = {one.action_id for one in rows if one.kind == Kind.INTENT}
    earlier = {one.action_id for one in rows} | {one.action_id for one in await ledger.open_intents()}
    for action in earlier - begun:
        rows = [one for one in rows if one.action_id != action]
        rows += await ledger.entries(action_id=action, kinds=_OF_ACTIONS, newest_first=False)
    return deeds(rows, server, above)


def deeds(rows: Iterable[Entry], server: str, above: int = 0) -> list[Deed]:
    """One an intent, the oldest first; pure. Those that ended by the row `above` are past."""
    by_action: dict[UUID, list[Entry]] = {}
    for row in rows:
        by_action.setdefault(row.action_id, []).append(row)
    found = []
    for of in by_action.values():
        ordered = sorted(of, key=lambda one: one.id)
        deed = _deed(ordered, server)
        if deed is not None:
            past = deed.ended_at is not None and ordered[-1].id <= above
            found.append(msgspec.structs.replace(deed, past=past))
    return sorted(found, key=lambda one: one.at)


def _deed(rows: Sequence[Entry], server: str) -> Deed | None:
    bodies = [(row, fields(row.body)) for row in rows]
    intent = next(((row, body) for row, body in bodies if row.kind == Kind.INTENT), None)
    if intent is None:
        return None
    row, body = intent
    ends = [(one, end) for one, end in bodies if one.kind in (Kind.OUTCOME, Kind.RESOLVED)]
    evidence: dict[str, Any] = {}
    for _, end in ends:
        evidence |= _mapping(_mapping(end, "verify"), "evidence")
    args = _mapping(body, "args")
    return Deed(
        id=str(row.action_id),
        action=str(body.get("action")),
        at=row.at,
        ended_at=ends[-1][0].at if ends else None,
        status=str(ends[-1][1].get("status")) if ends else None,
        operator=str(body.get("operator") or ""),
        statements=tuple(text for one, step in bodies if one.kind == Kind.STEP for text in _sent(step)),
        fingerprints=_mapping(evidence, "fingerprints"),
        key=str(evidence.get("fingerprint_key", "")),
        value=str(args["value"]) if body.get("action") == "setting.set" and "value" in args else None,
        here=_mapping(body, "server").get("system_id") == server,
    )


def _sent(step: _Body) -> list[str]:
    several = step.get("statements")
    if isinstance(several, list):
        return [str(one) for one in several]
    return [str(step["statement"])] if "statement" in step else []


def _mapping(body: _Body, name: str) -> dict[str, Any]:
    value = body.get(name)
    return value if isinstance(value, dict) else {}


# ---- what looks found -----------------------------------------------------------------------------------


class Told(NamedTuple):
    """One recorded look and what it found; `since` None was the first."""

    entry: Entry
    since: datetime | None
    declared: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    unseen: Mapping[str, str]


async def told(ledger: Ledger, target: str, limit: int) -> list[Told]:
    """The newest first. Raises as `newest_row`."""
    named = msgspec.json.encode(target).decode()
    entries = await ledger.entries(limit=limit, kinds=(Kind.NOTE,), containing=f'"effects_of":{named}')
    return [one for one in map(_told, entries) if one is not None]


def _told(entry: Entry) -> Told | None:
    """None for a redacted row, or one of a newer dbdeck."""
    body = fields(entry.body)
    if body.get("effects") != _VERSION:
        return None
    try:
        return Told(
            entry=entry,
            since=msgspec.convert(body.get("since"), datetime | None, strict=False),
            declared=int(str(body.get("declared", 0))),
            findings=msgspec.convert(body.get("findings"), tuple[Finding, ...]),
            notes=msgspec.convert(body.get("notes"), tuple[str, ...]),
            unseen=msgspec.convert(body.get("unknown"), dict[str, str]),
        )
    except (msgspec.ValidationError, ValueError):
        return None
