"""Runs in the ledger: events as rows and back, which runs there are, and following one of somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from console.audit.ledger import Ledger
from console.audit.record import Entry, Kind
from console.audit.verify import fields
from console.errors import UsageError
from console.runbook.document import Document
from console.runbook.events import Event, Remarked, Started, decode, encode
from console.runbook.loader import parse
from console.runbook.state import Run, RunFault, Seen, advance

FOLLOW_SECONDS: Final = 1.0
MOST_RUNS: Final = 2000


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """An event as the ledger has it: when by its clock, who says to have done it, and the login it was
    written with.
    """

    id: int
    at: datetime
    event: Event
    operator: str = ""
    login: str = ""


class Apart(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the run that tells nothing of how it went: `late` (it cannot follow what was before it),
    `redacted`, or `unreadable` (of a newer dbdeck, or no event at all).
    """

    id: int
    at: datetime
    why: Literal["late", "redacted", "unreadable"]


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """A run as its rows tell. `documents` are those it began with."""

    run: Run
    events: tuple[Recorded, ...]
    apart: tuple[Apart, ...] = ()

    @property
    def documents(self) -> dict[str, Document]:
        return documents_of(self.run.started)


def documents_of(started: Started) -> dict[str, Document]:
    """Raises ConfigError where this dbdeck cannot read them."""
    return {name: parse(text, f"runbook {name}").document for name, text in started.texts.items()}


def body_of(started: Started, event: Event, by: str) -> dict[str, object]:
    """A row's body; what every row has can be read without the others."""
    return {
        "action": f"runbook {started.runbook}",
        "target": started.target,
        "operator": by or started.by,
        "reason": started.reason,
        "event": encode(event),
    }


def event_of(entry: Entry) -> Event | None:
    """None for a row that was redacted, or that a newer dbdeck wrote."""
    try:
        body: Any = fields(entry.body)
        return decode(body["event"])
    except (KeyError, TypeError, msgspec.ValidationError):
        return None


async def recall(ledger: Ledger, run: UUID) -> Recalled:
    """Raises UsageError where the ledger has no such run, AuditUnavailable, PrivilegeMissing.

    A row that came too late, from the journal of a machine that died, cannot follow any more and changes
    nothing: what it told was found out otherwise.
    """
    found: Run | None = None
    events: list[Recorded] = []
    apart: list[Apart] = []
    for entry in await ledger.entries(action_id=run, kinds=(Kind.RUN,), newest_first=False):
        event = event_of(entry)
        if event is None:
            why: Literal["redacted", "unreadable"] = "unreadable" if entry.body else "redacted"
            apart.append(Apart(id=entry.id, at=entry.at, why=why))
            continue
        try:
            found = advance(found, event, Seen(at=entry.at, person=ledger.person(entry.db_user)))
        except RunFault:
            apart.append(Apart(id=entry.id, at=entry.at, why="late"))
            continue
        events.append(_recorded(entry, event))
    if found is None:
        raise UsageError(_not_there(run, apart), "`dbdeck runbook status` lists them")
    return Recalled(run=found, events=tuple(events), apart=tuple(apart))


def _not_there(run: UUID, apart: Sequence[Apart]) -> str:
    if not apart:
        return f"the ledger has no run {run}; nothing was started"
    return f"the beginning of the run {run} is {apart[0].why} in the ledger; nothing was started"


def _recorded(entry: Entry, event: Event) -> Recorded:
    operator = str(fields(entry.body).get("operator") or "")
    return Recorded(id=entry.id, at=entry.at, event=event, operator=operator, login=entry.db_user)


async def effects(ledger: Ledger, run: UUID) -> list[Entry]:
    """Every row of the actions that are part of a run, in the order of the ledger: intents, the statements
    that were sent, outcomes, and what was found out later. Raises as `recall` does.
    """
    intents = await ledger.entries(kinds=(Kind.INTENT,), parent=run, newest_first=False)
    rows = [row for one in intents for row in await ledger.entries(action_id=one.action_id)]
    return sorted(rows, key=lambda row: row.id)


async def add(ledger: Ledger, run: Run, event: Event, by: str) -> Run:
    """Records what happens to a run beside its runner, and says what it is then. Raises RunFault for what
    cannot follow, AuditUnavailable.
    """
    advance(run, event)
    receipt = await ledger.append(Kind.RUN, UUID(run.started.run), body_of(run.started, event, by))
    return advance(run, event, Seen(at=receipt.at, person=ledger.own_person))


async def runs(ledger: Ledger, limit: int) -> list[Recalled]:
    """The newest runs, the newest first."""
    rows: Sequence[Entry] = await ledger.entries(
        limit=MOST_RUNS, kinds=(Kind.RUN,), containing='"event":"started"'
    )
    ids = list(dict.fromkeys(row.action_id for row in rows))[:limit]
    return [await recall(ledger, one) for one in ids]


async def remarks(ledger: Ledger, run: UUID) -> list[Recorded]:
    """The notes on a run, the oldest first. Raises AuditUnavailable, PrivilegeMissing."""
    rows = await ledger.entries(
        action_id=run, kinds=(Kind.RUN,), newest_first=False, containing='"event":"remarked"'
    )
    found = ((row, event_of(row)) for row in rows)
    return [
        Recorded(id=row.id, at=row.at, event=event) for row, event in found if isinstance(event, Remarked)
    ]


async def approvals(ledger: Ledger, run: UUID) -> int:
    """How many approvals the ledger has of a run, by whomever. Raises AuditUnavailable, PrivilegeMissing."""
    rows = await ledger.entries(action_id=run, kinds=(Kind.RUN,), containing='"question":"approval"')
    return len(rows)


class Recent:
    """The newest runs, kept: as long as the ledger has no further row of a run, one small read tells so."""

    def __init__(self) -> None:
        self._newest = 0
        self._runs: dict[UUID, Recalled] = {}

    async def read(self, ledger: Ledger, limit: int) -> list[Recalled]:
        """The newest first. Raises AuditUnavailable, PrivilegeMissing."""
        newest = await ledger.entries(limit=1, kinds=(Kind.RUN,))
        if newest and newest[0].id != self._newest:
            rows = await ledger.entries(limit=limit, kinds=(Kind.RUN,), containing='"event":"started"')
            ids = list(dict.fromkeys(row.action_id for row in rows))
            known = {one: self._runs[one] for one in ids if one in self._runs}
            over = {one for one, found in known.items() if found.run.ended is not None}
            self._runs = {one: known[one] if one in over else await recall(ledger, one) for one in ids}
            self._newest = newest[0].id
        return list(self._runs.values())


async def follow(
    ledger: Ledger, run: UUID, known: int, goes_on: Callable[[], Any]
) -> AsyncIterator[Recorded]:
    """What another runner records, from the row after `known` on, until the run ends or its runner is gone.

    `goes_on` is awaited between looks: whether somebody still holds the run.
    """
    while True:
        alive = await goes_on()
        recalled = await recall(ledger, run)
        for one in recalled.events:
            if one.id > known:
                known = one.id
                yield one
        if recalled.run.ended is not None or not alive:
            return
        await asyncio.sleep(FOLLOW_SECONDS)
