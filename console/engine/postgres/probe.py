"""One login attempt on PostgreSQL, and what its answer says of the password. By SQLSTATE and by the
function of the server that raised it, never by its text: servers speak many languages.
"""

from __future__ import annotations

import asyncio
import ssl

import asyncpg

from console.engine.port import CONNECT_SECONDS
from console.engine.postgres.driver import READ_LIMITS, close, log_in
from console.engine.postgres.errors import FAILURES
from console.model.probe import Answer, Probe
from console.model.target import Login, Target
from console.secrets import Secret

# Where miscinit.c checks what a role may do: it comes after the password was found to be right.
_CHECKED_LAST = "InitializeSessionUserId"
# The database and the rights in it are looked at last (postinit.c).
_LAST = {"3D000": "the database is not there", "42501": "no right to connect to the database"}


async def probe(target: Target, user: str, password: Secret) -> Probe:
    """Never raises for what a server or a wire answers."""
    try:
        connection = await log_in(target, Login(user=user), password, limits=READ_LIMITS, purpose="probe")
    except FAILURES as error:
        return classify(error)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            row = await connection.fetchrow(
                "select session_user::text as identity, pg_backend_pid() as session, clock_timestamp() as at"
            )
    except FAILURES:
        return Probe(answer=Answer.ACCEPTED, why="it let us in and then did not answer")
    finally:
        await close(connection)
    return Probe(answer=Answer.ACCEPTED, **dict(row or {}))


def classify(error: BaseException) -> Probe:
    """What a refused login says of the password; PostgreSQL manual, appendix A, and postinit.c."""
    if not isinstance(error, asyncpg.PostgresError):
        return Probe(answer=Answer.UNKNOWN, why=_wire(error))
    state = error.sqlstate or ""
    after = getattr(error, "server_source_function", None) == _CHECKED_LAST
    if state == "28P01":
        return Probe(answer=Answer.REJECTED, why="the password is wrong, or VALID UNTIL is over")
    if state in _LAST:
        return Probe(answer=Answer.ACCEPTED, why=_LAST[state])
    if state == "28000" and after:
        return Probe(answer=Answer.ACCEPTED, why="the role may not log in now (NOLOGIN)")
    if state == "53300" and after:
        return Probe(answer=Answer.ACCEPTED, why="the role has all its connections")
    return Probe(answer=Answer.UNKNOWN, why=f"{' '.join(str(error).split())} ({state})")


def _wire(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return f"the TLS handshake failed: {error.reason or type(error).__name__}"
    return " ".join(str(error).split()) or type(error).__name__
