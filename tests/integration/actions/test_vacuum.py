"""Vacuum and analyze on real servers: proved, in short tries, with hostile names, stopped, resumed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from actions import held_back
from console.dispatch.action import Watch
from console.errors import Exit, Refused, Stale, UsageError
from tests.integration.actions.conftest import Desk, desk_on, until
from tests.servers.accounts import MAINTAINER, login
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import tcp_proxy
from tests.situations import Scene, scene

HOSTILE = ("two words", 'quo"te', "apo'strophe", "new\nline", "ünïcødé→", "select", "a.b", "x" * 63, "%s{}$1")


@pytest_asyncio.fixture
async def shop(postgres: PostgresServer) -> AsyncIterator[Scene]:
    async with scene(postgres) as made:
        yield made


@pytest_asyncio.fixture
async def desk(shop: Scene, postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Desk]:
    over = {"database": shop.database, "operator": login(MAINTAINER)}
    async with desk_on(postgres, tmp_path, **over) as made:
        yield made


async def vacuumed(desk: Desk, database: str) -> dict[str, int]:
    rows = await desk.as_superuser(
        "select relname::text, vacuum_count + analyze_count from pg_stat_user_tables", database=database
    )
    return {row[0]: row[1] for row in rows}


def finishing(postgres: PostgresServer) -> int:
    """How many statements follow those of several tables."""
    return int(postgres.major >= 16)


async def test_a_table_is_vacuumed_and_the_server_says_so(desk: Desk, shop: Scene) -> None:
    run = await desk.run("table.vacuum", table="orders")
    assert (run.exit, run.effect) == (Exit.OK, "applied")
    assert (await vacuumed(desk, shop.database))["orders"] == 1
    assert await desk.kinds() == ["intent", "step", "outcome"]


async def test_options_are_what_the_server_was_told(desk: Desk, shop: Scene) -> None:
    plan = await desk.plan(
        "table.vacuum", table="orders", freeze=True, analyze=True, truncate=False, index_cleanup="on",
        parallel=0, cost_delay=1, cost_limit=500,
    )  # fmt: skip
    assert plan.statements[0].endswith(
        'vacuum (freeze, analyze, index_cleanup on, truncate off, parallel 0) "public"."orders"'
    )
    assert plan.statements[0].startswith("set vacuum_cost_delay = 1; set vacuum_cost_limit = 500; ")
    run = await desk.apply(plan)
    assert run.exit is Exit.OK
    assert (await vacuumed(desk, shop.database))["orders"] == 2


async def test_hostile_names_work(desk: Desk, shop: Scene, postgres: PostgresServer) -> None:
    setup = await shop.client("setup")
    await setup.run('create schema "odd ""schema"""')
    for name in HOSTILE:
        quoted = '"' + name.replace('"', '""') + '"'
        await setup.run(f'create table "odd ""schema""".{quoted} (id int primary key)')
    run = await desk.run("table.vacuum", schema='odd "schema"', analyze=True)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), run.error
    counts = await vacuumed(desk, shop.database)
    assert {counts[name] for name in HOSTILE} == {2}
    again = await desk.plan("table.vacuum", **(await desk.plan("table.vacuum", all=True)).args)
    assert len(again.statements) == len(HOSTILE) + 1 + finishing(postgres)


async def test_a_held_lock_is_waited_for_in_short_tries_and_readers_pass(
    desk: Desk, shop: Scene, postgres: PostgresServer
) -> None:
    """VACUUM FULL wants every reader out; while it waits, new readers queue behind it, but never for long."""
    reader = await shop.client("report")
    await reader.run("begin")
    await reader.run("select count(*) from orders")
    plan = await desk.plan("table.vacuum", table="orders", full=True, tries=4, lock_timeout="300ms")
    assert any("report" in line and "held up now" in line for line in plan.forecast)
    other = await postgres.connect("app_user", database=shop.database)
    waits: list[float] = []
    stop = asyncio.Event()

    async def read() -> None:
        while not stop.is_set():
            start = time.monotonic()
            await other.fetchval("select count(*) from orders")
            waits.append(time.monotonic() - start)
            await asyncio.sleep(0.01)

    reading = asyncio.create_task(read())
    run = await confirmed(desk, plan)
    stop.set()
    await reading
    await other.close()
    assert (run.exit, run.effect) == (Exit.FAILED, "none")
    assert run.error is not None
    assert "no lock was to be had" in run.error.message
    assert f"session {reader.id}" in run.error.message
    assert max(waits) < 0.3 + 0.5, "a reader waited longer than one try"


async def confirmed(desk: Desk, plan: Any, **options: Any) -> Any:
    from console.dispatch.action import Approval

    approval = Approval(reason="a test", confirm=desk.engine.target.name)
    options.setdefault("watch", Watch(seconds=0))
    return await desk.dispatcher.apply(plan, desk.engine, approval, **options)


async def test_full_rewrites_and_is_proved_by_the_new_file(desk: Desk, shop: Scene) -> None:
    before = await desk.as_superuser(
        "select relfilenode from pg_class where relname = 'orders'", database=shop.database
    )
    run = await confirmed(desk, await desk.plan("table.vacuum", table="orders", full=True))
    after = await desk.as_superuser(
        "select relfilenode from pg_class where relname = 'orders'", database=shop.database
    )
    assert (run.exit, run.effect) == (Exit.OK, "applied")
    assert before != after


async def test_a_lock_that_is_let_go_is_had(desk: Desk, shop: Scene) -> None:
    holder = await shop.client("ddl")
    await holder.run("begin")
    await holder.run("lock table orders in share update exclusive mode")
    heard: list[str] = []
    plan = await desk.plan("table.vacuum", table="orders", lock_timeout="200ms", tries=20)
    running = asyncio.create_task(desk.apply(plan, watch=Watch(seconds=0, tell=heard.append)))
    await until(_some(heard))
    await holder.run("commit")
    run = await running
    assert (run.exit, run.effect) == (Exit.OK, "applied")
    assert f"session {holder.id}" in heard[0]


def _some(heard: list[str]) -> Any:
    async def there() -> bool:
        return bool(heard)

    return there


async def test_a_slow_vacuum_tells_how_far_it_is_and_stops_when_told(
    desk: Desk, shop: Scene, postgres: PostgresServer
) -> None:
    await slow_table(desk, shop)
    heard: list[str] = []
    watch = Watch(seconds=0, tell=heard.append)
    plan = await desk.plan("table.vacuum", table="big", cost_delay=100, cost_limit=1)
    running = asyncio.create_task(desk.apply(plan, watch=watch))

    async def told() -> bool:
        return any("scanning heap" in line for line in heard)

    await until(told)
    watch.stop.set()
    run = await asyncio.wait_for(running, 10)
    assert (run.exit, run.effect) == (Exit.FAILED, "none")
    assert run.error is not None
    assert "stopped by its caller" in run.error.message
    left = await desk.as_superuser(
        "select count(*) from pg_stat_progress_vacuum where relid = 'big'::regclass", database=shop.database
    )
    assert left == [(0,)]


async def test_many_tables_side_by_side_some_blocked_and_the_rest_resumed(desk: Desk, shop: Scene) -> None:
    setup = await shop.client("setup")
    for n in range(12):
        await setup.run(f"create table t{n} (id int primary key)")
    holder = await shop.client("ddl")
    await holder.run("begin")
    await holder.run("lock table t3, t7 in access exclusive mode")
    run = await desk.run("table.analyze", pattern="t*", jobs=4, lock_timeout="100ms", tries=2)
    assert (run.exit, run.effect) == (Exit.PARTIAL, "applied"), run
    await holder.run("rollback")
    plan = await desk.dispatcher.resume(run.action_id, desk.engine)
    assert [one.subject for one in plan.pieces] == ["public.t3", "public.t7"]
    rest = await desk.apply(plan)
    assert rest.exit is Exit.OK
    counts = await vacuumed(desk, shop.database)
    assert {counts[f"t{n}"] for n in range(12)} == {1}


async def test_dead_rows_of_what_was_not_vacuumed_are_nobodys_who_holds_the_horizon(
    desk: Desk, shop: Scene
) -> None:
    setup = await shop.client("setup")
    for name in ("v1", "v2"):
        await setup.run(f"create table {name} with (autovacuum_enabled = off) as select 1 as n")
    old, holder = await shop.client("report"), await shop.client("ddl")
    await old.run("begin isolation level repeatable read")
    await old.run("select count(*) from v1")
    for name in ("v1", "v2"):
        await setup.run(f"update {name} set n = 2")
    await setup.run("select pg_stat_force_next_flush()")
    await holder.run("begin")
    await holder.run("lock table v2 in share mode")
    await asyncio.sleep(held_back.YOUNG + 0.5)
    run = await desk.run("table.vacuum", pattern="v*", lock_timeout="100ms", tries=2)
    assert (run.exit, run.effect) == (Exit.PARTIAL, "applied"), run
    assert run.verify is not None
    assert run.verify.evidence["dead_rows_left"].startswith("1 in 1 table, which session ")
    await old.run("rollback")
    await holder.run("rollback")


async def test_partitions_stand_for_their_table(desk: Desk, shop: Scene, postgres: PostgresServer) -> None:
    setup = await shop.client("setup")
    await setup.run("create table events (at int) partition by range (at)")
    for n in range(3):
        await setup.run(f"create table events_{n} partition of events for values from ({n}) to ({n + 1})")
    run = await desk.run("table.vacuum", table="events")
    assert (run.exit, len(run.statements)) == (Exit.OK, 3 + finishing(postgres))


async def test_a_partitioned_table_that_is_named_gets_statistics_of_its_own(desk: Desk, shop: Scene) -> None:
    """Autovacuum never collects them, and an ANALYZE of its partitions does not either."""
    setup = await shop.client("setup")
    await setup.run("create table events (at int, v int) partition by range (at)")
    for n in range(3):
        await setup.run(f"create table events_{n} partition of events for values from ({n}) to ({n + 1})")
    await setup.run("insert into events select g % 3, g from generate_series(1, 3000) g")
    await setup.run("select pg_stat_force_next_flush()")
    assert 'analyze "public"."events"' in (await desk.plan("database.maintain")).statements
    run = await desk.run("table.analyze", table="events")
    assert (run.exit, run.effect, run.statements) == (Exit.OK, "applied", ('analyze "public"."events"',)), run
    own = "select count(*) from pg_stats where tablename = 'events' and inherited"
    assert await desk.as_superuser(own, database=shop.database) == [(2,)]
    assert {(await vacuumed(desk, shop.database))[f"events_{n}"] for n in range(3)} == {1}
    again = await desk.plan("table.analyze", table=("events", "events_1"))
    assert again.statements == ('analyze "public"."events"',)


async def test_the_age_of_the_database_is_told_once_after_many(
    desk: Desk, shop: Scene, postgres: PostgresServer
) -> None:
    """All but two tables are frozen already, so that the age of the database is theirs."""
    setup = await shop.client("setup")
    await setup.run("create table other (id int)")
    holder = await shop.client("holder")
    await holder.run("begin")
    await holder.run("lock table orders, other in share update exclusive mode")
    burn = ["select pg_current_xact_id()"] * 50
    await desk.as_superuser(*burn, "vacuum (freeze, skip_locked)", database=shop.database)
    await holder.run("rollback")
    age = "select age(datfrozenxid) from pg_database where datname = current_database()"
    assert await desk.as_superuser(age, database=shop.database) >= [(50,)]
    run = await desk.run("table.vacuum", table=["orders", "other"], freeze=True)
    assert run.exit is Exit.OK
    assert await desk.as_superuser(age, database=shop.database) < [(50,)]
    assert ("vacuum (only_database_stats)" in run.statements) is bool(finishing(postgres))
    assert (await desk.kinds()).count("step") == 1 + finishing(postgres)


async def test_without_the_right_it_is_refused_before_any_intent(
    shop: Scene, postgres: PostgresServer, tmp_path: Path
) -> None:
    async with desk_on(postgres, tmp_path, database=shop.database) as desk:
        plan = await desk.plan("table.vacuum", table="orders")
        with pytest.raises(Refused, match="GRANT") as refused:
            await desk.apply(plan)
        assert "orders" in refused.value.message
        assert "intent" not in await desk.kinds()


async def test_a_table_made_anew_is_another_one(desk: Desk, shop: Scene) -> None:
    from console.errors import Stale

    plan = await desk.plan("table.vacuum", table="orders")
    setup = await shop.client("setup")
    await setup.run("drop table orders")
    await setup.run("create table orders (id int primary key, n int not null)")
    with pytest.raises(Stale, match="changed since the plan"):
        await desk.apply(plan)


@pytest.mark.parametrize("given", [{"table": "nowhere"}, {"table": "public.nowhere"}])
async def test_an_unknown_table_is_named(desk: Desk, given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        await desk.plan("table.vacuum", **given)


async def test_a_session_ended_in_the_midst_is_told_by_what_the_server_shows(
    desk: Desk, shop: Scene, postgres: PostgresServer
) -> None:
    await slow_table(desk, shop)
    plan = await desk.plan("table.vacuum", table=["big", "orders"], cost_delay=100, cost_limit=1)
    running = asyncio.create_task(desk.apply(plan, watch=Watch(seconds=0)))
    ended = "select pg_terminate_backend(pid) from pg_stat_progress_vacuum where datname = current_database()"

    async def at_work() -> bool:
        return bool(await desk.as_superuser(ended, database=shop.database))

    await until(at_work)
    run = await asyncio.wait_for(running, 20)
    assert (run.exit, run.effect) == (Exit.FAILED, "none"), (run.verify, run.error)
    assert run.verify is not None
    assert run.verify.evidence["counts"]["unknown"] == 1
    assert run.error is not None
    assert "answer was lost" in run.error.message


async def slow_table(desk: Desk, shop: Scene) -> None:
    await desk.as_superuser(
        "create table big as select g as id, repeat('x', 500) as t from generate_series(1, 60000) g",
        "alter table big owner to app_user",
        "delete from big where id % 2 = 0",
        database=shop.database,
    )


async def test_a_wire_that_is_cut_leaves_the_statement_running_and_is_not_called_failed(
    shop: Scene, postgres: PostgresServer, tmp_path: Path
) -> None:
    async with tcp_proxy("127.0.0.1", postgres.tcp_port) as proxy:
        over = {"database": shop.database, "operator": login(MAINTAINER), "port": proxy.port}
        async with desk_on(postgres, tmp_path, **over) as desk:
            await slow_table(desk, shop)
            plan = await desk.plan("table.vacuum", table="big", cost_delay=50, cost_limit=1)
            running = asyncio.create_task(desk.apply(plan, watch=Watch(seconds=0)))

            async def at_work() -> bool:
                rows = await desk.as_superuser(
                    "select count(*) from pg_stat_progress_vacuum where datname = current_database()",
                    database=shop.database,
                )
                return rows == [(1,)]

            await until(at_work)
            proxy.kill()
            run = await asyncio.wait_for(running, 40)
            # The server goes on with it, or has noticed by now that nobody listens.
            assert (run.exit, run.effect) in ((Exit.UNKNOWN, "unknown"), (Exit.FAILED, "none")), run
            assert await at_work() is (run.exit is Exit.UNKNOWN)
            await desk.as_superuser(
                "select pg_terminate_backend(pid) from pg_stat_progress_vacuum"
                " where datname = current_database()",
                database=shop.database,
            )


async def test_the_server_takes_every_buffer_usage_limit_that_the_plan_takes(desk: Desk) -> None:
    if (await desk.engine.identity()).version_num < 160000:
        with pytest.raises(UsageError, match="no BUFFER_USAGE_LIMIT"):
            await desk.plan("table.vacuum", table="orders", buffer_usage_limit="2MB")
        return
    for given in ("0", "128", "128kB", "16GB", "2 MB", "131072B"):
        run = await desk.run("table.vacuum", table="orders", buffer_usage_limit=given)
        assert run.exit is Exit.OK, run.error
    for given in ("127", "17GB"):
        with pytest.raises(UsageError, match="from 128kB to 16GB"):
            await desk.plan("table.vacuum", table="orders", buffer_usage_limit=given)
    options = {"full": True, "analyze": True, "buffer_usage_limit": "2MB"}
    run = await confirmed(desk, await desk.plan("table.vacuum", table="orders", **options))
    assert run.exit is Exit.OK, run.error


async def test_what_is_no_table_is_told_as_what_it_is(desk: Desk, shop: Scene) -> None:
    setup = await shop.client("setup")
    await setup.run("create view seen as select 1 as one")
    await setup.run("create sequence counter")
    for name, words in (("seen", "is a view, not a table"), ("public.seen", "is a view, not a table"),
                        ("counter", "is a sequence"), ("public.orders_pkey", "is an index")):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            await desk.plan("table.vacuum", table=name)
    with pytest.raises(UsageError, match=r"public\.orders is a table, not an index") as refused:
        await desk.plan("index.reindex", index="orders")
    assert "table=public.orders" in refused.value.hint
    with pytest.raises(UsageError, match="no table"):
        await desk.plan("table.vacuum", table="nothing")


async def test_no_way_and_two_ways_of_choosing_are_told_apart(desk: Desk) -> None:
    with pytest.raises(UsageError, match="which tables") as bare:
        await desk.plan("table.vacuum")
    assert "all=true" in bare.value.hint
    with pytest.raises(UsageError, match="table and schema choose in different ways"):
        await desk.plan("table.vacuum", table="orders", schema="public")
    with pytest.raises(UsageError, match="which indexes") as indexes:
        await desk.plan("index.reindex")
    assert "index=…" in indexes.value.hint
    for given in ({"index": "orders_pkey", "table": "orders"}, {"worst": 3, "all": True}):
        with pytest.raises(UsageError, match="in different ways"):
            await desk.plan("index.reindex", **given)
    with pytest.raises(UsageError, match="index and all choose"):
        await desk.plan("index.drop_invalid", index="orders_pkey", all=True)


async def test_a_table_made_anew_since_the_plan_is_told_so(desk: Desk, shop: Scene) -> None:
    setup = await shop.client("setup")
    await setup.run("create table fleeting (id int)")
    plan = await desk.plan("table.vacuum", table="fleeting")
    await setup.run("drop table fleeting")
    await setup.run("create table fleeting (id int)")
    with pytest.raises(Stale, match=r"table public\.fleeting was dropped and made anew"):
        await desk.apply(plan)


async def test_who_holds_a_partition_up_is_named_for_its_whole_tree(desk: Desk, shop: Scene) -> None:
    setup = await shop.client("setup")
    await setup.run("create table e (id int, n int) partition by range (id)")
    await setup.run("create table e1 partition of e for values from (0) to (9) partition by list (n)")
    await setup.run("create table e11 partition of e1 for values in (1)")
    other = await shop.client("dba")
    await other.run("begin")
    await other.run("lock table e11 in share update exclusive mode")
    plan = await desk.plan("table.analyze", table="e", tries=1, lock_timeout="200ms")
    held = f"session {other.id}"
    assert [line for line in plan.forecast if "held up now" in line and held in line and "public.e11" in line]
    run = await desk.apply(plan)
    assert run.error is not None
    assert held in run.error.message
    assert "on public.e11" in run.error.message


async def test_who_works_on_the_toast_table_holds_a_vacuum_up(
    desk: Desk, shop: Scene, postgres: PostgresServer
) -> None:
    setup = await shop.client("setup")
    await setup.run("create table long (id int, v text)")
    await setup.run("alter table long alter v set storage external")
    await setup.run("insert into long select g, repeat('x', 8000) from generate_series(1, 300) g")
    await setup.run("delete from long")
    admin = await postgres.connect(database=shop.database)
    toast = await admin.fetchval("select reltoastrelid::regclass::text from pg_class where relname = 'long'")
    await admin.execute("set vacuum_cost_delay = 100; set vacuum_cost_limit = 1")
    slow = asyncio.create_task(admin.execute(f"vacuum {toast}"))
    try:

        async def held() -> bool:
            plan = await desk.plan("table.vacuum", table="long")
            return any("held up now" in line and "its TOAST table" in line for line in plan.forecast)

        await until(held)
        plan = await desk.plan("table.analyze", table="long")
        assert not [line for line in plan.forecast if "held up now" in line]
        run = await desk.run("table.vacuum", table="long", tries=1, lock_timeout="200ms")
        assert run.error is not None
        assert f"session {admin.get_server_pid()}" in run.error.message
    finally:
        # A vacuum does not look whether its client is there: it would go on for minutes.
        await desk.as_superuser(f"select pg_terminate_backend({admin.get_server_pid()})")
        await asyncio.gather(slow, return_exceptions=True)


async def in_other_hands(desk: Desk, shop: Scene) -> None:
    """Two tables that the operator may not maintain, beside the application's, all in need of statistics."""
    setup = await shop.client("setup")
    await setup.run("create table items as select g as id from generate_series(1, 3000) g")
    await desk.as_superuser(
        "create table invoices as select g as id from generate_series(1, 3000) g",
        "create index on invoices (id)",
        "create schema books",
        "create table books.entries as select g as id from generate_series(1, 3000) g",
        "create index on books.entries (id)",
        f"alter database {shop.database} owner to current_user",
        "select pg_stat_force_next_flush()",
        database=shop.database,
    )
    await setup.run("select pg_stat_force_next_flush()")


@pytest.mark.parametrize(
    ("action", "given"),
    [
        ("database.maintain", {}),
        ("table.analyze", {"all": True}),
        ("table.vacuum", {"all": True}),
        ("index.reindex", {"all": True}),
    ],
)
async def test_what_the_operator_may_not_maintain_is_left_out_and_the_rest_is_done(
    desk: Desk, shop: Scene, action: str, given: dict[str, Any]
) -> None:
    await in_other_hands(desk, shop)
    plan = await desk.plan(action, **given)
    (out,) = [one for one in plan.warnings if one.startswith("left out, ")]
    assert "public.invoices" in out
    assert "books.entries" in out
    assert f'GRANT USAGE ON SCHEMA "books" TO {MAINTAINER}' in out, "what would change it is told"
    assert not any("invoices" in one or "entries" in one for one in plan.statements)
    run = await desk.apply(plan)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), run
    again = await desk.plan(action, **plan.args)
    assert again.statements == plan.statements
    assert not any(one.startswith("left out") for one in again.warnings)


async def test_a_table_that_is_named_is_not_left_out(desk: Desk, shop: Scene) -> None:
    await in_other_hands(desk, shop)
    plan = await desk.plan("table.analyze", table=["invoices", "items"])
    assert [one for one in plan.statements if "invoices" in one]
    with pytest.raises(Refused, match=f"{MAINTAINER} may not: .*invoices"):
        await desk.apply(plan)


async def test_where_nothing_may_be_maintained_the_plan_says_so(desk: Desk, shop: Scene) -> None:
    await in_other_hands(desk, shop)
    plan = await desk.plan("table.vacuum", schema="books")
    assert "without it nothing will be executed" in plan.warnings[0]
    with pytest.raises(Refused, match="may not"):
        await desk.apply(plan)
