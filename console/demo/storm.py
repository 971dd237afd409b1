"""The incident: real sessions in a real lock storm, with four kinds of root blocker.

- checkout: a web session idle in transaction holds one order; a chain of seven and a crowd wait on it
- reporting: an idle reader holds nothing that hurts, until an ALTER TABLE queues behind it and
  everybody else behind the ALTER
- stocktaking: a worker is busy inside a transaction
- nightly: a batch holds an advisory lock
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
_ENDED = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
_CHAIN = 7
_CROWD = 9
_READERS = 8


class Storm:
    """The clients of the incident. Each runs in a task of its own and ends quietly when terminated."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting = 0

    async def client(
        self, user: str, application: str, first: Sequence[str], then: Sequence[str] = ()
    ) -> None:
        """Connect, run `first`, and go on with `then` (which may wait for a lock) in the background."""
        connection = await asyncpg.connect(
            host=self._host,
            port=self._port,
            user=user,
            database="shop",
            ssl=False,
            server_settings={"application_name": application},
        )
        for statement in first:
            await connection.execute(statement)
        self._tasks.append(asyncio.create_task(_go_on(connection, then)))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _go_on(connection: Connection, statements: Sequence[str]) -> None:
    try:
        for statement in statements:
            await connection.execute(statement)
        if statements:
            await _trade(connection)
        else:
            await asyncio.Event().wait()
    except _ENDED:
        return
    finally:
        connection.terminate()


async def _trade(connection: Connection) -> None:
    """What a client does once it is free again: small transactions now and then."""
    dice = random.Random()  # noqa: S311 - no secret
    while True:
        await connection.execute(
            "update shop.orders set updated = now() where id = $1", 5000 + dice.randrange(5000)
        )
        await asyncio.sleep(1 + 4 * dice.random())


def _touch(order: int) -> str:
    return f"update shop.orders set status = 'paid', updated = now() where id = {order}"


@asynccontextmanager
async def storm(host: str, port: int) -> AsyncIterator[None]:
    """Start the incident and wait until its queues stand; end every client on leaving."""
    made = Storm(host, port)
    try:
        await _checkout(made)
        await _reporting(made)
        await _stocktaking(made)
        await _nightly(made)
        await _settle(host, port)
        yield
    finally:
        await made.close()


async def _checkout(made: Storm) -> None:
    """order 1 is held by an idle session; link n of the chain holds order n+1 and wants order n."""
    await made.client("shop_web", "checkout", ["begin", _touch(1)])
    for link in range(1, _CHAIN + 1):
        await made.client(
            "shop_web", f"checkout-{link}", ["begin", _touch(link + 1)], [_touch(link), "commit"]
        )
        await asyncio.sleep(0.05)  # the order of a queue is the order of arrival
    for _ in range(_CROWD):
        await made.client("shop_web", "storefront", [], [_touch(1)])


async def _reporting(made: Storm) -> None:
    await made.client("reporting", "monthly-report", ["begin", "select count(*) from shop.products"])
    await made.client(
        "shop_owner", "migration-42", [], ["alter table shop.products add column weight numeric"]
    )
    await asyncio.sleep(0.1)
    for n in range(_READERS):
        await made.client(
            "shop_web", "catalog", [], [f"select name, price from shop.products where id = {n + 1}"]
        )


async def _stocktaking(made: Storm) -> None:
    await made.client(
        "shop_worker",
        "stocktaking",
        ["begin", "update shop.customers set joined = joined where id between 1 and 500"],
        ["select pg_sleep(86400)"],
    )
    for n in range(3):
        await made.client(
            "shop_worker", "loyalty", [], [f"update shop.customers set joined = now() where id = {n + 1}"]
        )


async def _nightly(made: Storm) -> None:
    await made.client("shop_worker", "nightly-batch", ["select pg_advisory_lock(20260)"])
    for _ in range(2):
        await made.client(
            "shop_worker",
            "nightly-batch",
            [],
            ["select pg_advisory_lock(20260)", "select pg_advisory_unlock_all()"],
        )


async def _settle(host: str, port: int) -> None:
    """Wait until the last of the queues stands."""
    watcher = await asyncpg.connect(host=host, port=port, user="dbdeck_monitor", database="shop", ssl=False)
    expected = _CHAIN + _CROWD + 1 + _READERS + 3 + 2
    try:
        for _ in range(100):
            waiting = await watcher.fetchval("select count(distinct pid) from pg_locks where not granted")
            if waiting >= expected:
                return
            await asyncio.sleep(0.05)
    finally:
        await watcher.close()
