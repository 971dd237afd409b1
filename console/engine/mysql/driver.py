"""Connections to MySQL and MariaDB: named, limited from birth, known as ours while they live."""

from __future__ import annotations

import asyncio
import os
import shlex
import stat
import weakref
from pathlib import Path

import aiomysql
import msgspec

from console.engine.mysql.errors import on_connect
from console.engine.port import CONNECT_SECONDS
from console.errors import DatabaseRefused, LoginRefused, Unreachable
from console.model.option_file import options
from console.model.sessions import APPLICATION
from console.model.target import Login, Target
from console.named_file import open_named
from console.secrets import Secret, pending, resolve
from console.wire.mysql import Address, Connection, connect_mysql

PORT = 3306
SOCKETS = ("mysqld.sock", "mysql.sock", "mariadb.sock")
X_SOCKETS = ("mysqlx.sock",)

# Part of the login, so no statement of ours ever runs without them. MariaDB ignores /*!80000 */
# (it leaves 50700 to 99999 to MySQL) and MySQL ignores /*M! */. `sql_mode` is fixed because the
# driver's escaping and our quotes depend on it, `time_zone` because trx_started has no zone.
_ALWAYS = (
    "SET SESSION autocommit = 1, time_zone = '+00:00', lock_wait_timeout = 2,"
    " innodb_lock_wait_timeout = {row}, sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'"
    " /*!80000 , transaction_isolation = 'READ-COMMITTED', transaction_read_only = {ro},"
    " max_execution_time = {ms} */"
    " /*M! , tx_isolation = 'READ-COMMITTED', tx_read_only = {ro}, max_statement_time = {s} */"
)
# A read does not wait for a metadata lock: MariaDB then leaves out what it cannot open, and MySQL, which
# waits a second at least, is not asked to open a table that is locked. Its figures are of now, not cached.
READ_LIMITS = _ALWAYS.format(row=1, ro=1, ms=3000, s=3) + (
    " /*!80000 , information_schema_stats_expiry = 0 */ /*M! , lock_wait_timeout = 0 */"
)
# Reading whole databases takes as long as its caller lets it; each statement gets a limit of its own.
CONTENT_LIMITS = _ALWAYS.format(row=1, ro=1, ms=0, s=0)
# An action's own statement may be long (its timeout is the caller's); waiting for a lock never is.
# Some statements answer with the text of an error and without its number: in a language we can read.
OPERATOR_LIMITS = _ALWAYS.format(row=2, ro=0, ms=0, s=0) + ", lc_messages = 'en_US'"

_OPEN: weakref.WeakKeyDictionary[Connection, str] = weakref.WeakKeyDictionary()


class QuietCursor(aiomysql.Cursor):  # type: ignore[misc]  # aiomysql is untyped
    """Without the round trip that turns the server's warnings into Python's, on somebody's screen."""

    async def _show_warnings(self, conn: object) -> None: ...


async def connect(
    target: Target,
    login: Login,
    *,
    limits: str,
    purpose: str = "",
    several: bool = False,
    roaming: bool = False,
) -> Connection:
    """`several` statements may be in one text. `roaming`: who may not enter the target's database gets in
    without one. Raises Unreachable or one of its kinds, or ConfigError for a bad reference.
    """
    # A keyring or a command may take seconds, and files are read: not on the event loop.
    address = await asyncio.to_thread(_address, target, login, limits, purpose)
    address = msgspec.structs.replace(address, several=several)
    try:
        connection = await _admitted(address, login, roaming)
    except Unreachable as error:
        raise on_connect(error, target) from None
    connection.cursorclass = QuietCursor
    _OPEN[connection] = target.address
    return connection


async def _admitted(address: Address, login: Login, roaming: bool) -> Connection:
    """What a rotation of this very login left pending is tried where the current password is refused: one
    that died after the server was told could be ended by nobody else.
    """
    try:
        return await _inside(address, roaming)
    except DatabaseRefused:
        raise  # the password was right
    except LoginRefused as refused:
        left = await asyncio.to_thread(pending, login.password) if login.password else None
        if left is None:
            raise
        try:
            return await _inside(msgspec.structs.replace(address, password=left), roaming)
        except DatabaseRefused:
            raise
        except LoginRefused:
            raise refused from None


async def _inside(address: Address, roaming: bool) -> Connection:
    """In the target's database, or in none."""
    try:
        return await connect_mysql(address)
    except DatabaseRefused:
        if not roaming:
            raise
    return await connect_mysql(msgspec.structs.replace(address, database=None))


async def close(connection: Connection) -> None:
    """Say goodbye, but never wait long for a server that may hang."""
    _OPEN.pop(connection, None)
    await connection.aclose()


def own_ids(target: Target) -> frozenset[int]:
    """Connection ids of this process on the target: MariaDB without performance_schema shows no names."""
    return frozenset(
        connection.thread_id()
        for connection, address in _OPEN.items()
        if address == target.address and not connection.closed
    )


def _address(target: Target, login: Login, limits: str, purpose: str) -> Address:
    return Address(
        user=login.user,
        host=target.host,
        port=login.port or target.port or PORT,
        unix_socket=socket_path(target) if target.local else None,
        password=resolve(login.password) if login.password else _from_my_cnf(target, login.user),
        database=target.database or None,
        tls=target.tls,
        ca_file=target.ca,
        connect_timeout=CONNECT_SECONDS,
        init_command=limits,
        program_name=f"{APPLICATION} {purpose}".rstrip(),
    )


def socket_path(target: Target) -> str:
    """The socket a target's `host` means: the socket itself, or the one in that folder.

    In a folder the usual names win, else its only socket is meant. Raises Unreachable when there is
    none, or no telling which.
    """
    host = Path(target.host)
    try:
        for path in (host, *(host / name for name in SOCKETS)):
            if path.is_socket():
                return str(path)
        found = _sockets_in(host)
    except OSError as error:
        raise Unreachable(
            f"{target.name}: no unix socket can be looked for at {host}: {error.strerror}",
            "dbdeck's user needs the right to enter that folder",
        ) from None
    if len(found) == 1:
        return str(found[0])
    raise _no_socket(target, host, found)


def _sockets_in(folder: Path) -> list[Path]:
    """Without those of the X protocol, which is not spoken here."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name not in X_SOCKETS and path.is_socket())


def _no_socket(target: Target, host: Path, found: list[Path]) -> Unreachable:
    if found:
        names = ", ".join(path.name for path in found)
        return Unreachable(
            f"{target.name}: the folder {host} has several unix sockets: {names}",
            "write the socket itself as `host`; see `SELECT @@socket`",
        )
    where = f"in the folder {host}" if host.is_dir() else f"at {host}"
    return Unreachable(
        f"{target.name}: there is no unix socket {where}", "is the server running? see `SELECT @@socket`"
    )


def _from_my_cnf(target: Target, user: str) -> Secret | None:
    """The password of `[client]` in ~/.my.cnf, when it is meant for this user.

    Raises LoginRefused when others may read the file: a secret in it is not one.
    """
    path = Path("~/.my.cnf").expanduser()
    try:
        with open_named(path) as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            client = options(file.read().decode("utf-8"), "client")
    except (OSError, UnicodeDecodeError):
        return None
    if "password" not in client or client.get("user", user) != user:
        return None
    if mode & 0o077:
        raise LoginRefused(
            f"{target.name}: {path} holds a password and has mode {mode:04o}; no login was tried",
            f"chmod 0600 {shlex.quote(str(path))}",
        )
    return Secret(client["password"])
