"""Sessions of people and programs on a real server, and a way to wait until they wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from pymysql.err import MySQLError

from console.engine.mysql.engine import MysqlEngine
from console.model.blocking import LockNode
from console.model.target import Target
from tests.servers import accounts
from tests.servers.mysql import MysqlServer

Tree = dict[int, LockNode]


class Client:
    """One connection; `start` leaves a statement running, and its refusal is nobody's business."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.id: int = connection.thread_id()
        self._running: asyncio.Task[None] | None = None

    async def ask(self, *statements: str) -> list[tuple[Any, ...]]:
        """The rows of the last one."""
        rows: list[tuple[Any, ...]] = []
        async with self.connection.cursor() as cursor:
            for statement in statements:
                await cursor.execute(statement)
                rows = list(await cursor.fetchall())
        return rows

    def start(self, statement: str) -> None:
        self._running = asyncio.create_task(self._quietly(statement))

    async def _quietly(self, statement: str) -> None:
        try:
            await self.ask(statement)
        except MySQLError:
            return

    async def finish(self) -> None:
        if self._running is not None:
            await self._running


class Crowd:
    """The sessions of one test, on a table `orders` of a database of its own."""

    def __init__(self, server: MysqlServer, database: str) -> None:
        self.server = server
        self.database = database
        self.table = f"{database}.orders"
        self._clients: list[Client] = []

    async def join(self, program: str = "billing") -> Client:
        return await self._add(
            user=accounts.APP, database=self.database, program_name=program, **_login(self.server)
        )

    async def root(self) -> Client:
        return await self._add()

    async def _add(self, **options: Any) -> Client:
        client = Client(await self.server.connect(**options))
        self._clients.append(client)
        return client

    async def leave(self) -> None:
        """End everybody on the server, so that whatever waits stops waiting."""
        last = Client(await self.server.connect())
        for client in self._clients:
            if client.id == last.id:  # the server was restarted, and counts from the beginning
                continue
            try:
                await last.ask(f"kill {client.id}")
            except MySQLError:
                continue
        for client in self._clients:
            await client.finish()
            client.connection.close()
        await last.ask(f"drop database {self.database}")
        last.connection.close()


def _login(server: MysqlServer) -> dict[str, Any]:
    return {"host": None, "unix_socket": str(server.socket)}


@pytest.fixture
async def crowd(mysql: MysqlServer) -> AsyncIterator[Crowd]:
    made = Crowd(mysql, await mysql.new_database())
    first = await made.root()
    await first.ask(
        f"create table {made.table} (id int primary key, state int not null default 0)",
        f"insert into {made.table} (id) values (1), (2), (3), (4), (10), (20)",
    )
    yield made
    await made.leave()


@pytest.fixture
def target(mysql: MysqlServer) -> Target:
    return a_target(mysql)


def a_target(server: MysqlServer, **over: Any) -> Target:
    return msgspec.convert({"name": "shop"} | server.target_dict(**over), Target)


@pytest.fixture
async def engine(target: Target) -> AsyncIterator[MysqlEngine]:
    made = MysqlEngine(target)
    yield made
    await made.close()


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.1)


async def tree(engine: MysqlEngine, *waiters: Client) -> Tree:
    """The wait graph as soon as all of them wait; nodes without a session are under 0."""
    found: Tree = {}

    async def all_wait() -> bool:
        nonlocal found
        found = {node.session.id: node for node in await engine.locks()}
        return all(client.id in found and found[client.id].blocked_by for client in waiters)

    await until(all_wait)
    return found
