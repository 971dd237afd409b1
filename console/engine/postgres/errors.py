"""asyncpg, TLS and socket errors -> the error tree, by SQLSTATE and never by text."""

from __future__ import annotations

import ssl

import asyncpg

from console.errors import (
    DatabaseRefused,
    DbdeckError,
    LoginRefused,
    NoSlot,
    PoolerRefused,
    PrivilegeMissing,
    ServerSilent,
    TlsRefused,
    Unreachable,
)
from console.model.target import Target
from console.wire.tls import refused

# InternalClientError: a farewell came while nobody listened; asyncpg takes no other statement then.
CONNECTION_LOST = (
    asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError,
)  # fmt: skip
FAILURES = (
    asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError,
)  # fmt: skip


# The session was ended in the midst of it: by an administrator, a crash, a shutdown, a time-out of idleness.
_ENDED = ("57P01", "57P02", "57P03", "57P05", "25P03", "25P04")


def lost(error: BaseException) -> bool:
    """The server did not answer the statement itself. asyncpg makes errors of class 08 of its own, too."""
    if isinstance(error, asyncpg.PostgresError) and not isinstance(error, CONNECTION_LOST):
        return (error.sqlstate or "") in _ENDED
    return True


def on_connect(error: BaseException, target: Target, user: str) -> DbdeckError:
    """Why a connection could not be opened; no error of ours repeats a password."""
    where = f"{target.name} ({target.address})"
    if isinstance(error, TimeoutError):
        return ServerSilent(
            f"{where} did not answer in time", "check the address, the network and a firewall"
        )
    if isinstance(error, ssl.SSLError):
        reason, hint = refused(error)
        return TlsRefused(f"{where}: the TLS handshake failed: {reason}", hint)
    if isinstance(error, ConnectionError) and "SSL" in str(error):
        return TlsRefused(
            f"{where} offers no TLS and the target asks for {target.tls}; nothing secret was sent",
            "enable TLS on the server, or write a weaker `tls` for this target",
        )
    if isinstance(error, asyncpg.PostgresError):
        return _refused(error, where, user)
    return Unreachable(
        f"{where} cannot be reached: {_text(error)}", "is the server running and listening there?"
    )


def _refused(error: asyncpg.PostgresError, where: str, user: str) -> DbdeckError:
    state = error.sqlstate or ""
    if state == "28P01":
        return LoginRefused(
            f"{where} refused the login of {user}: {_text(error)}",
            "check the password reference, VALID UNTIL, and .pgpass (mode 0600)",
        )
    if state == "28000":
        return LoginRefused(
            f"{where} refused the login of {user}: {_text(error)}",
            "check pg_hba.conf, and that the role may log in",
        )
    if state in ("3D000", "42501"):
        return DatabaseRefused(
            f"{where} refused the login of {user}: {_text(error)}",
            "check the name of the database, and who may CONNECT to it",
        )
    if state == "53300":
        return NoSlot(
            f"{where} has no connection slot left for {user}: {_text(error)}",
            "grant pg_use_reserved_connections (16+) to dbdeck's roles, or free a slot",
        )
    if state == "08P01":
        return PoolerRefused(
            f"{where} refused the login of {user}: {_text(error)}",
            "a PgBouncer says so of a wrong password, and of the limits that dbdeck sets at login: a target "
            "needs a direct connection",
        )
    return Unreachable(f"{where} refused the connection: {_text(error)} ({state})")


def on_read(error: BaseException, target: Target, what: str) -> DbdeckError:
    """Why a read brought nothing."""
    if isinstance(error, TimeoutError):
        return ServerSilent(
            f"{target.name} did not answer {what} in time", "it may hang, or the network does"
        )
    state = getattr(error, "sqlstate", None)
    if state == "42501":
        return PrivilegeMissing(
            f"{target.name}: no privilege to read {what}: {_text(error)}",
            f"GRANT pg_monitor TO {target.monitor.user};",
        )
    if state in ("57014", "55P03"):
        return ServerSilent(
            f"{target.name}: the read of {what} ran into its limit: {_text(error)}",
            "the server is very slow, or somebody locks a system catalog",
        )
    return Unreachable(f"{target.name}: {what} could not be read: {_text(error)}")


def _text(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
