"""Open transactions as cells and as rows of a document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from console.model.sessions import State
from console.model.transactions import OpenTransaction
from console.present.sessions import key as session_key
from console.present.sessions import reference, state, statement, text
from console.present.table import Column, Line, Lines, Tone
from console.present.units import UNKNOWN, age, clean, count, counted

COLUMNS = (
    Column(title="session", width=8, align="right", whole=True),
    Column(title="age", width=6, align="right"),
    Column(title="state", width=10),
    Column(title="for", width=6, align="right"),
    Column(title="blocks", width=6, align="right"),
    Column(title="user", width=12, drop=3),
    Column(title="rows", width=6, align="right", drop=4),
    Column(title="locks", width=6, align="right", drop=6),
    Column(title="pins", width=6, align="right", drop=5),
    Column(title="application", width=14, drop=7),
    Column(title="statement", width=20, grow=True),
)
_IDLE = (State.IDLE_IN_TRANSACTION, State.ABORTED)


def key(one: OpenTransaction) -> str:
    return session_key(one.session)


def lines(transactions: Sequence[OpenTransaction]) -> Lines[OpenTransaction]:
    return Lines(transactions, _line)


def _line(one: OpenTransaction) -> Line:
    session = one.session
    return Line(
        key=key(one),
        cells=(
            "prepared" if one.prepared else str(session.id),
            age(session.transaction_seconds),
            state(session),
            "" if one.prepared else age(session.state_seconds),
            blocks(one),
            text(session.user),
            _figure(one.rows_modified),
            _figure(one.locks if one.locks is not None else one.rows_locked),
            _figure(one.pins),
            text(session.application),
            statement(session),
        ),
        tone=tone(one),
    )


def tone(one: OpenTransaction) -> Tone:
    if one.blocks:
        return Tone.BAD
    return Tone.WARN if one.prepared or one.session.state in _IDLE else Tone.NORMAL


def blocks(one: OpenTransaction) -> str:
    if one.blocks is None:
        return UNKNOWN
    return count(one.blocks) if one.blocks else ""


def _figure(value: int | None) -> str:
    return "" if value is None else count(value)


def summary(transactions: Sequence[OpenTransaction]) -> str:
    if not transactions:
        return "no transaction is open"
    idle = sum(1 for one in transactions if one.session.state in _IDLE)
    prepared = sum(1 for one in transactions if one.prepared)
    blocking = sum(1 for one in transactions if one.blocks)
    said = [f"{len(transactions)} open, the oldest {age(transactions[0].session.transaction_seconds)}"]
    said += [f"{number} {word}" for number, word in _counted(idle, prepared, blocking) if number]
    return ", ".join(said)


def _counted(idle: int, prepared: int, blocking: int) -> tuple[tuple[int, str], ...]:
    return (idle, "idle in transaction"), (prepared, "prepared"), (blocking, "blocking others")


def details(one: OpenTransaction) -> list[tuple[str, str]]:
    """Everything about one transaction, label and value."""
    session = one.session
    pairs = [
        ("session", "none: it is prepared" if one.prepared else f"{session.id} started {session.started_at}"),
        ("user", f"{text(session.user)} @ {text(session.client)} in {text(session.database)}"),
        ("application", f"{text(session.application) or 'no name'} ({text(session.kind)})"),
        ("state", f"{state(session)} for {age(session.state_seconds)}"),
        ("transaction", _transaction(one)),
        ("modified", "" if one.rows_modified is None else counted(one.rows_modified, "row")),
        ("holds", _holds(one)),
        ("blocks", counted(one.blocks, "session") if one.blocks else ""),
        ("pins", "" if one.pins is None else f"old rows of {counted(one.pins, 'transaction')} begun since"),
        ("protected", str(session.protection or "")),
        ("resolve", clean(one.resolve or "", 300)),
    ]
    shown = [(label, value) for label, value in pairs if value]
    names = ["statement" if session.state is State.ACTIVE else "last", *[""] * len(one.statements)]
    said = one.statements or ((session.query,) if session.query else ())
    return shown + [(name, clean(sql, 1000)) for name, sql in zip(names, said, strict=False)]


def _transaction(one: OpenTransaction) -> str:
    number = f", number {clean(one.number, 60)}" if one.number else ""
    level = f", {clean(one.isolation, 40)}" if one.isolation else ""
    return f"open for {age(one.session.transaction_seconds)}{number}{level}"


def _holds(one: OpenTransaction) -> str:
    parts = []
    if one.locks is not None:
        parts.append(counted(one.locks, "lock"))
    if one.rows_locked is not None:
        parts.append(f"about {counted(one.rows_locked, 'row')} locked")
    where = f" on {', '.join(clean(name, 100) for name in one.objects)}" if one.objects else ""
    return ", ".join(parts) + where


def document(transactions: Iterable[OpenTransaction]) -> list[dict[str, Any]]:
    """Rows of `show transactions --json`, the oldest first; null is unknown."""
    return [
        {
            "session": reference(one.session),
            "number": one.number,
            "prepared": one.session.prepared,
            "resolve": one.resolve,
            "transaction_seconds": one.session.transaction_seconds,
            "started_at": one.session.transaction_started_at,
            "state": one.session.state,
            "state_seconds": one.session.state_seconds,
            "isolation": one.isolation,
            "rows_modified": one.rows_modified,
            "rows_locked": one.rows_locked,
            "locks": one.locks,
            "objects": list(one.objects),
            "blocks": one.blocks,
            "pins": one.pins,
            "user": one.session.user,
            "database": one.session.database,
            "application": one.session.application,
            "client": one.session.client,
            "kind": one.session.kind,
            "protected": one.session.protection,
            "visible": one.session.visible,
            "query": one.session.query,
            "statements": list(one.statements),
        }
        for one in transactions
    ]
