"""The hardened MySQL and MariaDB connection: one class for engines and ledger.

aiomysql 0.3.2 goes on in clear text when TLS was asked for and the server does not offer it, hands
the password to any server that asks for it in clear, encodes passwords as latin-1, keeps the NUL
of a switched salt, bounds only the TCP handshake by its time-out, and escapes bytes by a function
that newer PyMySQL took away. It lets one text be several statements, which a forged value could end in, and
fails in many ways on an answer that is none, or where the connection is closed meanwhile. All nine are mended
here.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Sequence
from typing import Any, Final

import aiomysql
import msgspec
from pymysql.constants import CLIENT
from pymysql.err import MySQLError, OperationalError

from console.errors import (
    DatabaseRefused,
    DbdeckError,
    LoginRefused,
    NoSlot,
    ServerSilent,
    TlsRefused,
    Unreachable,
)
from console.secrets import Secret
from console.wire.alive import keep_alive
from console.wire.mysql_rows import DECODERS, Result, plain
from console.wire.tls import is_local, refused, ssl_context

# A server may choose among these and no other: they never show the password to an eavesdropper.
# sha256_password and the full caching_sha2 login send it inside TLS, a unix socket, or under RSA.
PLUGINS: Final = frozenset({"mysql_native_password", "caching_sha2_password", "sha256_password"})
_LOGIN_ERRORS: Final = frozenset({1044, 1045, 1049, 1130, 1227, 1251, 1396, 1524, 1698, 1820, 1862,
                                  2059, 3118, 3159, 3878, 3955, 4150, 4151})  # fmt: skip
_GOODBYE_SECONDS: Final = 0.5
# What reading an answer ends in that is none: a decimal that is no number is an ArithmeticError.
_UNREADABLE: Final = (RuntimeError, AssertionError, ArithmeticError, AttributeError, LookupError, TypeError,
                      ValueError, struct.error)  # fmt: skip
_LOST: Final = 2013
_PIECE: Final = 2**17  # bytes; what asyncio's reader holds at most
_MALFORMED: Final = 2027

_LISTENING: Final = "is the server running and listening there?"
_ACCOUNT: Final = "check the password reference, and the host part of the account ('user'@'host')"
_DATABASE: Final = "check the name of the database, and the account's grants on it"
_LOCKED: Final = "ALTER USER … ACCOUNT UNLOCK;"
_EXPIRED: Final = "the password has expired: ALTER USER … IDENTIFIED BY …"
_PLUGIN: Final = f"give the account one of {', '.join(sorted(PLUGINS))}"
_SLOTS: Final = "free a connection slot, or raise the server's or the account's limit"
_DIRECT: Final = "dbdeck sets its limits at login and needs a direct connection, not a proxy or a pooler"
_HINTS: Final = {
    1040: _SLOTS, 1203: _SLOTS, 1226: _SLOTS,
    1044: _DATABASE, 1049: _DATABASE,
    1129: "TRUNCATE performance_schema.host_cache; or FLUSH HOSTS; on the server lets this machine in again",
    1130: "the server has no account for this machine: check the host part of the account ('user'@'host')",
    1193: _DIRECT, 1231: _DIRECT,
    1251: _PLUGIN, 1524: _PLUGIN, 2059: _PLUGIN,
    1820: _EXPIRED, 1862: _EXPIRED,
    3118: _LOCKED, 4151: _LOCKED,
    3955: "after its time, or: ALTER USER … ACCOUNT UNLOCK;", 4150: "FLUSH PRIVILEGES; lets it in again",
    3159: "the server wants TLS: write a `tls` other than off",
}  # fmt: skip


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where and as whom to connect. A unix socket wins over host and port and is always clear text.

    `connect_timeout` (seconds) covers TCP, TLS, login and `init_command` together. `allow_rsa`: on
    a clear TCP connection the first caching_sha2 login fetches the server's RSA key, for which
    nobody vouches; False permits that on loopback only. `several` statements in one text: only for texts of
    ours whose values are bound.
    """

    user: str
    host: str = "localhost"
    port: int = 3306
    unix_socket: str | None = None
    password: Secret | None = None
    database: str | None = None
    tls: str = "verify-full"
    ca_file: str | None = None
    connect_timeout: float = 5.0
    init_command: str | None = None
    program_name: str = "dbdeck"
    allow_rsa: bool = True
    several: bool = False

    @property
    def where(self) -> str:
        """For messages; no user, no secret."""
        return self.unix_socket or f"{self.host}:{self.port}"


class Rows(msgspec.Struct, frozen=True):
    """Result of one statement: column names, rows in their order, rows changed."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    affected: int

    def dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Cursor(aiomysql.Cursor):  # type: ignore[misc]  # aiomysql is untyped
    """Does not spend a round trip to turn the server's notes into Python warnings."""

    async def _show_warnings(self, conn: aiomysql.Connection) -> None:
        pass


class Connection(aiomysql.Connection):  # type: ignore[misc]  # aiomysql is untyped
    """aiomysql's connection, refusing what would give a password away."""

    allow_rsa: bool = True
    encrypted: bool = False
    _public_key: bytes | None = None
    _closing: asyncio.StreamWriter | None = None
    _ahead: bytes = b""  # of an answer, read and not looked at yet
    _next_seq_id: int

    async def _request_authentication(self) -> None:
        """Raises TlsRefused before anything secret, the user name included, is sent."""
        if self._ssl_context is not None and not self.server_capabilities & CLIENT.SSL:
            raise TlsRefused(
                f"{self._host}:{self._port} offers no TLS, and TLS was asked for; nothing was sent",
                "enable TLS on the server, or write `tls: off` for it: of the target, or in audit.url",
            )
        if not self.server_capabilities & CLIENT.PLUGIN_AUTH:
            raise LoginRefused(f"{self._host} knows only the logins of MySQL before 5.5", _PLUGIN)
        if self._server_auth_plugin not in PLUGINS:
            # Answer with one we know; the server switches to what the account needs.
            self._client_auth_plugin = "mysql_native_password"
        await super()._request_authentication()
        self.encrypted = self._ssl_context is not None

    async def _process_auth(self, plugin_name: bytes, auth_packet: Any) -> Any:
        """Raises LoginRefused for a plugin that would show the password."""
        name = plugin_name.decode("ascii", "replace")
        if name not in PLUGINS:
            raise LoginRefused(
                f"{self._host} wants the login plugin {name!r}, which dbdeck does not use",
                _PLUGIN,
            )
        # The salt of a switch ends in NUL, which aiomysql would scramble along.
        data = auth_packet._data  # noqa: SLF001 - the packet has no other door
        auth_packet._data = data.removesuffix(b"\0")  # noqa: SLF001
        return await super()._process_auth(plugin_name, auth_packet)

    def keep_alive(self) -> None:
        keep_alive(self._writer.transport if self._writer else None)

    @property
    def server_public_key(self) -> bytes | None:
        return self._public_key

    @server_public_key.setter
    def server_public_key(self, key: bytes | None) -> None:
        """Raises TlsRefused when the key came over an open wire and that was not allowed."""
        if key and not (self.allow_rsa or is_local(self._host)):
            raise TlsRefused(
                f"{self._host} wants the password under a key nobody vouches for; it was not sent",
                "use TLS for this server",
            )
        self._public_key = key

    async def _read_bytes(self, num_bytes: int) -> Any:
        """Raises OperationalError for what was closed while somebody still read from it."""
        if self._reader is None:
            raise OperationalError(_LOST, "the connection was closed during the query")
        if not self._ahead:
            return await super()._read_bytes(num_bytes)
        found, self._ahead = self._ahead[:num_bytes], self._ahead[num_bytes:]
        left = num_bytes - len(found)
        return found + await super()._read_bytes(left) if left else found

    async def rows_at_hand(self) -> list[bytes]:
        """Packets of the answer's next rows; while there are rows something follows. May be none."""
        if self._reader is None:
            return []
        try:
            block = self._ahead or await self._reader.read(_PIECE)
        except asyncio.CancelledError:
            self._close_on_cancel()
            raise
        except OSError as error:
            self.close()
            raise OperationalError(_LOST, f"the connection was lost during the query: {error}") from error
        found, end = plain(block, self._next_seq_id)
        self._ahead = block[end:]
        self._next_seq_id = (self._next_seq_id + len(found)) % 256
        return found

    async def _read_query_result(self, unbuffered: bool = False) -> None:
        """Raises OperationalError for an answer that is none, such as a demand for a file of ours."""
        if unbuffered:
            raise NotImplementedError("answers are read whole")
        self._result = None
        result = Result(self)
        try:
            await result.read()
        except _UNREADABLE as error:
            self.abort()
            raise OperationalError(_MALFORMED, "the server's answer is no answer to a statement") from error
        self._result = result
        self._affected_rows = result.affected_rows
        if result.server_status is not None:
            self.server_status = result.server_status

    def escape(self, obj: object) -> Any:
        if isinstance(obj, bytes | bytearray):
            return f"_binary X'{obj.hex()}'"
        return super().escape(obj)

    def close(self) -> None:
        self._closing = self._writer or self._closing
        self._ahead = b""
        super().close()

    @property
    def usable(self) -> bool:
        """False also when the server has hung up while nobody was listening."""
        reader, writer = self._reader, self._writer
        if reader is None or writer is None:
            return False
        lost = reader.at_eof() or reader.exception() is not None
        return not (lost or writer.transport.is_closing())

    async def aclose(self) -> None:
        """Say goodbye and wait until the socket is closed, half a second at most; never raises."""
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self.ensure_closed()
                if self._closing is not None:
                    await self._closing.wait_closed()
        except (OSError, MySQLError):
            self.close()
        finally:
            self.abort()

    def abort(self) -> None:
        """Free the socket now, without a goodbye."""
        self.close()
        if self._closing is not None:
            self._closing.transport.abort()

    async def fetch(self, sql: str, args: Sequence[object] = ()) -> Rows:
        """Run one statement (`%s` placeholders when there are args) and read its first result.

        Further results, such as the status of a CALL, are read and dropped. No deadline of its own.
        Raises pymysql.err.MySQLError.
        """
        cursor = await self.cursor()
        await cursor.execute(sql, tuple(args) or None)
        columns = tuple(str(column[0]) for column in cursor.description or ())
        found = tuple(await cursor.fetchall()) if columns else ()
        affected = int(cursor.rowcount)
        await cursor.close()
        return Rows(columns, found, affected)


async def connect_mysql(address: Address) -> Connection:
    """A logged-in autocommit utf8mb4 connection; close it with `aclose()`.

    Raises Unreachable or one of its kinds (LoginRefused, TlsRefused, ServerSilent); ConfigError for
    a bad TLS mode or CA file.
    """
    connection = _build(address)
    try:
        async with asyncio.timeout(address.connect_timeout):
            await connection._connect()  # noqa: SLF001 - aiomysql's own factory takes no subclass
            if address.init_command is not None:
                await connection.query(address.init_command)
                # Whoever has to change the password first may SET all the same. aiomysql would send a COMMIT,
                # which a node outside its Galera cluster refuses everybody.
                await connection.query("select 1")
    except TimeoutError:
        await connection.aclose()
        raise ServerSilent(
            f"{address.where} gave no answer in {address.connect_timeout:g} s",
            "check the address, the network and a firewall",
        ) from None
    except (MySQLError, OSError) as error:
        await connection.aclose()
        raise explain(error, address) from None
    except DbdeckError:
        await connection.aclose()
        raise
    except Exception:  # noqa: BLE001 - the driver's parser fails in many ways on what is no MySQL
        await connection.aclose()
        raise Unreachable(
            f"{address.where} does not speak the MySQL protocol",
            "check the address: another program is there",
        ) from None
    except BaseException:
        connection.close()
        raise
    return connection


def _build(address: Address) -> Connection:
    secret = address.password.reveal() if address.password else ""
    connection = Connection(
        host=address.host,
        port=address.port,
        unix_socket=address.unix_socket,
        user=address.user,
        password=secret.encode().decode("latin1"),  # aiomysql encodes it back: UTF-8 on the wire
        db=address.database,
        charset="utf8mb4",
        conv=DECODERS,
        autocommit=True,
        local_infile=False,
        cursorclass=Cursor,
        ssl=None if address.unix_socket else ssl_context(address.tls, address.ca_file),
        program_name=address.program_name,
    )
    connection.allow_rsa = address.allow_rsa
    if not address.several:
        connection.client_flag &= ~CLIENT.MULTI_STATEMENTS
    return connection


def explain(error: Exception, address: Address) -> Unreachable:
    """A failed connection in the words of the error tree; pure."""
    code, text = _code_and_text(error)
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError):
        reason, hint = refused(cause)
        return TlsRefused(f"TLS with {address.where} failed: {reason}", hint)
    if code in _LOGIN_ERRORS:
        kind = DatabaseRefused if _HINTS.get(code) is _DATABASE else LoginRefused
        return kind(
            f"{address.where} refused the login of {address.user}: {text} ({code})",
            _HINTS.get(code, _ACCOUNT),
        )
    if isinstance(cause, OSError):
        return Unreachable(f"no connection to {address.where}: {cause.strerror or cause}", _LISTENING)
    away = NoSlot if _HINTS.get(code) is _SLOTS else Unreachable
    return away(
        f"no connection to {address.where}: {text}" + (f" ({code})" if code else ""),
        _HINTS.get(code, _LISTENING),
    )


def _code_and_text(error: Exception) -> tuple[int, str]:
    match error.args:
        case (int(code), str(text), *_):
            return code, text
        case _:
            return 0, str(error) or type(error).__name__
