"""The ledger on PostgreSQL: schema dbdeck_audit, one append function, nothing to update or delete."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg

from console.audit.record import Entry, Row
from console.audit.table.channel import GOODBYE_SECONDS, Channel
from console.audit.table.port import (
    ADDED,
    APPENDS,
    COLUMNS,
    Barred,
    Candidate,
    Fields,
    Forbidden,
    NotTaken,
    Query,
    Unreadable,
    answered,
    in_time,
    readable,
    sql,
    to_entry,
)
from console.audit.table.server import ServerTable
from console.audit.url import ServerAddress
from console.secrets import Secret
from console.wire.tls import refused, ssl_context

_APPEND: Final = f"select {', '.join(ADDED)} from dbdeck_audit.append($1, $2, $3, $4, $5, $6, $7, $8, $9)"  # noqa: S608 - our own
_BARRED: Final = "AU004"
# A time that Python has none for is none: the row is told as one that cannot be read.
_AT: Final = "case when {0}at between '0001-01-02 00:00+00' and '9999-12-30 00:00+00' then {0}at end as at"


def _columns(of: str = "") -> str:
    """Of an entry; `of` leads to it."""
    return ", ".join(_AT.format(of) if name == "at" else of + name for name in COLUMNS)


_COLUMNS: Final = _columns()
_CANDIDATES: Final = f"select {_columns('(intent).')}, outcome, alive from dbdeck_audit.candidates()"  # noqa: S608 - our own
_APPROVALS: Final = f"select {_COLUMNS} from dbdeck_audit.approvals($1)"  # noqa: S608 - our own
_STREAM: Final = f"select {_COLUMNS} from dbdeck_audit.entry where $1::bigint is null or id > $1 order by id"  # noqa: S608 - our own
_CHUNK: Final = 1000
_NO_TLS: Final = "enable TLS on the server, or write a weaker `tls` into audit.url; nothing secret was sent"
LOST: Final = (
    asyncpg.InterfaceError,
    # A farewell of the server came while nobody listened: asyncpg then takes no other statement.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    # The server goes down, perhaps in the very commit.
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    OSError,
)
# Of a login, of which nothing but the server's word is known yet: the second is CONNECT, taken away.
_TURNED_AWAY: Final = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError)
_ABSENT: Final = (
    asyncpg.InvalidSchemaNameError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedFunctionError,
)
Connection = Any  # asyncpg's is generic in a way that says nothing here


class PostgresChannel(Channel[Connection]):
    def __init__(self, address: ServerAddress, password: Secret | None, deadline: float) -> None:
        super().__init__(deadline)
        self._address = address
        self._password = password

    async def dial(self) -> Connection:
        try:
            return await in_time(self.deadline, self._connect())
        except TimeoutError:
            raise NotTaken(f"no connection in {self.deadline:g} s") from None
        except ssl.SSLError as error:
            reason, hint = refused(error)
            raise NotTaken(f"TLS failed: {reason}", hint) from None
        except _TURNED_AWAY as error:
            raise Forbidden(str(error)) from None
        except (asyncpg.PostgresError, asyncpg.InternalClientError, *LOST) as error:
            no_tls = isinstance(error, ConnectionError) and "SSL" in str(error)
            raise NotTaken(str(error), _NO_TLS if no_tls else "") from None

    async def _connect(self) -> Connection:
        address = self._address
        return await asyncpg.connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=self._password.reveal() if self._password else None,
            database=address.database,
            ssl=ssl_context(address.tls, address.ca_file) or False,
            statement_cache_size=16,
            server_settings={
                "application_name": "dbdeck audit",
                # Before the client-side deadline, because this answer is a sure one. It does not
                # reach a commit that waits for a standby.
                "statement_timeout": str(int(self.deadline * 900)),
            },
        )

    async def _run(self, connection: Connection, sql: str, *args: object) -> Sequence[Fields]:
        rows: Sequence[Fields] = await connection.fetch(sql, *args)
        return rows

    async def hang_up(self, connection: Connection) -> None:
        try:
            await in_time(GOODBYE_SECONDS, connection.close())
        except (TimeoutError, *LOST):
            connection.terminate()

    def abort(self, connection: Connection) -> None:
        connection.terminate()

    def _is_open(self, connection: Connection) -> bool:
        return not connection.is_closed()

    def _is_lost(self, error: Exception) -> bool:
        return isinstance(error, LOST)


class PostgresTable(ServerTable[Connection]):
    describe = "select id, version, current_setting('fsync') = 'on' as durable from dbdeck_audit.ledger"
    clock = "select clock_timestamp() as at"
    refusal = asyncpg.PostgresError

    def __init__(self, address: ServerAddress, password: Secret | None, deadline: float) -> None:
        super().__init__(
            address.sink,
            PostgresChannel(address, password, deadline),
            PostgresChannel(address, password, deadline),
        )

    async def append(self, row: Row) -> Entry:
        values = (row.writer, row.seq, row.kind, row.action_id, row.parent, row.idempotency_key)
        try:
            rows = await self._appends.fetch(_APPEND, *values, row.body, row.prev, row.link)
        except asyncpg.UniqueViolationError as error:
            raise await self._conflict(row, error.constraint_name or "") from None
        except asyncpg.InsufficientPrivilegeError as error:
            raise Forbidden(str(error), APPENDS) from None
        except asyncpg.PostgresError as error:
            kind = Barred if error.sqlstate == _BARRED else NotTaken
            raise kind(str(error)) from None
        return answered(row, rows)

    async def find_idempotency(self, key: str) -> UUID | None:
        rows = await self._read("select dbdeck_audit.find_key($1) as action_id", key)
        found = rows[0]["action_id"]
        return UUID(str(found)) if found else None

    async def entries(self, query: Query) -> list[Entry]:
        text = sql("postgres_entries.sql").format(
            columns=_COLUMNS, order="desc" if query.newest_first else "asc"
        )
        kinds = None if query.kinds is None else list(query.kinds)
        values = (query.action_id, kinds, query.limit, query.containing, query.parent)
        return [to_entry(row) for row in await self._read(text, *values)]

    async def approvals(self, action: UUID) -> list[Entry]:
        found = await self._read(_APPROVALS, action)
        return [to_entry(row) for row in found]

    async def redact(self, writer: UUID, seq: int) -> bool:
        rows = await self._read("select dbdeck_audit.redact($1, $2) as gone", writer, seq)
        return bool(rows[0]["gone"])

    async def candidates(self) -> list[Candidate]:
        return [
            Candidate(intent=to_entry(row), outcome=row["outcome"], alive=row["alive"])
            for row in await self._read(_CANDIDATES)
        ]

    async def chunks(self, above: int | None = None) -> AsyncGenerator[list[Entry | Unreadable], None]:
        connection: Connection | None = None
        try:
            connection = await self._reads.dial()
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                cursor = await connection.cursor(_STREAM, above)
                while rows := await in_time(self._reads.deadline, cursor.fetch(_CHUNK)):
                    yield [readable(tuple(row)) for row in rows]
        except (NotTaken, TimeoutError, asyncpg.PostgresError, *LOST) as error:
            raise self._explain(error) from None
        finally:
            if connection is not None:
                await self._reads.hang_up(connection)

    async def count(self, up_to: int) -> int:
        rows = await self._read("select count(*) as rows from dbdeck_audit.entry where id <= $1", up_to)
        return int(rows[0]["rows"])

    async def hold_writer_lock(self, writer: UUID) -> None:
        key = f"dbdeck_audit.lock_key('{writer}')"
        await self._hold(f"select pg_try_advisory_lock({key}) as held")

    def _is_forbidden(self, error: Exception) -> bool:
        return isinstance(error, asyncpg.InsufficientPrivilegeError)

    def _is_absent(self, error: Exception) -> bool:
        return isinstance(error, _ABSENT)
