"""What a ledger holds of break-glass: when it had no table, who said so, who has looked at it. Pure.

A bracket is the rows of one writer that had a journal and no table: `open`, `breakglass` begin, what was
done, `breakglass` end. A person with another login than those it came by appends `breakglass` review.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec

from console.audit.record import Entry, Kind, from_iso

STAMP: Final = "offline_at"  # in every body of such a writer: when, by its machine's clock


class Event(StrEnum):
    BEGIN = "begin"
    END = "end"
    REVIEW = "review"


class Bracket(msgspec.Struct, frozen=True, kw_only=True):
    """Times are those of the machine that had no ledger, but `merged_at`, which is the ledger's. `rows` is
    None where it has no end: its writer died, or the end of its journal was cut off. `logins`: by which it
    came here. `reviewed_by` None: nobody else has.
    """

    writer: UUID
    began_at: datetime | None
    until: datetime | None
    target: str
    operator: str
    login: str
    reason: str
    unreachable: str
    merged_at: datetime
    logins: frozenset[str]
    ended_at: datetime | None = None
    rows: int | None = None
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None
    review: str = ""

    @property
    def people(self) -> frozenset[str]:
        """Who cannot review it."""
        return self.logins | {self.login}


def brackets(rows: Iterable[Entry]) -> tuple[Bracket, ...]:
    """Of the rows of the kind `breakglass`, ids ascending; others are passed over."""
    found: dict[UUID, Bracket] = {}
    for entry in rows:
        if entry.kind != Kind.BREAKGLASS:
            continue
        body = fields(entry.body)
        event = body.get("event")
        known = found.get(entry.action_id)
        if event == Event.BEGIN and entry.action_id == entry.writer and known is None:
            found[entry.writer] = _begun(entry, body)
        elif known is None:
            continue
        elif event == Event.END and entry.writer == known.writer:
            found[known.writer] = _ended(known, entry, body)
        elif event == Event.REVIEW and known.reviewed_by is None and _may(known, entry):
            found[known.writer] = _reviewed(known, entry, body)
    return tuple(found.values())


def unreviewed(found: Iterable[Bracket]) -> tuple[Bracket, ...]:
    return tuple(one for one in found if one.reviewed_by is None)


def person_of(entry: Entry) -> str:
    """Whose row it is, by what a server verified: the login of MySQL has its address with it."""
    return entry.db_user.removesuffix(f"@{entry.peer}")


def fields(body: str | None) -> dict[str, object]:
    """Of a stored body; empty for one that is redacted or damaged."""
    try:
        value = json.loads(body or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def event_of(kind: str, body: str | None) -> str:
    return str(fields(body).get("event")) if kind == Kind.BREAKGLASS else ""


def _may(known: Bracket, entry: Entry) -> bool:
    """As the ledger's server has seen to: a row that came by it otherwise counts for nothing."""
    return entry.writer != known.writer and person_of(entry) not in known.people


def _begun(entry: Entry, body: dict[str, object]) -> Bracket:
    def said(name: str) -> str:
        return str(body.get(name) or "")

    return Bracket(
        writer=entry.writer,
        began_at=_time(body.get(STAMP)),
        until=_time(body.get("until")),
        target=said("target"),
        operator=said("operator"),
        login=said("login"),
        reason=said("reason"),
        unreachable=said("unreachable"),
        merged_at=entry.at,
        logins=frozenset({person_of(entry)}),
    )


def _ended(known: Bracket, entry: Entry, body: dict[str, object]) -> Bracket:
    return msgspec.structs.replace(
        known,
        ended_at=_time(body.get(STAMP)),
        rows=entry.seq,
        merged_at=entry.at,
        logins=known.logins | {person_of(entry)},
    )


def _reviewed(known: Bracket, entry: Entry, body: dict[str, object]) -> Bracket:
    return msgspec.structs.replace(
        known, reviewed_by=person_of(entry), reviewed_at=entry.at, review=str(body.get("reason") or "")
    )


def _time(value: object) -> datetime | None:
    try:
        return from_iso(str(value))
    except ValueError:
        return None
