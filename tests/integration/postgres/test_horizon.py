"""Who holds the horizon, on real servers: sessions, prepared transactions, slots; and what it pins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from console.engine.open import open_engine
from console.engine.port import Engine
from console.model.horizon import Holder, HolderKind, Horizon
from tests.servers.accounts import MONITOR, PASSWORDS, login
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


def named(horizon: Horizon, name: str) -> Holder:
    return next(one for one in horizon.holders if one.name == name)


async def burn(postgres: PostgresServer, database: str, numbers: int) -> None:
    admin = await postgres.connect(database=database)
    for _ in range(numbers):
        await admin.execute("select pg_current_xact_id()")
    await admin.close()


async def test_holders_are_ranked_with_the_action_that_ends_each(
    shop: Scene, engine: Engine, postgres: PostgresServer
) -> None:
    prepared = await shop.holder(1)
    await prepared.run("prepare transaction 'two words'")
    await burn(postgres, shop.database, 3)
    reader = await shop.client("reader")
    await reader.run("begin isolation level repeatable read")
    await reader.run("select from orders")
    await burn(postgres, shop.database, 3)
    writer = await shop.holder(2)
    try:
        horizon = await engine.horizon()
    finally:
        await prepared.run("rollback prepared 'two words'")
    mine = [one for one in horizon.holders if one.session and one.session.database == shop.database]
    assert [one.kind for one in mine] == [HolderKind.PREPARED, HolderKind.SNAPSHOT, HolderKind.TRANSACTION]
    assert [one.name for one in mine] == ["two words", f"session {reader.id}", f"session {writer.id}"]
    ages = [one.age or 0 for one in mine]
    assert ages == sorted(ages, reverse=True)
    assert ages[0] == ages[1] > ages[2]  # the reader's snapshot is as old as what was open when it was taken
    assert horizon.age is not None
    assert horizon.age >= ages[0]
    assert mine[0].remedy == "transaction.rollback_prepared gid='two words'"
    assert mine[1].remedy.startswith(f"session.terminate id={reader.id} started_at=")
    assert all(shop.database in one.scope for one in mine)
    assert horizon.notes == ()


async def test_dead_rows_are_pinned_when_vacuum_came_after_the_holder(
    shop: Scene, engine: Engine, postgres: PostgresServer
) -> None:
    admin = await postgres.connect(database=shop.database)
    await admin.execute("create table free (id int); insert into free select generate_series(1, 100)")
    await admin.execute("alter table free set (autovacuum_enabled = off)")
    await admin.execute("alter table orders set (autovacuum_enabled = off)")
    reader = await shop.client("reader")
    await reader.run("begin isolation level repeatable read")
    await reader.run("select from orders")
    await admin.execute("update orders set n = 1 where id <= 500")
    await admin.execute("select pg_stat_force_next_flush()")
    await admin.execute("vacuum orders")
    await admin.execute("delete from free")
    await admin.execute("select pg_stat_force_next_flush()")
    await admin.close()
    for _ in range(50):
        horizon = await engine.horizon()
        tables = {one.table: one for one in horizon.uncleaned}
        if "public.orders" in tables and "public.free" in tables:
            break
        await asyncio.sleep(0.2)
    assert tables["public.orders"].dead_rows == 500
    assert tables["public.orders"].pinned
    assert (tables["public.orders"].since_vacuum or 0) > 0
    assert tables["public.free"].dead_rows == 100
    assert not tables["public.free"].pinned
    assert tables["public.free"].since_vacuum is None


async def test_a_plain_vacuum_holds_nothing_though_its_xmin_is_shown(
    shop: Scene, engine: Engine, postgres: PostgresServer
) -> None:
    setup = await postgres.connect(database=shop.database)
    await setup.execute(
        "create table big as select g as id, repeat('x', 500) as t from generate_series(1, 50000) g"
    )
    await setup.execute("delete from big where id % 2 = 0")
    vacuum, waiting = [await postgres.connect(database=shop.database) for _ in range(2)]
    await vacuum.execute("set vacuum_cost_delay = 20; set vacuum_cost_limit = 10")
    first = asyncio.create_task(vacuum.execute("vacuum big"))
    await asyncio.sleep(0.3)
    second = asyncio.create_task(waiting.execute("/* x */ vacuum (verbose off) big"))
    await asyncio.sleep(0.5)
    pids = [vacuum.get_server_pid(), waiting.get_server_pid()]
    shown = await setup.fetchval(
        "select count(*) from pg_stat_activity where pid = any($1) and backend_xmin is not null", pids
    )
    holders = {one.session.id for one in (await engine.horizon()).holders if one.session}
    # The server's own word: rows deleted after the vacuum began can be removed while it runs.
    await setup.execute("create table other (id int); insert into other values (1); delete from other")
    await setup.execute("vacuum other")
    left = await setup.fetchval("select pg_stat_get_dead_tuples('other'::regclass)")
    await setup.execute("select pg_terminate_backend(pid) from unnest($1::int[]) pid", pids)
    await asyncio.gather(first, second, return_exceptions=True)
    await setup.close()
    assert shown >= 1
    assert left == 0
    assert holders.isdisjoint(pids)


async def test_slots_hold_catalogs_everywhere_and_are_told_with_what_they_keep(
    shop: Scene, engine: Engine, postgres: PostgresServer
) -> None:
    admin = await postgres.connect(database=shop.database)
    await admin.execute("select pg_create_logical_replication_slot('cdc_feed', 'pgoutput')")
    await admin.execute("select pg_create_physical_replication_slot('standby_1', true)")
    try:
        await burn(postgres, shop.database, 5)
        horizon = await engine.horizon()
        slots = {one.name: one for one in await engine.slots()}
        expected = await admin.fetchrow("select * from pg_replication_slots where slot_name = 'cdc_feed'")
    finally:
        await admin.execute(
            "select pg_drop_replication_slot('cdc_feed'), pg_drop_replication_slot('standby_1')"
        )
        await admin.close()
    holder = named(horizon, "cdc_feed")
    assert (holder.kind, holder.scope) == (HolderKind.SLOT, "system catalogs of every database")
    assert holder.remedy.startswith("slot.drop name=cdc_feed")
    assert (holder.age or 0) >= 5
    feed = slots["cdc_feed"]
    assert expected is not None
    assert (feed.kind, feed.plugin, feed.database) == ("logical", "pgoutput", shop.database)
    assert feed.catalog_xmin_age == holder.age
    assert (feed.wal_status, feed.active_pid, feed.reader) == (expected["wal_status"], None, None)
    assert feed.confirmed_lsn is not None
    assert (feed.retained_bytes or 0) > 0
    assert (feed.inactive_since is not None) is (postgres.major >= 17)
    assert (feed.idle_seconds is not None and 0 <= feed.idle_seconds < 600) is (postgres.major >= 17)
    standby = slots["standby_1"]
    assert (standby.kind, standby.database, standby.xmin_age) == ("physical", None, None)
    assert standby.retained_bytes is not None


async def test_without_the_privilege_a_note_names_the_grant(shop: Scene, postgres: PostgresServer) -> None:
    holder = await shop.holder(3)
    snapshot = await shop.client("report")
    await snapshot.run("begin isolation level repeatable read")
    await snapshot.run("select count(*) from orders")
    admin = await postgres.connect()
    await admin.execute(f"drop role if exists dim; create role dim login password '{PASSWORDS[MONITOR]}'")
    await admin.close()
    target = target_of(postgres, database=shop.database, monitor={**login(MONITOR), "user": "dim"})
    async with open_engine(target) as engine:
        horizon = await engine.horizon()
    assert "sessions of other roles among them it is hidden since when" in horizon.notes[0]
    assert "GRANT pg_read_all_stats TO dim;" in horizon.notes[0]
    one = named(horizon, f"session {holder.id}")  # its number is in the lock table
    assert one.kind is HolderKind.TRANSACTION
    assert one.age is not None
    reader = named(horizon, f"session {snapshot.id}")
    assert reader.kind is HolderKind.SNAPSHOT
    assert reader.age is not None
    assert "hidden" in one.remedy or one.remedy.startswith("session.terminate")


async def test_a_locked_catalog_leaves_only_the_dead_rows_unknown(
    shop: Scene, engine: Engine, postgres: PostgresServer
) -> None:
    holder = await shop.holder(4)
    await engine.horizon()
    admin = await postgres.connect(database=shop.database)
    try:
        await admin.execute("begin; lock table pg_class in access exclusive mode")
        horizon = await engine.horizon()
    finally:
        await admin.close()
    assert named(horizon, f"session {holder.id}").age is not None
    assert horizon.uncleaned == ()
    assert "dead rows are unknown" in horizon.notes[0]
