"""Open transactions on real servers: idle writers, readers, prepared ones, and what cannot be seen."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from console.engine.open import open_engine
from console.engine.port import Engine
from console.model.sessions import Protection, State
from console.model.transactions import OpenTransaction
from tests.servers.accounts import MONITOR, PASSWORDS, login
from tests.servers.postgres import PostgresServer
from tests.situations import Scene, scene, touch
from tests.targets import target_of


@pytest_asyncio.fixture
async def shop(postgres: PostgresServer) -> AsyncIterator[Scene]:
    async with scene(postgres) as made:
        yield made


@pytest_asyncio.fixture
async def engine(shop: Scene, postgres: PostgresServer) -> AsyncIterator[Engine]:
    async with open_engine(target_of(postgres, database=shop.database)) as opened:
        yield opened


async def by_pid(engine: Engine) -> dict[int, OpenTransaction]:
    return {one.session.id: one for one in await engine.transactions()}


async def test_an_idle_writer_shows_its_number_its_tables_and_whom_it_blocks(
    shop: Scene, engine: Engine, postgres: PostgresServer
) -> None:
    holder = await shop.holder(1)
    waiter = await shop.waiter(1, holds=2)
    await shop.waiter(2)
    await shop.client("quiet")
    admin = await postgres.connect()
    await admin.execute("select pg_current_xact_id()")
    expected = await admin.fetchval(
        "select backend_xid::text from pg_stat_get_activity($1) where backend_xmin is null", holder.id
    )
    await admin.close()
    found = await by_pid(engine)
    one = found[holder.id]
    assert one.number == expected
    assert one.session.state is State.IDLE_IN_TRANSACTION
    assert one.statements == (touch(1),)
    assert one.objects == ("public.orders",)
    assert one.blocks == 2
    assert one.pins is not None
    assert one.pins >= 1
    assert (one.locks or 0) >= 3
    assert found[waiter.id].blocks == 1
    quiet = [client for client in shop.clients if client.id not in found]
    assert len(quiet) == 2  # the set-up's and the quiet one's


async def test_the_strongest_lock_comes_first_and_system_catalogs_last(shop: Scene, engine: Engine) -> None:
    client = await shop.client()
    await client.run("create table first (id int); create table second (id int)")
    await client.run("begin; lock table second in access exclusive mode")
    await client.run("select from first; select from orders; select count(*) from pg_class")
    objects = (await by_pid(engine))[client.id].objects
    assert objects[0] == "public.second"
    assert set(objects[1:3]) == {"public.first", "public.orders"}
    assert "pg_catalog.pg_class" in objects[3:]
    assert not any("index" in name for name in objects)


async def test_a_reader_without_a_number_is_listed_and_the_oldest_comes_first(
    shop: Scene, engine: Engine
) -> None:
    reader = await shop.client("reader")
    await reader.run("begin isolation level repeatable read")
    await reader.run("select count(*) from orders")
    await shop.holder(3)
    found = [one for one in await engine.transactions() if one.session.database == shop.database]
    ids = [one.session.id for one in found]
    assert ids.index(reader.id) == 0
    assert found[0].number is None
    assert found[0].pins is not None


async def test_a_prepared_one_says_how_to_end_it(shop: Scene, engine: Engine) -> None:
    client = await shop.holder(5)
    await client.run("prepare transaction 'it''s [red]'")
    await shop.waiter(5)
    try:
        one = next(one for one in await engine.transactions() if one.prepared)
        assert one.session.prepared == "it's [red]"
        assert one.resolve == f"ROLLBACK PREPARED 'it''s [red]';  -- in database {shop.database}"
        assert (one.session.user, one.session.database) == ("app_user", shop.database)
        assert one.number
        assert one.pins is not None
        assert one.objects == ("public.orders",)
        assert one.blocks == 1
        assert one.session.transaction_seconds is not None
    finally:
        await client.run("rollback prepared 'it''s [red]'")


async def test_hidden_sessions_with_a_transaction_are_not_dropped(
    shop: Scene, postgres: PostgresServer
) -> None:
    holder = await shop.holder(6)
    admin = await postgres.connect()
    await admin.execute(
        f"drop role if exists unseeing; create role unseeing login password '{PASSWORDS[MONITOR]}'"
    )
    await admin.close()
    target = target_of(postgres, database=shop.database, monitor={**login(MONITOR), "user": "unseeing"})
    async with open_engine(target) as engine:
        one = (await by_pid(engine))[holder.id]
    assert not one.session.visible
    assert one.number is not None
    assert one.pins is not None
    assert one.statements == ()
    assert one.objects == ("public.orders",)


async def test_it_answers_while_the_catalogs_are_locked(
    shop: Scene, engine: Engine, postgres: PostgresServer
) -> None:
    holder = await shop.holder(7)
    await engine.transactions()
    admin = await postgres.connect(database=shop.database)
    try:
        await admin.execute("begin; lock table pg_authid, pg_database, pg_class in access exclusive mode")
        assert holder.id in await by_pid(engine)
        assert any(one.session and one.session.id == holder.id for one in (await engine.horizon()).holders)
        assert isinstance(await engine.slots(), tuple)
    finally:
        await admin.close()


async def test_the_poll_itself_is_not_listed_but_another_console_is(
    shop: Scene, engine: Engine, postgres: PostgresServer
) -> None:
    other = await shop.client("dbdeck")
    await other.run("begin isolation level repeatable read")
    await other.run("select count(*) from orders")
    found = await by_pid(engine)
    assert found[other.id].session.protection is Protection.OWN
    assert [one.session.id for one in found.values() if one.session.protection is Protection.OWN] == [
        other.id
    ]
