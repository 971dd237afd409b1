"""What actions on sessions are bound to: the session, its transaction, its statement."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec

from console.dispatch.action import Plan
from console.engine.port import Engine
from console.errors import PrivilegeMissing, Stale
from console.model.sessions import Session, SessionKey, State
from console.model.target import ServerIdentity

FLAVORS: tuple[str, ...] = ("postgresql", "mysql", "mariadb")
# MySQL and MariaDB tell their uptime in whole seconds, so a start computed twice differs by one.
SAME_START = {"postgresql": timedelta(0), "mysql": timedelta(seconds=2), "mariadb": timedelta(seconds=2)}
# InnoDB tells when a transaction began in whole seconds.
SAME_TRANSACTION = {
    "postgresql": timedelta(0),
    "mysql": timedelta(milliseconds=999),
    "mariadb": timedelta(milliseconds=999),
}
LOOK_AGAIN = "look again: `dbdeck show sessions`"


class SessionArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The session's number and start, as `show sessions` and `show locks` print them."""

    id: Annotated[int, msgspec.Meta(gt=0, le=(1 << 63) - 1)]
    started_at: Annotated[datetime, msgspec.Meta(tz=True)]


async def find(engine: Engine, server: ServerIdentity, key: SessionKey) -> Session:
    """The live session of the key. Raises Stale that says what changed."""
    session = await engine.session(key.id)
    if session is None:
        raise Stale(f"session {key.id} is gone; nothing was executed", LOOK_AGAIN)
    seen(session)
    if session.started_at is None or not same_start(server, session.started_at, key.started_at):
        raise Stale(
            f"number {key.id} is another session now: started {session.started_at} "
            f"by {session.user}, not {key.started_at.isoformat()}; nothing was executed",
            LOOK_AGAIN,
        )
    return session


def seen(session: Session | None) -> Session | None:
    """A session of the number that may not be looked at is neither the one we mean nor gone."""
    if session is not None and (session.started_at is None or not session.visible):
        raise PrivilegeMissing(
            f"session {session.id} is there, and this login may not see whose it is",
            "grant the monitor role what `dbdeck doctor` names",
        )
    return session


def same(server: ServerIdentity, now: Session, before: Session) -> bool:
    if now.started_at is None or before.started_at is None:
        return False
    return same_start(server, now.started_at, before.started_at)


def same_start(server: ServerIdentity, one: datetime, other: datetime) -> bool:
    return abs(one - other) <= SAME_START[server.flavor]


def same_transaction(server: ServerIdentity, now: Session, started: datetime) -> bool:
    """Whether the session is still in the transaction that began at `started`."""
    mine = now.transaction_started_at
    return mine is not None and abs(mine - started) <= SAME_TRANSACTION[server.flavor]


def session_of(plan: Plan) -> Session:
    return msgspec.convert(plan.subject["session"], Session)


def identity(session: Session) -> str:
    """What a person compares; the server compares number and start."""
    return f"{session.user}@{session.client} in {session.database}, {session.kind}"


def statement_identity(session: Session) -> str | None:
    """None when nothing runs: query_start in PostgreSQL, the statement's number elsewhere."""
    if session.state is not State.ACTIVE:
        return None
    if session.query_started_at is not None:
        return session.query_started_at.isoformat()
    return str(session.query_id)


def subject(session: Session) -> dict[str, Any]:
    """The frozen identity of one session, as a plan's subject."""
    return {
        "title": f"session {session.id} of {session.user or _unnamed(session)}",
        "id": session.id,
        "started_at": session.started_at.isoformat() if session.started_at else None,
        "session": msgspec.to_builtins(session),
    }


def _unnamed(session: Session) -> str:
    return "unknown" if session.kind == "client backend" else "the server"
