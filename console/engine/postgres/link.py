"""The polling connection to one PostgreSQL server: opened when first needed, and again when lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import asyncpg

from console.engine.port import READ_SECONDS
from console.engine.postgres.driver import READ_LIMITS, Connection, close, connect
from console.engine.postgres.errors import FAILURES, on_read
from console.engine.postgres.names import Names
from console.engine.queries import query
from console.model.target import ServerIdentity, Target


class Link:
    """One connection of the monitor identity, who answers on it, and the names that were learnt there."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.names = Names(target)
        self._open: tuple[Connection, ServerIdentity] | None = None
        self.heard_at = float("-inf")  # monotonic seconds

    async def close(self) -> None:
        link, self._open = self._open, None
        if link is not None:
            await close(link[0])

    @property
    def alive(self) -> bool:
        """Whether a read that failed left the connection as it was: then only that read is missing."""
        return self._open is not None and not self._open[0].is_closed()

    @property
    def answered_by(self) -> ServerIdentity | None:
        return self._open[1] if self._open is not None else None

    async def connected(self) -> tuple[Connection, ServerIdentity]:
        """Raises an Unreachable error."""
        if self._open is None or self._open[0].is_closed():
            self.names.clear()
            fresh = await connect(self.target, self.target.monitor, limits=READ_LIMITS)
            try:
                self._open = fresh, await identify(fresh, self.target)
            except BaseException:
                fresh.terminate()
                raise
        return self._open

    async def fetch(self, name: str, what: str, *args: object) -> list[asyncpg.Record]:
        """The rows of one read by the name of its file. Raises an Unreachable error."""
        connection, identity = await self.connected()
        sql = query("postgres", name, "postgresql", identity.version_num)
        try:
            async with asyncio.timeout(READ_SECONDS):
                found = await connection.fetch(sql, *args)
        except FAILURES as error:
            if not isinstance(error, asyncpg.PostgresError) or connection.is_closed():
                self._drop(connection)
            raise on_read(error, self.target, what) from None
        except asyncio.CancelledError:
            self._drop(connection)
            raise
        self.heard_at = time.monotonic()
        return found

    async def learn(self, rows: Sequence[asyncpg.Record]) -> None:
        """The names of the roles and databases in the rows' columns `role` and `database`."""
        connection, identity = await self.connected()
        roles, databases = {row["role"] for row in rows}, {row["database"] for row in rows}
        seen = [*(("role", oid) for oid in roles), *(("database", oid) for oid in databases)]
        await self.names.learn_shared(connection, identity.version_num, seen)

    async def learn_databases(self, databases: Iterable[int]) -> None:
        """The names of databases by their oids: a relation's name is asked for in its own one."""
        connection, identity = await self.connected()
        await self.names.learn_shared(connection, identity.version_num, [("database", d) for d in databases])

    async def learn_relations(self, wanted: Iterable[tuple[int, int]]) -> None:
        """The names of (database, relation) pairs, where they can be found out."""
        connection, identity = await self.connected()
        await self.names.learn_relations(connection, identity, wanted)

    @asynccontextmanager
    async def bare(self, purpose: str) -> AsyncIterator[Connection]:
        """A short connection without our limits, which shows what a login gets that asks for nothing."""
        connection = await connect(self.target, self.target.monitor, limits={}, purpose=purpose)
        try:
            yield connection
        finally:
            await close(connection)

    def _drop(self, connection: Connection) -> None:
        """A connection that went silent or was cancelled mid-read is not reused."""
        connection.terminate()
        self._open = None


async def identify(connection: Connection, target: Target) -> ServerIdentity:
    """Raises an Unreachable error; used for the monitor's and the operator's connection alike."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            row = (await connection.fetch(query("postgres", "identity", "postgresql", 0)))[0]
    except FAILURES as error:
        raise on_read(error, target, "identity") from None
    return ServerIdentity(
        flavor="postgresql",
        version=row["version"],
        version_num=row["version_num"],
        system_id=row["system_id"],
        started_at=row["started_at"],
        primary=row["is_primary"],
        tls="unix socket" if target.local else row["tls"] or "off",
        user=row["session_user"],
        database=row["database"],
    )
