"""The ledger on MySQL and MariaDB: a database of its own, one append procedure, refusing triggers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from pymysql.err import InterfaceError, MySQLError, OperationalError

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
    ordered,
    readable,
    sql,
)
from console.audit.table.server import ServerTable
from console.audit.url import ServerAddress
from console.errors import LoginRefused, Unreachable
from console.secrets import Secret
from console.wire.mysql import Address, Connection, connect_mysql

_APPEND: Final = "call append_entry(%s, %s, %s, %s, %s, unhex(%s), unhex(%s), unhex(%s), unhex(%s))"
_PAGE: Final = f"select {', '.join(COLUMNS)} from entry where id > %s order by id limit %s"  # noqa: S608 - our own
_BARRED: Final = ("an approval of this plan", "a review of this break-glass")
_CHUNK: Final = 1000
_ID, _AT, _KEY = (COLUMNS.index(name) for name in ("id", "at", "idempotency_key"))
_ALL: Final = 2**63 - 1
_DUPLICATE: Final = 1062
_SESSION: Final = "set time_zone = '+00:00', innodb_lock_wait_timeout = 2"
# Lost or killed while the server worked, perhaps in the very commit.
_LOST: Final = frozenset({1053, 1080, 1152, 1153, 1158, 1159, 1160, 1161, 1184, 1317, 1927, 2006, 2013,
                          2014, 2055})  # fmt: skip
_FORBIDDEN: Final = frozenset({1044, 1142, 1143, 1227, 1370})
_ABSENT: Final = frozenset({1049, 1146, 1305})
_KEY_NAME: Final = re.compile(r"for key '(?:\w+\.)?(\w+)'")


class MysqlChannel(Channel[Connection]):
    def __init__(self, address: ServerAddress, password: Secret | None, deadline: float) -> None:
        super().__init__(deadline)
        local = address.host.startswith("/")
        self._address = Address(
            user=address.user,
            host="localhost" if local else address.host,
            port=address.port,
            unix_socket=address.host if local else None,
            password=password,
            database=address.database,
            tls=address.tls,
            ca_file=address.ca_file,
            connect_timeout=deadline,
            init_command=_SESSION,
            program_name="dbdeck audit",
        )

    async def dial(self) -> Connection:
        try:
            return await connect_mysql(self._address)
        except LoginRefused as error:
            raise Forbidden(error.message, error.hint) from None
        except Unreachable as error:
            raise NotTaken(error.message, error.hint) from None

    async def _run(self, connection: Connection, sql: str, *args: object) -> Sequence[Fields]:
        return (await connection.fetch(sql, args)).dicts()

    async def hang_up(self, connection: Connection) -> None:
        with contextlib.suppress(TimeoutError):
            await in_time(GOODBYE_SECONDS, connection.aclose())

    def abort(self, connection: Connection) -> None:
        connection.abort()

    def _is_open(self, connection: Connection) -> bool:
        return connection.usable

    def _is_lost(self, error: Exception) -> bool:
        lost = isinstance(error, OperationalError | InterfaceError) and _code(error) in _LOST
        return lost or isinstance(error, InterfaceError | OSError)


class MysqlTable(ServerTable[Connection]):
    describe = "select id, version, @@innodb_flush_log_at_trx_commit = 1 as durable from ledger"
    clock = "select utc_timestamp(6) as at"
    refusal = MySQLError

    def __init__(self, address: ServerAddress, password: Secret | None, deadline: float) -> None:
        super().__init__(
            address.sink,
            MysqlChannel(address, password, deadline),
            MysqlChannel(address, password, deadline),
        )

    async def append(self, row: Row) -> Entry:
        names = (row.writer, row.seq, row.kind, row.action_id, row.parent)
        blobs = (row.idempotency_key, row.body, row.prev, row.link)
        try:
            rows = await self._appends.fetch(_APPEND, *map(_text, names), *map(_hex, blobs))
        except MySQLError as error:
            if _code(error) == _DUPLICATE:
                found = _KEY_NAME.search(str(error))
                raise await self._conflict(row, found[1] if found else "") from None
            if _code(error) in _FORBIDDEN:
                raise Forbidden(words(error), APPENDS) from None
            kind = Barred if any(one in str(error) for one in _BARRED) else NotTaken
            raise kind(words(error)) from None
        return answered(row, map(_zoned, rows))

    async def find_idempotency(self, key: str) -> UUID | None:
        rows = await self._read("call find_key(unhex(%s))", _hex(key))
        return UUID(rows[0]["action_id"]) if rows else None

    async def entries(self, query: Query) -> list[Entry]:
        text = sql("mysql_entries.sql").format(order="desc" if query.newest_first else "asc")
        action = _text(query.action_id)
        kinds = None if query.kinds is None else ",".join(query.kinds)
        limit = _ALL if query.limit is None else query.limit
        piece, parent = query.containing, _text(query.parent)
        values = (action, action, kinds, kinds, piece, piece, parent, parent, limit)
        return [_entry(row) for row in await self._read(text, *values)]

    async def approvals(self, action: UUID) -> list[Entry]:
        return [_entry(row) for row in await self._read("call find_approvals(%s)", _text(action))]

    async def redact(self, writer: UUID, seq: int) -> bool:
        rows = await self._read("call redact_entry(%s, %s)", _text(writer), seq)
        return bool(rows[0]["gone"])

    async def candidates(self) -> list[Candidate]:
        return [
            Candidate(intent=_entry(row), outcome=row["outcome"], alive=bool(row["alive"]))
            for row in await self._read("call open_candidates()")
        ]

    async def chunks(self, above: int | None = None) -> AsyncGenerator[list[Entry | Unreadable], None]:
        """Pages of one snapshot: between two of them other writers go on."""
        connection: Connection | None = None
        last = -1 if above is None else above  # ids are unsigned here
        try:
            connection = await self._reads.dial()
            await connection.fetch("set transaction isolation level repeatable read")
            await connection.fetch("start transaction with consistent snapshot, read only")
            while rows := await self._page(connection, last):
                yield [readable(_plain(row)) for row in rows]
                last = rows[-1][_ID]
        except (NotTaken, TimeoutError, MySQLError, OSError) as error:
            raise self._explain(error) from None
        finally:
            if connection is not None:
                await self._reads.hang_up(connection)

    async def _page(self, connection: Connection, after: int) -> tuple[tuple[Any, ...], ...]:
        found = await in_time(self._reads.deadline, connection.fetch(_PAGE, (after, _CHUNK)))
        return found.rows

    async def count(self, up_to: int) -> int:
        # By any index but the table itself, which has all texts.
        rows = await self._read("select count(*) as found from entry where id + 0 <= %s", up_to)
        return int(rows[0]["found"])

    async def hold_writer_lock(self, writer: UUID) -> None:
        await self._hold(f"select get_lock('dbdeck/{writer}', 0) as held")

    def _is_forbidden(self, error: Exception) -> bool:
        return _code(error) in _FORBIDDEN

    def _is_absent(self, error: Exception) -> bool:
        return _code(error) in _ABSENT

    def _words(self, error: Exception) -> str:
        return words(error)


def _entry(row: Fields) -> Entry:
    return ordered(_plain([row[name] for name in COLUMNS]))


def _plain(row: Sequence[Any]) -> list[Any]:
    there = list(row)
    there[_AT] = _in_utc(row[_AT])
    if (key := row[_KEY]) is not None:
        there[_KEY] = key.decode(errors="replace")
    return there


def _zoned(row: Fields) -> dict[str, Any]:
    return {name: _in_utc(row[name]) for name in ADDED}


def _in_utc(value: object) -> object:
    """A time of ours; a date of zeros is none."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _hex(value: str | bytes | None) -> str | None:
    data = value.encode() if isinstance(value, str) else value
    return None if data is None else data.hex()


def _code(error: Exception) -> int:
    match error.args:
        case (int(code), *_):
            return code
        case _:
            return 0


def words(error: Exception) -> str:
    match error.args:
        case (int(code), str(text), *_):
            return f"{text} ({code})"
        case _:
            return str(error)
