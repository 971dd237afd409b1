"""Actions on indexes, on real servers: who is waited for, and nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from console.dispatch.action import Watch
from console.errors import Exit, Refused, UsageError
from tests.integration.actions.conftest import Desk, desk_on, until
from tests.servers.accounts import MAINTAINER, OPERATOR, login
from tests.servers.postgres import PostgresServer
from tests.situations import Scene, scene


@pytest_asyncio.fixture
async def shop(postgres: PostgresServer) -> AsyncIterator[Scene]:
    async with scene(postgres) as made:
        yield made


@pytest_asyncio.fixture
async def desk(shop: Scene, postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_on(postgres, tmp_path, database=shop.database, operator=login(MAINTAINER)) as made:
        yield made


async def indexes(desk: Desk, database: str) -> dict[str, bool]:
    rows = await desk.as_superuser(
        "select c.relname::text, i.indisvalid from pg_index i join pg_class c on c.oid = i.indexrelid"
        " join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' order by 1",
        database=database,
    )
    return {row[0]: row[1] for row in rows}


async def test_an_index_is_rebuilt_concurrently_and_proved(desk: Desk, shop: Scene) -> None:
    run = await desk.run("index.reindex", index="orders_pkey")
    assert (run.exit, run.effect) == (Exit.OK, "applied")
    assert run.statements == ('reindex index concurrently "public"."orders_pkey"',)
    assert await indexes(desk, shop.database) == {"orders_pkey": True}


async def test_it_says_whom_it_waits_for_and_leaves_nothing_when_stopped(desk: Desk, shop: Scene) -> None:
    setup = await shop.client("setup")
    await setup.run("create index mine_ccnew on orders (n)")  # not a leftover: it is valid
    old = await shop.client("old report")
    await old.run("begin isolation level repeatable read")
    await old.run("select count(*) from orders")
    await asyncio.sleep(1.2)
    plan = await desk.plan("index.reindex", index="orders_pkey")
    assert any(f"wait for session {old.id}" in line for line in plan.forecast)
    heard: list[str] = []
    watch = Watch(seconds=0, tell=heard.append)
    running = asyncio.create_task(desk.apply(plan, watch=watch))

    async def told() -> bool:
        return any(f"waits for session {old.id}" in line for line in heard)

    await until(told)
    assert "orders_pkey_ccnew" in await indexes(desk, shop.database)
    watch.stop.set()

    async def cancelled() -> bool:
        rows = await desk.as_superuser(
            "select count(*) from pg_stat_activity where state = 'active' and query like 'reindex%'",
            database=shop.database,
        )
        return rows == [(0,)]

    await until(cancelled)
    await old.run("commit")  # dropping what is left behind waits for it too
    run = await asyncio.wait_for(running, 20)
    assert (run.exit, run.effect) == (Exit.FAILED, "none"), run
    assert await indexes(desk, shop.database) == {"mine_ccnew": True, "orders_pkey": True}
    assert run.verify is not None
    assert run.verify.evidence["leftovers"]["dropped"] == ["public.orders_pkey_ccnew"]


async def test_what_others_left_is_not_touched(desk: Desk, shop: Scene, postgres: PostgresServer) -> None:
    await fail_to_rebuild(shop, postgres)
    assert (await indexes(desk, shop.database))["orders_pkey_ccnew"] is False
    run = await desk.run("index.reindex", index="orders_pkey")
    assert run.exit is Exit.OK
    assert (await indexes(desk, shop.database))["orders_pkey_ccnew"] is False


async def fail_to_rebuild(shop: Scene, postgres: PostgresServer, index: str = "orders_pkey") -> None:
    """Somebody's REINDEX CONCURRENTLY that was cancelled while it waited."""
    old = await shop.client("old")
    await old.run("begin isolation level repeatable read")
    await old.run("select count(*) from orders")
    somebody = await postgres.connect("app_user", database=shop.database)
    await somebody.execute("set statement_timeout = '700ms'")
    with pytest.raises(Exception, match="timeout"):
        await somebody.execute(f"reindex index concurrently {index}")
    await somebody.close()
    await old.run("commit")


async def test_a_failed_build_of_somebody_is_dropped_by_name_or_all(
    desk: Desk, shop: Scene, postgres: PostgresServer
) -> None:
    await fail_to_rebuild(shop, postgres)
    run = await desk.run("index.drop_invalid", all=True)
    assert (run.exit, run.effect) == (Exit.OK, "applied")
    assert await indexes(desk, shop.database) == {"orders_pkey": True}
    with pytest.raises(Refused, match="only invalid"):
        await desk.run("index.drop_invalid", index="orders_pkey")


async def test_an_index_is_created_and_a_failed_one_is_taken_away(desk: Desk, shop: Scene) -> None:
    made = await desk.run("index.create", table="orders", column="n")
    assert (made.exit, made.effect) == (Exit.OK, "applied")
    assert made.statements == ('create index concurrently "orders_n_idx" on "public"."orders" ("n")',)
    twice = await desk.run("index.create", table="orders", column="n", unique=True, name="only")
    assert (twice.exit, twice.effect) == (Exit.FAILED, "none")
    assert twice.error is not None
    assert "could not create unique index" in twice.error.message
    assert await indexes(desk, shop.database) == {"orders_n_idx": True, "orders_pkey": True}
    with pytest.raises(UsageError, match="already"):
        await desk.plan("index.create", table="orders", column="n")


HOSTILE = ("two words", 'quo"te', "new\nline", "ünïcødé", "select", "a.b", "x" * 63)


async def test_hostile_names_of_indexes_and_columns(desk: Desk, shop: Scene) -> None:
    setup = await shop.client("setup")
    for place, name in enumerate(HOSTILE):
        quoted = '"' + name.replace('"', '""') + '"'
        await setup.run(f"create table h{place} ({quoted} int)")
        run = await desk.run("index.create", table=f"h{place}", column=name, name=f"{name[:50]}_{place}")
        assert run.exit is Exit.OK, run.error
        again = await desk.run("index.reindex", table=f"h{place}")
        assert (again.exit, again.effect) == (Exit.OK, "applied"), again.error


async def test_all_of_a_table_side_by_side(desk: Desk, shop: Scene) -> None:
    setup = await shop.client("setup")
    for n in range(3):
        await setup.run(f"create index orders_{n} on orders (n, id) where id > {n}")
    run = await desk.run("index.reindex", table="orders", jobs=2)
    assert (run.exit, len(run.statements)) == (Exit.OK, 4)


async def test_a_broken_rebuild_is_resumed_with_its_leftover_first(
    desk: Desk, shop: Scene, postgres: PostgresServer
) -> None:
    old = await shop.client("old")
    await old.run("begin isolation level repeatable read")
    await old.run("select count(*) from orders")
    plan = await desk.plan("index.reindex", index="orders_pkey", wait="500ms")
    from actions import leftovers

    kept, leftovers.TRIES = leftovers.TRIES, 0  # the console is gone before it can clean up
    try:
        broken = await desk.apply(plan, watch=Watch(seconds=0))
    finally:
        leftovers.TRIES = kept
    assert broken.exit is Exit.FAILED
    assert "orders_pkey_ccnew" in await indexes(desk, shop.database)
    await old.run("commit")
    rest = await desk.dispatcher.resume(broken.action_id, desk.engine)
    assert [one.split('"')[0].strip() for one in rest.statements] == [
        "drop index concurrently",
        "reindex index concurrently",
    ]
    run = await desk.apply(rest)
    assert run.exit is Exit.OK, run
    assert await indexes(desk, shop.database) == {"orders_pkey": True}


async def test_the_whole_database_at_once(desk: Desk, shop: Scene, postgres: PostgresServer) -> None:
    await fail_to_rebuild(shop, postgres)
    await desk.as_superuser(
        "alter table orders set (autovacuum_enabled = off, autovacuum_vacuum_scale_factor = 0)",
        "delete from orders where id <= 1500",
        "select pg_stat_force_next_flush()" if postgres.major >= 15 else "select 1",
        database=shop.database,
    )

    async def due() -> bool:
        return len((await desk.plan("database.maintain")).statements) >= 2

    await until(due)
    plan = await desk.plan("database.maintain")
    assert plan.statements[0] == 'drop index concurrently "public"."orders_pkey_ccnew"'
    run = await desk.apply(plan)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), run
    assert await indexes(desk, shop.database) == {"orders_pkey": True}


async def test_an_exclusion_constraint_is_rebuilt_under_its_lock_and_said(desk: Desk, shop: Scene) -> None:
    setup = await shop.client("setup")
    await setup.run("create table rooms (id int, during int4range, exclude using gist (during with &&))")
    plan = await desk.plan("index.reindex", table="rooms")
    assert any("cannot be rebuilt concurrently" in line for line in plan.warnings)
    run: Any = await desk.apply(plan)
    assert (run.exit, run.effect) == (Exit.OK, "applied")


async def test_what_stands_for_indexes_of_partitions_is_refused_and_the_table_works(
    desk: Desk, shop: Scene
) -> None:
    setup = await shop.client("setup")
    await setup.run("create table events (at int) partition by range (at)")
    await setup.run("create table events_1 partition of events for values from (0) to (9)")
    await setup.run("create index events_at on events (at)")
    with pytest.raises(UsageError, match="stands for indexes of partitions"):
        await desk.plan("index.reindex", index="events_at")
    run = await desk.run("index.reindex", table="events")
    assert (run.exit, run.effect, len(run.statements)) == (Exit.OK, "applied", 1), run


@pytest.mark.parametrize("name", ["x" * 64, "ü" * 32])
async def test_a_name_that_the_server_would_cut_is_refused(desk: Desk, name: str) -> None:
    with pytest.raises(UsageError, match="longer than 63 bytes"):
        await desk.plan("index.create", table="orders", column="n", name=name)


async def test_the_undo_of_an_index_works_as_it_stands(desk: Desk, shop: Scene) -> None:
    plan = await desk.plan("index.create", table="orders", column="n", name="Odd one")
    assert (await desk.apply(plan)).exit is Exit.OK
    await desk.as_superuser(plan.undo, database=shop.database)
    assert await indexes(desk, shop.database) == {"orders_pkey": True}


TYPES = """create table kinds (
    i int, t text, j json, b jsonb, a int[], p point, r int4range, d domain_of_ints, v varchar(9), e mood,
    x xml, n name, s tsvector, u uuid, o oid)"""
REFUSED = (
    ({"column": "gone"}, "no column 'gone'"),
    ({"column": "ctid"}, "no column 'ctid'"),
    ({"column": "lower(t)"}, "no column"),
    ({"column": "i", "include": "gone"}, "no column 'gone'"),
    ({"column": ["i", "i"]}, "given twice"),
    ({"column": "i", "method": "btrea"}, "no index method 'btrea'"),
    ({"column": "i", "method": "gin"}, "a gin index does not take public.kinds.i, which is integer"),
    ({"column": "j"}, "does not take public.kinds.j, which is json"),
    ({"column": "x"}, "does not take"),
    ({"column": "p"}, "does not take"),
    ({"column": "b", "method": "gin", "unique": True}, "cannot be unique"),
    ({"column": ["i", "t"], "method": "hash"}, "has one column only"),
    ({"column": "b", "method": "gin", "include": "i"}, "carries no columns"),
    ({"column": "i", "name": "kinds"}, "has a table 'kinds' already"),
    ({"column": "i", "name": "orders_pkey"}, "has an index 'orders_pkey' already"),
    ({"column": "i", "name": "seen"}, "has a view 'seen' already"),
)


async def kinds(shop: Scene) -> None:
    setup = await shop.client("setup")
    for sql in ("create type mood as enum ('so')", "create domain domain_of_ints as int", TYPES):
        await setup.run(sql)
    await setup.run("create view seen as select 1 as one")


async def test_what_the_server_would_refuse_is_refused_before_any_intent(desk: Desk, shop: Scene) -> None:
    await kinds(shop)
    for given, words in REFUSED:
        with pytest.raises(UsageError) as refused:
            await desk.plan("index.create", table="kinds", **given)
        assert words in refused.value.message, given
        assert "nothing was executed" in refused.value.message
    with pytest.raises(UsageError, match="own catalog"):
        await desk.plan("index.create", table="pg_catalog.pg_class", column="relname")
    assert await desk.kinds() == []


async def test_a_kind_of_index_is_refused_for_exactly_the_types_the_server_refuses(
    desk: Desk, shop: Scene
) -> None:
    await kinds(shop)
    site = await desk.engine.index_site("public", "kinds")
    client = await shop.client("setup")
    for method in site.methods:
        for column in site.columns:
            assert column.methods is not None
            try:
                await client.run(f"create index on kinds using {method.name} ({column.name})")
                taken = True
            except asyncpg.PostgresError:
                taken = False
            assert (method.name in column.methods) is taken, (method, column)


async def test_a_plan_tells_the_missing_right_that_apply_would_refuse(
    shop: Scene, postgres: PostgresServer, tmp_path: Path
) -> None:
    async with desk_on(postgres, tmp_path, database=shop.database) as poor:
        for action, given in (
            ("table.vacuum", {"table": "orders"}),
            ("index.reindex", {"index": "orders_pkey"}),
            ("index.create", {"table": "orders", "column": "n"}),
        ):
            plan = await poor.plan(action, **given)
            assert any(f"{OPERATOR} may not: " in line and "GRANT " in line for line in plan.warnings), action
            with pytest.raises(Refused, match="GRANT"):
                await poor.apply(plan)


async def test_a_plan_is_silent_about_rights_of_who_has_them_or_becomes_another(
    desk: Desk, shop: Scene, postgres: PostgresServer, tmp_path: Path
) -> None:
    plan = await desk.plan("index.create", table="orders", column="n")
    assert not any("may not" in line for line in plan.warnings)
    await desk.as_superuser(f"alter role {OPERATOR} set role = {MAINTAINER}")
    try:
        (tmp_path / "other").mkdir()
        async with desk_on(postgres, tmp_path / "other", database=shop.database) as other:
            plan = await other.plan("index.create", table="orders", column="n")
    finally:
        await desk.as_superuser(f"alter role {OPERATOR} reset role")
    assert not any("may not" in line for line in plan.warnings)


@pytest.mark.parametrize("action", ["index.create", "index.reindex"])
async def test_whoever_is_waited_for_is_named_before_and_when_the_wait_is_over(
    desk: Desk, shop: Scene, action: str
) -> None:
    """An idle transaction has no snapshot any more, and is waited for by what it wrote."""
    writer = await shop.holder(7, "checkout")
    given = {"index": "orders_pkey"} if action == "index.reindex" else {"table": "orders", "column": "n"}
    plan = await desk.plan(action, wait="700ms", **given)
    lines = [line for line in plan.forecast if "it will wait for" in line]
    assert len(lines) == 1, plan.forecast
    assert f"session {writer.id} " in lines[0]
    assert "checkout" in lines[0]
    running = asyncio.create_task(desk.apply(plan, watch=Watch(seconds=0)))
    await asyncio.sleep(2.5)
    await writer.run("commit")  # dropping what is left waits for it too
    run = await asyncio.wait_for(running, 30)
    assert (run.exit, run.effect) == (Exit.FAILED, "none"), run
    assert run.error is not None
    assert "it waited 700ms (wait=…)" in run.error.message
    assert f"session {writer.id} " in run.error.message
    assert "lock" not in run.error.message.partition("(")[0]
    assert await indexes(desk, shop.database) == {"orders_pkey": True}


async def test_an_old_snapshot_is_named_when_the_wait_is_over(desk: Desk, shop: Scene) -> None:
    old = await shop.client("old report")
    await old.run("begin isolation level repeatable read")
    await old.run("select 1 from pg_class limit 1")
    await asyncio.sleep(1.2)
    plan = await desk.plan("index.create", table="orders", column="n", wait="700ms")
    running = asyncio.create_task(desk.apply(plan, watch=Watch(seconds=0)))
    await asyncio.sleep(2.5)
    await old.run("commit")
    run = await asyncio.wait_for(running, 30)
    assert run.error is not None
    assert f"session {old.id} " in run.error.message
    assert "old report" in run.error.message


async def test_an_invalid_index_that_would_become_valid_is_warned_of(
    desk: Desk, shop: Scene, postgres: PostgresServer
) -> None:
    """Where the server makes one valid, and only there: it does not check a unique one by VACUUM FULL."""
    setup = await shop.client("setup")
    await setup.run("create index orders_n on orders (n)")
    for index in ("orders_n", "orders_pkey"):
        await fail_to_rebuild(shop, postgres, index)
    full = await desk.plan("table.vacuum", table="orders", full=True)
    named = await desk.plan("index.reindex", index="orders_pkey_ccnew")
    for plan, index in ((full, "orders_n_ccnew"), (named, "orders_pkey_ccnew")):
        (warning,) = [line for line in plan.warnings if "makes it valid" in line]
        assert warning.startswith(f"public.{index} is invalid")
        assert f"index.drop_invalid index=public.{index}" in warning
    for action in ("table.vacuum", "index.reindex"):
        plain = await desk.plan(action, table="orders")
        assert not any("makes it valid" in line for line in plain.warnings)
    await setup.run("vacuum full orders")
    found = await indexes(desk, shop.database)
    assert (found["orders_n_ccnew"], found["orders_pkey_ccnew"]) == (True, False)
    await setup.run("reindex index orders_pkey_ccnew")
    assert (await indexes(desk, shop.database))["orders_pkey_ccnew"] is True


async def test_rights_on_the_schema_are_missing_rights_too(
    desk: Desk, shop: Scene, postgres: PostgresServer
) -> None:
    """Naming a table takes USAGE on its schema, and a new index CREATE there."""
    for sql in ("create schema deep", "create table deep.a (n int)", "create table deep.b (n int)",
                "alter table deep.a owner to app_user", "alter table deep.b owner to app_user"):  # fmt: skip
        await desk.as_superuser(sql, database=shop.database)
    plan = await desk.plan("table.analyze", schema="deep")
    (warning,) = [line for line in plan.warnings if "may not" in line]
    assert warning.count(f'GRANT USAGE ON SCHEMA "deep" TO {MAINTAINER}') == 1
    with pytest.raises(Refused, match='GRANT USAGE ON SCHEMA "deep"'):
        await desk.apply(plan)
    await desk.as_superuser(f"grant usage on schema deep to {MAINTAINER}", database=shop.database)
    assert (await desk.run("table.analyze", schema="deep")).exit is Exit.OK
    made = await desk.plan("index.create", table="deep.a", column="n")
    assert any(f'GRANT CREATE ON SCHEMA "deep" TO {MAINTAINER}' in line for line in made.warnings)
    await desk.as_superuser(f"grant create on schema deep to {MAINTAINER}", database=shop.database)
    assert (await desk.run("index.create", table="deep.a", column="n")).exit is Exit.OK


PARTLY_INDEXED = (
    "create table e (id int, n int) partition by range (id)",
    "create table e1 partition of e for values from (0) to (9) partition by list (n)",
    "create table e11 partition of e1 for values in (1)",
    "create table e12 partition of e1 for values in (2)",
    "create index e_id on only e (id)",
    "create index e1_id on only e1 (id)",
    "create index e11_id on e11 (id)",
    "alter index e_id attach partition e1_id",
    "alter index e1_id attach partition e11_id",
)


async def test_what_stands_for_the_indexes_of_partitions_is_never_dropped_with_them(
    desk: Desk, shop: Scene
) -> None:
    """It is invalid because one partition has none, and its DROP would take those of the others along."""
    setup = await shop.client("setup")
    for statement in PARTLY_INDEXED:
        await setup.run(statement)
    before = await indexes(desk, shop.database)
    assert before == {"e_id": False, "e1_id": False, "e11_id": True, "orders_pkey": True}
    for plan in (await desk.plan("index.drop_invalid", all=True), await desk.plan("database.maintain")):
        assert not [one for one in plan.statements if one.startswith("drop")], plan.statements
    with pytest.raises(UsageError, match="drops the indexes of its partitions too"):
        await desk.plan("index.drop_invalid", index="e1_id")
    await desk.run("index.drop_invalid", all=True)
    await desk.run("database.maintain")
    assert await indexes(desk, shop.database) == before


async def test_an_invalid_index_of_a_partition_is_rebuilt_where_its_parent_keeps_it(
    desk: Desk, shop: Scene, postgres: PostgresServer
) -> None:
    setup = await shop.client("setup")
    await setup.run("create table e (id int, n int) partition by range (id)")
    await setup.run("create table e1 partition of e for values from (0) to (9)")
    await setup.run("create index e_id on only e (id)")
    await setup.run("create index e1_id on e1 (id)")
    await desk.as_superuser(
        "update pg_index set indisvalid = false where indexrelid = 'e1_id'::regclass", database=shop.database
    )
    await setup.run("alter index e_id attach partition e1_id")
    plan = await desk.plan("database.maintain")
    assert 'reindex index concurrently "public"."e1_id"' in plan.statements
    assert not [one for one in plan.statements if one.startswith("drop")], plan.statements
    run = await desk.run("database.maintain")
    assert run.exit is Exit.OK, run.error
    assert (await indexes(desk, shop.database))["e1_id"] is True


LONG = "🐘" * 15 + "abc"  # 63 bytes: what a rebuild calls its work is cut within a character


async def test_what_a_stopped_rebuild_of_a_long_name_left_is_dropped(desk: Desk, shop: Scene) -> None:
    setup = await shop.client("setup")
    await setup.run(f'create index "{LONG}" on orders (n)')
    old = await shop.client("old report")
    await old.run("begin isolation level repeatable read")
    await old.run("select count(*) from orders")
    running = asyncio.create_task(desk.run("index.reindex", index=f'public."{LONG}"', wait="1s"))

    async def gave_up() -> bool:
        found = await desk.as_superuser(
            "select count(*) from pg_stat_activity where query like 'drop index%' and state = 'active'",
            database=shop.database,
        )
        return found == [(1,)]

    await until(gave_up)
    await old.run("commit")
    run = await asyncio.wait_for(running, 30)
    assert run.exit is Exit.FAILED
    assert await indexes(desk, shop.database) == {"orders_pkey": True, LONG: True}


async def test_what_others_left_since_the_plan_is_not_touched(
    desk: Desk, shop: Scene, postgres: PostgresServer
) -> None:
    plan = await desk.plan("index.reindex", index="orders_pkey")
    await fail_to_rebuild(shop, postgres)
    run = await desk.apply(plan)
    assert run.exit is Exit.OK, run.error
    assert await indexes(desk, shop.database) == {"orders_pkey": True, "orders_pkey_ccnew": False}
    made = await desk.plan("index.create", table="orders", column="n", name="twice", unique=True)
    setup = await shop.client("setup")
    with pytest.raises(asyncpg.UniqueViolationError):
        await setup.run("create unique index concurrently twice on orders (n)")
    with pytest.raises(UsageError, match="already"):
        await desk.apply(made)
    assert "twice" in await indexes(desk, shop.database)


async def test_the_index_of_a_toast_table_is_told_and_rebuilt_where_it_is_named(
    desk: Desk, shop: Scene
) -> None:
    """REINDEX TABLE takes it along; one index after the other, it is one more that has to be named."""
    setup = await shop.client("setup")
    await setup.run("create table letters (id int primary key, words text)")
    before = await desk.plan("index.reindex", table="letters")
    assert len(before.statements) == 1
    (said,) = [one for one in before.forecast if "TOAST" in one]
    name = said.partition("index=")[2].partition(" ")[0]
    assert name.startswith("pg_toast.pg_toast_")
    assert (await desk.run("index.reindex", table="letters")).exit is Exit.OK
    with pytest.raises(Refused, match='USAGE ON SCHEMA "pg_toast"'):
        await desk.run("index.reindex", index=name)
    grant = f"grant usage on schema pg_toast to {MAINTAINER}"
    await desk.as_superuser(grant, database=shop.database)
    run = await desk.run("index.reindex", index=name)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), run
    assert run.statements[0].startswith('reindex index concurrently "pg_toast"."pg_toast_')
    assert not any("TOAST" in one for one in (await desk.plan("index.reindex", table="orders")).forecast)
    assert any("TOAST" in one for one in (await desk.plan("index.reindex", all=True)).forecast)
