"""A connection of its own for reading what is in a database: for as long as that takes, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from console.engine.mysql.driver import CONTENT_LIMITS, close, connect
from console.engine.mysql.errors import FAILURES, on_read
from console.engine.mysql.identity import identify
from console.engine.mysql.link import end_own_statement
from console.engine.mysql.rows import account_literal
from console.engine.queries import query
from console.model.target import ServerIdentity, Target
from console.wire.mysql import Connection

CATALOG_SECONDS = 120.0  # MariaDB opens every table for some of these reads
GRACE_SECONDS = 5.0


class Reader:
    """Its caller closes it. Every method raises an Unreachable error, or returns what it read."""

    def __init__(self, target: Target, connection: Connection, identity: ServerIdentity) -> None:
        self.target = target
        self.identity = identity
        self._connection = connection

    @property
    def account(self) -> str:
        return account_literal(self.identity.user)

    @property
    def mariadb(self) -> bool:
        return self.identity.flavor == "mariadb"

    async def fetch(self, name: str, *args: object, right: str = "") -> list[dict[str, Any]]:
        """The rows of one read; `right` is what it takes, for the hint where it was refused."""
        sql = query("mysql", name, self.identity.flavor, self.identity.version_num)
        hint = f"GRANT {right} TO {self.account};" if right else ""
        return await self.ask(sql, *args, what=name.replace("_", " "), seconds=CATALOG_SECONDS, hint=hint)

    async def ask(
        self, sql: str, *args: object, what: str, seconds: float, hint: str = ""
    ) -> list[dict[str, Any]]:
        """A statement that is not in a file, as its subject is an identifier or the user's own words."""
        try:
            async with asyncio.timeout(seconds + GRACE_SECONDS):
                return (await self._connection.fetch(sql, args)).dicts()
        except TimeoutError as error:
            await self._given_up()
            raise on_read(error, self.target, what) from None
        except FAILURES as error:
            raise on_read(error, self.target, what, hint) from None
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.ensure_future(self._given_up()))
            raise

    def limited(self, select: str, seconds: float) -> str:
        """A SELECT that the server itself ends. MySQL manual 10.9.3, MariaDB "SET STATEMENT"."""
        seconds = max(0.05, seconds)
        if self.mariadb:
            return f"set statement max_statement_time = {seconds:.3f} for {select}"
        return f"select /*+ MAX_EXECUTION_TIME({int(seconds * 1000)}) */{select.removeprefix('select')}"

    async def begin(self, sql: str) -> None:
        """Open a transaction that only reads."""
        await self.ask(sql, what="a snapshot", seconds=CATALOG_SECONDS)

    async def _given_up(self) -> None:
        """The server goes on with a statement whose reader went away: have it ended there."""
        number = int(self._connection.thread_id())
        self._connection.close()
        await end_own_statement(self.target, self.identity, number)


@asynccontextmanager
async def reader(target: Target, database: str) -> AsyncIterator[Reader]:
    """Raises as `connect`; a database that is not there is Unreachable."""
    aimed = msgspec.structs.replace(target, database=database)
    connection = await connect(aimed, target.monitor, limits=CONTENT_LIMITS, purpose="contents")
    connection.keep_alive()
    try:
        yield Reader(aimed, connection, await identify(connection, aimed))
    finally:
        await close(connection)
