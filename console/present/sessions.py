"""Sessions as cells and as rows of a document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from console.model.sessions import UNSEEN_KIND, Session, State
from console.present.table import Column, Line, Tone
from console.present.units import age, clean

COLUMNS = (
    Column(title="session", width=8, align="right", whole=True),
    Column(title="age", width=6, align="right"),
    Column(title="state", width=12),
    Column(title="user", width=12, drop=2),
    Column(title="database", width=10, drop=4),
    Column(title="client", width=14, drop=5),
    Column(title="application", width=14, drop=6),
    Column(title="wait", width=18, drop=3),
    Column(title="statement", width=20, grow=True),
)
SHORT = {
    State.IDLE_IN_TRANSACTION: "idle in tx",
    State.ABORTED: "aborted tx",
    State.PREPARED: "prepared tx",
}
_CLIENTS = ("client backend", "unknown")
IN_TRANSACTION = (State.IDLE_IN_TRANSACTION, State.ABORTED, State.PREPARED)


def key(session: Session) -> str:
    """Identifies a session across refreshes: number and start."""
    return f"{session.prepared or session.id}/{session.started_at}"


def lines(sessions: Iterable[Session]) -> list[Line]:
    """Longest transaction first, then the active ones."""
    return [_line(session) for session in sorted(sessions, key=_order)]


def _order(session: Session) -> tuple[float, float, int]:
    return (-(session.transaction_seconds or 0.0), -(session.query_seconds or 0.0), session.id)


def _line(session: Session) -> Line:
    return Line(
        key=key(session),
        cells=(
            str(session.id),
            age(session.transaction_seconds or session.state_seconds),
            state(session),
            text(session.user),
            text(session.database),
            text(session.client),
            text(session.application),
            text(session.wait),
            statement(session),
        ),
        tone=tone(session),
    )


def tone(session: Session) -> Tone:
    if session.state in IN_TRANSACTION:
        return Tone.WARN
    return Tone.NORMAL if session.state is State.ACTIVE else Tone.MUTED


def state(session: Session) -> str:
    return SHORT.get(session.state, str(session.state)) if session.visible else "hidden"


def text(value: str | None) -> str:
    return clean(value, 200) if value else ""


def statement(session: Session) -> str:
    """The running statement; of an idle session the last one, marked as such. Of a process of the server that
    runs none, what it is: it has no application and no client to be known by.
    """
    if not session.visible:
        unseen = session.kind == UNSEEN_KIND
        return "(the server does not tell whose it is)" if unseen else "(no privilege to see it)"
    if session.query:
        shown = clean(session.query, 1000)
        return shown if session.state is State.ACTIVE else f"(last) {shown}"
    if session.prepared:
        return f"prepared transaction {text(session.prepared)}"
    return f"({text(session.kind)})" if session.kind not in _CLIENTS else ""


def document(sessions: Iterable[Session]) -> list[dict[str, Any]]:
    """Rows of `show sessions --json`; ages in seconds, text exactly as the server gave it."""
    return [
        {
            "session": reference(session),
            "user": session.user,
            "database": session.database,
            "application": session.application,
            "client": session.client,
            "kind": session.kind,
            "state": session.state,
            "wait": session.wait,
            "query_seconds": session.query_seconds,
            "state_seconds": session.state_seconds,
            "transaction_seconds": session.transaction_seconds,
            "rows_modified": session.rows_modified,
            "protected": session.protection,
            "visible": session.visible,
            "query": session.query,
        }
        for session in sessions
    ]


def reference(session: Session) -> dict[str, Any]:
    found: dict[str, Any] = {"id": session.id, "started_at": session.started_at}
    if session.prepared is not None:
        found["prepared"] = session.prepared
    return found
