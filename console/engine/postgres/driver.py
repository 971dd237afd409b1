"""Connections to PostgreSQL: named, limited from birth, and closed for good when they go silent."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from console.engine.port import CONNECT_SECONDS
from console.engine.postgres.errors import FAILURES, on_connect
from console.errors import LoginRefused
from console.model.sessions import APPLICATION
from console.model.target import Login, Target
from console.secrets import Secret, pending, resolve
from console.wire.alive import keep_alive
from console.wire.tls import ssl_context

if TYPE_CHECKING:
    import ssl

    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection  # generic for type checkers only

GOODBYE_SECONDS = 0.3

# Given at login, so that they are the session's defaults: a later SET would be lost on a reset.
_ALWAYS = {
    "jit": "off",
    "search_path": "pg_catalog",
    "idle_in_transaction_session_timeout": "10s",
    "client_min_messages": "warning",
}
READ_LIMITS = {
    **_ALWAYS,
    "statement_timeout": "3s",
    "lock_timeout": "250ms",
    "default_transaction_read_only": "on",
}
# An action's own statement may be long (its timeout is the caller's); waiting for a lock never is.
OPERATOR_LIMITS = {**_ALWAYS, "statement_timeout": "0", "lock_timeout": "2s"}


async def connect(
    target: Target, login: Login, *, limits: dict[str, str], purpose: str = "", database: str = ""
) -> Connection:
    """Raises Unreachable, LoginRefused, TlsRefused, ServerSilent, or ConfigError for a bad reference.

    What a rotation of this very login left pending is tried where the current password is refused: one that
    died after the server was told could be ended by nobody else.
    """
    password = await asyncio.to_thread(resolve, login.password) if login.password else None
    if password is None:
        _check_pgpass(target)
    attempt = partial(log_in, target, login, limits=limits, purpose=purpose, database=database)
    try:
        connection = await _admitted(attempt, target, login, password)
    except LoginRefused as refused:
        left = await asyncio.to_thread(pending, login.password) if login.password else None
        if left is None:
            raise
        try:
            connection = await _admitted(attempt, target, login, left)
        except LoginRefused:
            raise refused from None
    # asyncpg has no setting for it; without, a statement of hours waits for ever on a wire that was cut.
    keep_alive(getattr(connection, "_transport", None))
    return connection


async def _admitted(
    attempt: Callable[[Secret | None], Awaitable[Connection]],
    target: Target,
    login: Login,
    password: Secret | None,
) -> Connection:
    try:
        return await attempt(password)
    except FAILURES as error:
        raise on_connect(error, target, login.user) from None


async def log_in(
    target: Target,
    login: Login,
    password: Secret | None,
    *,
    limits: dict[str, str],
    purpose: str,
    database: str = "",
) -> Connection:
    """One attempt. Raises what asyncpg and the wire raise."""
    async with asyncio.timeout(CONNECT_SECONDS):
        connection: Connection = await asyncpg.connect(
            host=target.host,
            port=login.port or target.port,
            user=login.user,
            password=password.reveal() if password is not None else None,
            database=database or target.database,
            ssl=_ssl(target),
            timeout=CONNECT_SECONDS,
            statement_cache_size=64,
            server_settings={"application_name": f"{APPLICATION} {purpose}".rstrip(), **limits},
        )
        return connection


async def close(connection: Connection) -> None:
    """Say goodbye, but never wait long for a server that may hang."""
    try:
        await connection.close(timeout=GOODBYE_SECONDS)
    except FAILURES:
        connection.terminate()


def _ssl(target: Target) -> ssl.SSLContext | bool:
    if target.local:
        return False  # a unix socket: PostgreSQL has no TLS there
    return ssl_context(target.tls, target.ca) or False


def _check_pgpass(target: Target) -> None:
    """libpq and asyncpg skip a readable .pgpass with a mere warning, and the login fails later."""
    path = Path(os.environ.get("PGPASSFILE") or Path.home() / ".pgpass")
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return
    if mode & 0o077:
        raise LoginRefused(
            f"{target.name}: {path} has mode {mode:04o} and would be ignored; no login was tried",
            f"chmod 0600 {path}",
        )
