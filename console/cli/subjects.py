"""What `show` can show: how each subject is read, and its rows, lines and words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from console.engine.port import Engine
from console.present import deadlocks, horizon, locks, sessions, transactions
from console.present.table import Column, Line


def _nothing(_: Any) -> dict[str, Any]:
    return {}


def _no_notes(_: Any) -> Iterable[str]:
    return ()


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """`beside` are fields of the document next to its rows; `notes` say on stderr what could not be seen."""

    read: Callable[[Engine], Awaitable[Any]]
    rows: Callable[[Any], list[dict[str, Any]]]
    columns: tuple[Column, ...]
    lines: Callable[[Any], list[Line]]
    empty: str
    beside: Callable[[Any], dict[str, Any]] = _nothing
    notes: Callable[[Any], Iterable[str]] = _no_notes
    summary: Callable[[Any], str] | None = None


SUBJECTS = {
    "locks": Subject(
        read=lambda engine: engine.locks(),
        rows=locks.document,
        columns=locks.COLUMNS,
        lines=locks.lines,
        empty="no session waits for a lock",
        notes=locks.notes,
    ),
    "sessions": Subject(
        read=lambda engine: engine.sessions(),
        rows=sessions.document,
        columns=sessions.COLUMNS,
        lines=sessions.lines,
        empty="no sessions",
    ),
    "deadlocks": Subject(
        read=lambda engine: engine.deadlocks(),
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
        rows=transactions.document,
        columns=transactions.COLUMNS,
        lines=transactions.lines,
        empty="no transaction is open",
        summary=transactions.summary,
    ),
    "horizon": Subject(
        read=lambda engine: engine.horizon(),
        rows=horizon.document,
        columns=horizon.COLUMNS,
        lines=horizon.lines,
        empty="nothing holds cleanup back",
        beside=horizon.beside,
        notes=horizon.notes,
        summary=horizon.summary,
    ),
}
