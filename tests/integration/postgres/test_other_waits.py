"""Waits that are not for a row or a table: virtual transactions, speculative inserts, safe snapshots."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from console.engine.open import open_engine
from console.engine.port import Engine
from console.model.blocking import LockNode
from tests.servers.postgres import PostgresServer
from tests.situations import Scene, scene
from tests.targets import target_of


@pytest_asyncio.fixture
async def shop(postgres: PostgresServer) -> AsyncIterator[Scene]:
    async with scene(postgres) as made:
        yield made


@pytest_asyncio.fixture
async def engine(shop: Scene, postgres: PostgresServer) -> AsyncIterator[Engine]:
    async with open_engine(target_of(postgres, database=shop.database)) as opened:
        yield opened


async def waiting(engine: Engine, session_id: int) -> dict[int, LockNode]:
    """The graph once that session waits in it."""
    async with asyncio.timeout(15):
        while True:
            nodes = {node.session.id: node for node in await engine.locks()}
            if session_id in nodes and nodes[session_id].edge:
                return nodes
            await asyncio.sleep(0.1)


async def test_an_index_built_concurrently_waits_for_a_reader(shop: Scene, engine: Engine) -> None:
    reader, builder = await shop.client("reader"), await shop.client("builder")
    await reader.run("begin isolation level repeatable read")
    await reader.run("select from orders limit 1")
    builder.wait("create index concurrently orders_n on orders (n)")
    nodes = await waiting(engine, builder.id)
    one = nodes[builder.id]
    assert one.blocked_by == (reader.id,)
    assert one.edge == "hard"
    assert (one.object or "").startswith("virtual transaction ")
    assert (one.object or "").endswith(f" of session {reader.id}")
    assert nodes[reader.id].root


async def test_a_deferrable_reader_waits_for_a_safe_snapshot(shop: Scene, engine: Engine) -> None:
    writer, reader = await shop.client("writer"), await shop.client("report")
    await writer.run("begin isolation level serializable")
    await writer.run("update orders set n = 1 where id = 1")
    reader.wait("begin isolation level serializable read only deferrable", "select from orders limit 1")
    nodes = await waiting(engine, reader.id)
    assert nodes[reader.id].blocked_by == (writer.id,)
    assert nodes[reader.id].edge == "hard"
    assert "safe snapshot" in (nodes[reader.id].object or "")
    assert nodes[writer.id].blocks == 1


async def test_predicate_locks_block_nobody(shop: Scene, engine: Engine, postgres: PostgresServer) -> None:
    reader = await shop.client("serializable")
    await reader.run("begin isolation level serializable")
    await reader.run("select sum(n) from orders")
    holder = await shop.holder(1)
    waiter = await shop.waiter(1)
    admin = await postgres.connect()
    predicates = "select count(*) from pg_locks where mode = 'SIReadLock' and pid = $1"
    assert await admin.fetchval(predicates, reader.id) > 0
    await admin.close()
    nodes = await waiting(engine, waiter.id)
    assert set(nodes) == {holder.id, waiter.id}
    opened = {one.session.id: one for one in await engine.transactions()}
    assert opened[reader.id].blocks == 0


async def test_a_speculative_insert_is_named(shop: Scene, engine: Engine, postgres: PostgresServer) -> None:
    """Two INSERT … ON CONFLICT of one key: the second waits for the first's token, then its transaction."""
    admin = await postgres.connect(database=shop.database)
    await admin.execute("create table once (k text); grant all on once to app_user")
    await admin.execute(
        "create function gate(text) returns text immutable language plpgsql as $$ begin"
        " perform pg_advisory_xact_lock_shared(4711); return $1; end $$"
    )
    await admin.execute("create unique index on once (gate(k)); create unique index on once ((k || 'x'))")
    await admin.close()
    first, second = await shop.client(), await shop.client()
    for client in (first, second):
        await client.run("begin")
        client.wait("insert into once values ('k') on conflict do nothing")
    async with asyncio.timeout(15):
        while not (first.waiting and second.waiting and (first.waiting.done() or second.waiting.done())):
            await asyncio.sleep(0.05)
    loser = second if first.waiting.done() else first
    nodes = await waiting(engine, loser.id)
    assert (nodes[loser.id].object or "").startswith(("transaction ", "speculative token "))


async def test_tuple_queues_name_the_row(shop: Scene, engine: Engine) -> None:
    holder = await shop.holder(9)
    first, second = await shop.waiter(9), await shop.waiter(9)
    nodes = await waiting(engine, second.id)
    assert (nodes[first.id].object or "").startswith("row (")
    assert "public.orders (transaction " in (nodes[first.id].object or "")
    assert (nodes[second.id].object or "").startswith("row (")
    assert nodes[holder.id].blocks == 2
