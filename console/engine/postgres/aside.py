"""A connection beside the polling one, for reads that take their time; each is of one database."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from console.engine.postgres.driver import READ_LIMITS, Connection, close, connect
from console.engine.postgres.errors import FAILURES, on_read
from console.engine.postgres.link import identify
from console.engine.queries import query
from console.model.target import Target

LOCK_WAIT = "5s"
CATALOG_SECONDS = 300  # of one read of catalogs, with every definition written out

# What text of values and definitions depends on, besides the values themselves; `row_security` off: an error
# is better than rows that are silently left out.
PINNED = {
    "DateStyle": "ISO, MDY",
    "TimeZone": "UTC",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "quote_all_identifiers": "off",
    "row_security": "off",
}
LIMITS = READ_LIMITS | PINNED | {"statement_timeout": f"{CATALOG_SECONDS}s", "lock_timeout": LOCK_WAIT}
OPEN_LONG = {"idle_in_transaction_session_timeout": "0"}


class Aside:
    """Reads by the name of their file. Inside a transaction each has a savepoint: one that fails costs no
    other.
    """

    def __init__(
        self, target: Target, connection: Connection, version: int, user: str, database: str
    ) -> None:
        self.target = target
        self.version = version
        self.user = user
        self.database = database
        self._connection = connection

    @property
    def major(self) -> int:
        return self.version // 10000

    def text(self, name: str) -> str:
        return query("postgres", name, "postgresql", self.version)

    async def fetch(self, name: str, what: str, *args: object) -> list[asyncpg.Record]:
        """Raises an Unreachable error."""
        try:
            return await self.raw(self.text(name), *args)
        except FAILURES as error:
            raise on_read(error, self.target, what) from None

    async def first(self, name: str, what: str) -> asyncpg.Record:
        """The first row, read without a savepoint. Raises an Unreachable error."""
        try:
            return (await self._connection.fetch(self.text(name)))[0]
        except FAILURES as error:
            raise on_read(error, self.target, what) from None

    async def raw(self, sql: str, *args: object, seconds: float | None = None) -> list[asyncpg.Record]:
        """Raises what asyncpg raises. `seconds` is how long the server works on it at most."""
        try:
            if seconds is not None:
                limit = f"{max(1, round(seconds * 1000))}ms"
                await self._connection.fetch(self.text("limits"), ["statement_timeout"], [limit])
            if not self._connection.is_in_transaction():
                return await self._connection.fetch(sql, *args)
            async with self._connection.transaction():
                return await self._connection.fetch(sql, *args)
        except BaseException as error:
            if not isinstance(error, Exception):
                self._connection.terminate()  # cancelled: the server ends its part when the wire is gone
            raise

    async def some(
        self, sql: str, args: Sequence[object], *, seconds: float, limit: int
    ) -> list[asyncpg.Record]:
        """The first rows of a read, inside a transaction. Raises what asyncpg raises."""
        milliseconds = f"{max(1, round(seconds * 1000))}ms"
        await self._connection.fetch(self.text("limits"), ["statement_timeout"], [milliseconds])
        cursor = await self._connection.cursor(sql, *args)
        return await cursor.fetch(limit)

    @asynccontextmanager
    async def one_moment(self) -> AsyncIterator[None]:
        """All reads in it see the same. Raises an Unreachable error."""
        transaction = self._connection.transaction(isolation="repeatable_read", readonly=True)
        try:
            await transaction.start()
        except FAILURES as error:
            raise on_read(error, self.target, "a snapshot") from None
        try:
            yield
        finally:
            if not self._connection.is_closed():
                with contextlib.suppress(*FAILURES):
                    await transaction.rollback()


@asynccontextmanager
async def aside(
    target: Target, database: str, *, purpose: str, limits: dict[str, str] | None = None
) -> AsyncIterator[Aside]:
    """Raises an Unreachable error. `database` empty is the target's own."""
    given = LIMITS if limits is None else limits
    connection = await connect(target, target.monitor, limits=given, purpose=purpose, database=database)
    try:
        identity = await identify(connection, target)
        if identity.version_num >= 140000:
            # It ends soon after we do, however long it would still read. 17 also limits transactions.
            names = ["client_connection_check_interval", "transaction_timeout"]
            names = names[: 2 if identity.version_num >= 170000 else 1]
            sql = query("postgres", "limits", "postgresql", identity.version_num)
            await connection.fetch(sql, names, ["10s", "0"][: len(names)])
        yield Aside(target, connection, identity.version_num, identity.user, identity.database)
    except FAILURES as error:
        raise on_read(error, target, purpose) from None
    finally:
        await close(connection)
