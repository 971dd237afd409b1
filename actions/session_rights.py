"""Who may end a session: PostgreSQL manual 9.28.2, MySQL manual 15.7.8.4, MariaDB "KILL"."""

from __future__ import annotations

from collections.abc import Iterable

from console.dispatch.planning import may_not
from console.engine.port import Engine, Need
from console.errors import DbdeckError
from console.model.sessions import Session
from console.model.target import ServerIdentity

_RIGHTS = {"postgresql": (), "mysql": ("CONNECTION_ADMIN",), "mariadb": ("CONNECTION ADMIN",)}


async def warning(engine: Engine, server: ServerIdentity, sessions: Iterable[Session]) -> tuple[str, ...]:
    """That the operator may end none of these sessions, or cancel what they run, where that is known: this is
    wanted most while much waits, perhaps for the catalogs that tell it, and the server says it in any case.
    """
    operator = engine.target.operator
    if operator is None:
        return ()
    try:
        missing = await engine.lacking(to_end_any(server, sessions))
    except DbdeckError:
        return ()
    return (f"{may_not(operator.user, missing)}; the server will refuse it",) if missing else ()


def to_end_any(server: ServerIdentity, sessions: Iterable[Session]) -> tuple[Need, ...]:
    """To end at least one of them. None where a session has no user: only the server knows whose it is."""
    users = dict.fromkeys(one.user for one in sessions)
    known = tuple(user for user in users if user)
    if not known or len(known) < len(users):
        return ()
    rights = _RIGHTS[server.flavor]
    return (Need(schema="*", name="*", privileges=rights, enough=("SUPER",), sessions_of=known),)
