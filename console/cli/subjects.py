"""What `show` can show: how each subject is read, and its rows, lines and words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from console.engine.port import Engine
from console.model.blocking import LockNode
from console.model.deadlocks import Deadlock, DeadlockHistory
from console.model.horizon import Holder, HolderKind, Horizon
from console.model.sessions import Session
from console.model.transactions import OpenTransaction
from console.present import deadlocks, horizon, locks, sessions, transactions
from console.present.table import Column, Line


def _nothing(_: Any) -> dict[str, Any]:
    return {}


def _no_notes(_: Any) -> Iterable[str]:
    return ()


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """`beside` are fields of the document next to its rows; `notes` say on stderr what could not be seen.
    `one` is a reading with one row, to tell the fields where there are no rows.
    """

    read: Callable[[Engine], Awaitable[Any]]
    one: Any
    rows: Callable[[Any], list[dict[str, Any]]]
    columns: tuple[Column, ...]
    lines: Callable[[Any], list[Line]]
    empty: str
    beside: Callable[[Any], dict[str, Any]] = _nothing
    notes: Callable[[Any], Iterable[str]] = _no_notes
    summary: Callable[[Any], str] | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(self.rows(self.one)[0])


_NOBODY = Session(id=0, started_at=None)
_NEVER = datetime.fromtimestamp(0, UTC)

SUBJECTS = {
    "locks": Subject(
        read=lambda engine: engine.locks(),
        one=(LockNode(session=_NOBODY),),
        rows=locks.document,
        columns=locks.COLUMNS,
        lines=locks.lines,
        empty="no session waits for a lock",
        notes=locks.notes,
    ),
    "sessions": Subject(
        read=lambda engine: engine.sessions(),
        one=(_NOBODY,),
        rows=sessions.document,
        columns=sessions.COLUMNS,
        lines=sessions.lines,
        empty="no sessions",
    ),
    "deadlocks": Subject(
        read=lambda engine: engine.deadlocks(),
        one=DeadlockHistory(deadlocks=(Deadlock(at=_NEVER, source="", ident=""),)),
        rows=deadlocks.document,
        columns=deadlocks.COLUMNS,
        lines=deadlocks.lines,
        empty="no deadlock is known",
        beside=deadlocks.beside,
        notes=deadlocks.notes,
        summary=deadlocks.summary,
    ),
    "transactions": Subject(
        read=lambda engine: engine.transactions(),
        one=(OpenTransaction(session=_NOBODY),),
        rows=transactions.document,
        columns=transactions.COLUMNS,
        lines=transactions.lines,
        empty="no transaction is open",
        summary=transactions.summary,
    ),
    "horizon": Subject(
        read=lambda engine: engine.horizon(),
        one=Horizon(holders=(Holder(kind=HolderKind.TRANSACTION, name=""),)),
        rows=horizon.document,
        columns=horizon.COLUMNS,
        lines=horizon.lines,
        empty="nothing holds cleanup back",
        beside=horizon.beside,
        notes=horizon.notes,
        summary=horizon.summary,
    ),
}
