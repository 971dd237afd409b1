"""A fresh database with a superuser in it, and engines that look at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest_asyncio

from console.engine.postgres.driver import Connection
from console.engine.postgres.engine import PostgresEngine
from console.model.table_locks import TableLock
from console.model.tables import Table, TableQuery, Tables
from tests.servers.accounts import MONITOR, PASSWORDS, login
from tests.servers.postgres import PostgresServer
from tests.targets import target_of

SEER = "seer"  # a monitor that may also read statistics of columns, and sequences


class Desk:
    """`admin` is a superuser's session; `engine` looks with the documented monitor's rights."""

    def __init__(self, server: PostgresServer, database: str, stack: AsyncExitStack) -> None:
        self.server = server
        self.database = database
        self.admin: Connection
        self.engine: PostgresEngine
        self._stack = stack

    async def open(self) -> None:
        self.admin = await self.session("admin")
        self.engine = await self.looking()

    async def session(self, application: str = "shop", user: str | None = None) -> Connection:
        options: dict[str, Any] = {"server_settings": {"application_name": application}}
        made = await self.server.connect(user, database=self.database, **options)
        self._stack.callback(made.terminate)
        return made

    async def looking(self, user: str = MONITOR, **over: Any) -> PostgresEngine:
        """An engine of another login, which is made with the monitor's password."""
        given = {"database": self.database, "monitor": {**login(MONITOR), "user": user}} | over
        target = target_of(self.server, **given)
        made = PostgresEngine(target)
        self._stack.push_async_callback(made.close)
        return made

    async def role(self, name: str, grants: str = "") -> None:
        await self.admin.execute(f"drop role if exists {name}")
        await self.admin.execute(f"create role {name} login password '{PASSWORDS[MONITOR]}'")
        if grants:
            await self.admin.execute(f"grant {grants} to {name}")

    async def seeing(self) -> PostgresEngine:
        await self.role(SEER, "pg_monitor, pg_read_all_data")
        return await self.looking(SEER)

    async def run(self, *statements: str) -> None:
        """As the superuser; the statistics are there when it returns."""
        for sql in statements:
            await self.admin.execute(sql)
            await self.admin.execute("select pg_stat_force_next_flush()")

    async def behind(self, sql: str, application: str = "ddl") -> asyncio.Task[str]:
        """A statement that will wait, in a session of its own."""
        session = await self.session(application)
        task = asyncio.create_task(session.execute(sql))
        self._stack.callback(task.cancel)
        self._stack.push_async_callback(_settled, task)
        await asyncio.sleep(0.3)
        return task

    async def table(self, name: str, engine: PostgresEngine | None = None, schema: str = "public") -> Table:
        found = await (engine or self.engine).tables(TableQuery(names=((schema, name),)))
        return next(one for one in found.tables if (one.schema, one.name) == (schema, name))

    async def tables(self, **wanted: Any) -> Tables:
        return await self.engine.tables(TableQuery(**wanted))

    async def locks(self, name: str) -> tuple[TableLock, ...]:
        return await self.engine.table_locks([("public", name)])


async def _settled(task: asyncio.Task[str]) -> None:
    await asyncio.wait([task], timeout=5)
    if task.done() and not task.cancelled():
        task.exception()


@pytest_asyncio.fixture
async def desk(postgres: PostgresServer) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        made = Desk(postgres, await postgres.new_database(), stack)
        await made.open()
        yield made
        await _end_sessions(made)


async def _end_sessions(desk: Desk) -> None:
    await desk.admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
    )
