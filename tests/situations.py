"""Real lock queues with real sessions, the same on every engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pymysql.err import MySQLError

from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer

SETTLE_SECONDS = 15.0


class Client:
    """One session of an application, on either engine."""

    def __init__(self, connection: Any, *, postgres: bool) -> None:
        self._connection = connection
        self._postgres = postgres
        self.waiting: asyncio.Task[Any] | None = None
        self.id = 0

    @classmethod
    async def open(
        cls, server: Server, database: str, application: str = "shop", *, user: str | None = "app_user"
    ) -> Client:
        """`user` None is the server's superuser."""
        if isinstance(server, MysqlServer):
            connection = await server.connect(user, database=database, program_name=application)
            client = cls(connection, postgres=False)
            client.id = int(connection.thread_id())
            return client
        options = {"server_settings": {"application_name": application}}
        connection = await server.connect(user, database=database, **options)
        client = cls(connection, postgres=True)
        client.id = connection.get_server_pid()
        return client

    async def run(self, sql: str) -> None:
        if self._postgres:
            await self._connection.execute(sql)
            return
        async with self._connection.cursor() as cursor:
            await cursor.execute(sql)

    def wait(self, *statements: str) -> None:
        """Run statements that will wait for a lock, in the background."""

        async def go() -> None:
            for sql in statements:
                await self.run(sql)

        self.waiting = asyncio.create_task(go())

    async def close(self) -> None:
        """After the server ended the session: what waited has ended with it."""
        if self.waiting is not None:
            await asyncio.wait([self.waiting], timeout=SETTLE_SECONDS)
            if self.waiting.done() and not self.waiting.cancelled():
                self.waiting.exception()
        if self._postgres:
            self._connection.terminate()
        else:
            self._connection.close()


class Scene:
    """Clients in one fresh database with a table `orders` of ids 1 to 2000."""

    def __init__(self, server: Server, database: str) -> None:
        self.server = server
        self.database = database
        self.clients: list[Client] = []

    async def root(self, application: str) -> Client:
        """One who may do everything."""
        client = await Client.open(self.server, self.database, application, user=None)
        self.clients.append(client)
        return client

    async def client(self, application: str = "shop") -> Client:
        client = await Client.open(self.server, self.database, application)
        self.clients.append(client)
        return client

    async def holder(self, order: int, application: str = "checkout") -> Client:
        """A session idle in transaction that holds one row."""
        client = await self.client(application)
        await client.run("begin")
        await client.run(touch(order))
        return client

    async def waiter(self, order: int, *, holds: int | None = None) -> Client:
        """A session that wants a row; it may hold another one meanwhile."""
        client = await self.client(f"wants-{order}")
        if holds is not None:
            await client.run("begin")
            await client.run(touch(holds))
        client.wait(touch(order), *(["commit"] if holds is not None else []))
        await asyncio.sleep(0.05)
        return client

    async def chain(self, length: int) -> list[Client]:
        """Root first; each of the others holds row n+1 and wants row n."""
        root = await self.holder(1)
        return [root, *[await self.waiter(n, holds=n + 1) for n in range(1, length)]]


def touch(order: int) -> str:
    return f"update orders set n = n + 1 where id = {order}"


@asynccontextmanager
async def scene(server: Server) -> AsyncIterator[Scene]:
    database = await server.new_database()
    made = Scene(server, database)
    try:
        setup = await made.client("setup")
        await setup.run("create table orders (id int primary key, n int not null)")
        values = ", ".join(f"({n}, 0)" for n in range(1, 2001))
        await setup.run(f"insert into orders values {values}")
        yield made
    finally:
        await end_sessions(server, [client.id for client in made.clients])
        await asyncio.gather(*(client.close() for client in made.clients))


async def end_sessions(server: Server, ids: list[int]) -> None:
    """On the server: a client that cancels would open a connection for each of its statements."""
    if isinstance(server, MysqlServer):
        admin = await server.connect()
        async with admin.cursor() as cursor:
            for number in ids:
                with contextlib.suppress(MySQLError):
                    await cursor.execute(f"kill {number}")
        admin.close()
    else:
        superuser = await server.connect()
        await superuser.execute("select pg_terminate_backend(pid) from unnest($1::int[]) as pid", ids)
        await superuser.close()
