"""What bears a name, and what an index could be built on, on all engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest_asyncio

from console.engine.open import open_engine
from console.engine.port import Engine
from console.present.reads import READS
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.situations import Scene, scene
from tests.targets import target_of


@pytest_asyncio.fixture
async def shop(any_server: Server) -> AsyncIterator[Scene]:
    async with scene(any_server) as made:
        yield made


@pytest_asyncio.fixture
async def engine(shop: Scene, any_server: Server) -> AsyncIterator[Engine]:
    async with open_engine(target_of(any_server, database=shop.database)) as opened:
        yield opened


def schema_of(shop: Scene) -> str:
    return shop.database if isinstance(shop.server, MysqlServer) else "public"


async def test_a_name_is_told_with_what_it_is(shop: Scene, engine: Engine) -> None:
    setup = await shop.client("setup")
    await setup.run("create view seen as select 1 as one")
    for name, kind in (("orders", "table"), ("seen", "view")):
        found = await engine.relations(schema_of(shop), name)
        assert [(one.schema, one.name, one.kind) for one in found] == [(schema_of(shop), name, kind)]
    assert await engine.relations(schema_of(shop), "nothing") == ()


async def test_a_name_without_its_schema_is_looked_for_everywhere(shop: Scene, engine: Engine) -> None:
    """A name that no other test has on this server: only the first ones are told."""
    name = f"only_{uuid4().hex[:12]}"
    owner = await shop.client("ddl")
    await owner.run(f"create table {name} (id int primary key)")
    found = await engine.relations("", name)
    assert [one.schema for one in found] == [schema_of(shop)]


async def test_columns_are_told_with_their_types(shop: Scene, engine: Engine) -> None:
    site = await engine.index_site(schema_of(shop), "orders")
    assert {"id", "n"} <= {one.name for one in site.columns}
    assert all(one.type for one in site.columns)


async def test_no_read_waits_behind_an_exclusive_lock(shop: Scene, engine: Engine) -> None:
    holder = await shop.client("ddl")
    mysql = isinstance(shop.server, MysqlServer)
    await holder.run("lock tables orders write" if mysql else "begin")
    if not mysql:
        await holder.run("lock table orders in access exclusive mode")
    async with asyncio.timeout(1.5):
        site = await engine.index_site(schema_of(shop), "orders")
        found = await engine.relations(schema_of(shop), "orders")
    assert [one.kind for one in found] == ["table"]
    assert site.columns


async def test_the_health_of_a_server_is_a_read(engine: Engine, any_server: Server) -> None:
    """What is not known has its reason; a disk is known where the server's machine is ours."""
    (row,) = await READS["health"](engine)
    assert (row["lag_seconds"] is None) == (row["replica"] == "")
    assert (row["disk_used"] is None) == bool(row["disk_unknown"])
    over = {"host": str(any_server.socket) if isinstance(any_server, MysqlServer) else any_server.host}
    async with open_engine(target_of(any_server, **over, tls="off")) as near:
        (row,) = await READS["health"](near)
    assert 0 < row["disk_used"] < 1, row
    assert row["disk_free"] > 0
