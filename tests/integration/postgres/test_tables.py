"""Tables on real servers: what is counted, what is estimated, and what must not make it wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from console.engine.postgres.driver import Connection
from console.model.tables import Bloat, TableKind, TableOrder, TableQuery
from tests.integration.postgres.conftest import Desk

OFF = "with (autovacuum_enabled = off)"
HOSTILE = (
    'a"b', "it's", "two\nlines", "a.b", "select", "ünïcode 🐘", "%_\\", "x" * 63, "Mixed Case", "$1", "--",
    "*?",
)  # fmt: skip


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@asynccontextmanager
async def locked(desk: Desk, table: str) -> AsyncIterator[Connection]:
    holder = await desk.session("migration")
    await holder.execute(f"begin; lock table {table} in access exclusive mode")
    yield holder
    await holder.execute("rollback")


# ---- counts, settings, thresholds ----------------------------------------------------------------


async def test_counts_are_those_of_the_statistics_and_sizes_those_of_the_catalog(desk: Desk) -> None:
    await desk.run(
        f"create table t (id int primary key, v text) {OFF}",
        "insert into t select g, repeat('x', 100) from generate_series(1, 5000) g",
        "vacuum analyze t",
        "update t set v = 'y' where id <= 300",
        "delete from t where id > 4900",
    )
    one = await desk.table("t")
    seen = await desk.admin.fetchrow("select * from pg_stat_user_tables where relname = 't'")
    assert seen is not None
    assert (one.rows, one.dead, one.modified, one.inserted) == (
        seen["n_live_tup"], seen["n_dead_tup"], seen["n_mod_since_analyze"], seen["n_ins_since_vacuum"],
    )  # fmt: skip
    assert (one.dead, one.modified, one.inserted) == (400, 400, 0)
    assert (one.vacuumed_at, one.vacuumed_by, one.vacuums) == (seen["last_vacuum"], "manual", 1)
    assert (one.analyzed_at, one.analyzed_by, one.analyzes) == (seen["last_analyze"], "manual", 1)
    await desk.run("analyze t")  # sizes are as of the last vacuum or analyze
    one = await desk.table("t")
    pages = await desk.admin.fetchrow(
        "select pg_relation_size('t') as heap, pg_indexes_size('t') as indexes,"
        " pg_relation_filenode('t') as node"
    )
    assert pages is not None
    assert (one.bytes, one.index_bytes, one.filenode) == (pages["heap"], pages["indexes"], pages["node"])
    assert one.toast_bytes == 0
    assert (one.kind, one.owner, one.storage) == (TableKind.TABLE, "postgres", "heap")
    assert not one.autovacuum
    assert (one.vacuum_at, one.insert_at, one.analyze_at) == (None, None, None)


async def test_what_was_never_looked_at_is_unknown_and_not_zero(desk: Desk) -> None:
    await desk.run(f"create table t (id int, v text) {OFF}", "insert into t select 1, 'x'")
    one = await desk.table("t")
    assert one.bytes is None
    assert one.toast_bytes is None
    assert one.total_bytes is None
    assert (one.rows, one.dead) == (1, 0)
    assert (one.vacuumed_at, one.analyzed_at, one.bloat) == (None, None, None)
    assert one.stale_statistics


async def test_what_is_kept_aside_is_none_where_nothing_was_ever_put_there(desk: Desk) -> None:
    big = "(select string_agg(md5(n::text), '') from generate_series(1, 2000) n)"
    await desk.run(
        f"create table small (v text) {OFF}",
        "insert into small select 'x' from generate_series(1, 100)",
        f"create table large (v text) {OFF}",
        f"insert into large values ({big})",
        f"create table rewritten (v text) {OFF}",
        f"insert into rewritten values ({big})",
        "vacuum full rewritten",
        "analyze small, large, rewritten",
    )
    await desk.admin.execute("select pg_stat_clear_snapshot()")
    assert (await desk.table("small")).toast_bytes == 0
    assert (await desk.table("large")).toast_bytes is None, "nobody counted it"
    assert (await desk.table("rewritten")).toast_bytes is None, "its counters are those of another file"
    await desk.run("vacuum large")
    assert (await desk.table("large")).toast_bytes == await desk.admin.fetchval(
        "select pg_relation_size(reltoastrelid) from pg_class where relname = 'large'"
    )


async def test_what_is_kept_aside_is_unknown_where_counters_were_reset(desk: Desk) -> None:
    """A crash of the server resets them, too: what came before is in none of them."""
    big = "select string_agg(md5(n::text), '') from generate_series(1, 20000) n group by n % 10"
    reset = "select pg_stat_reset_single_table_counters(unnest(array[oid, reltoastrelid])) from pg_class"
    await desk.run(
        f"create table t (v text) {OFF}",
        f"insert into t {big}",
        "analyze t",
        f"{reset} where relname = 't'",
        "insert into t select 'x' from generate_series(1, 20)",
    )
    assert (await desk.table("t")).toast_bytes is None
    await desk.run("analyze t", "insert into t select 'x' from generate_series(1, 50)")
    assert (await desk.table("t")).toast_bytes is None


async def test_what_is_kept_aside_stays_none_while_rows_come_and_go(desk: Desk) -> None:
    await desk.run(
        f"create table t (v text) {OFF}",
        "insert into t select 'x' from generate_series(1, 100)",
        "analyze t",
        "delete from t where ctid <= '(0,10)'",
        "insert into t select 'x' from generate_series(1, 5)",
        "update t set v = 'y'",
    )
    assert (await desk.table("t")).toast_bytes == 0


async def test_an_index_that_only_a_vacuum_passed_is_of_unknown_size(desk: Desk) -> None:
    """VACUUM counts the table and not the index that was built when it was empty: 1 page, of 276."""
    await desk.run(
        f"create table t (id int primary key) {OFF}",
        "insert into t select generate_series(1, 100000)",
        "vacuum t",
    )
    one, (index,) = await desk.table("t"), await desk.engine.indexes(TableQuery(), (("public", "t_pkey"),))
    assert (one.index_bytes, index.bytes, one.at_least) == (None, None, True)
    await desk.run("analyze t")
    one, (index,) = await desk.table("t"), await desk.engine.indexes(TableQuery(), (("public", "t_pkey"),))
    size = await desk.admin.fetchval("select pg_indexes_size('t')")
    assert (one.index_bytes, index.bytes, one.at_least) == (size, size, False)
    await desk.run("truncate t", "analyze t")
    assert (await desk.table("t")).index_bytes == await desk.admin.fetchval("select pg_indexes_size('t')")


async def test_a_partition_that_nobody_counted_is_no_part_of_a_size_that_is_exact(desk: Desk) -> None:
    await desk.run(
        "create table e (day int, v text) partition by range (day)",
        f"create table e1 partition of e for values from (0) to (100) {OFF}",
        f"create table e2 partition of e for values from (100) to (200) {OFF}",
        "insert into e select g, 'x' from generate_series(0, 199) g",
        "vacuum analyze e1",
    )
    one = next(one for one in (await desk.tables()).tables if one.name == "e")
    assert (one.bytes, one.at_least) == (8192, True)
    await desk.run("vacuum analyze e2")
    one = next(one for one in (await desk.tables()).tables if one.name == "e")
    assert (one.bytes, one.at_least) == (2 * 8192, False)


async def test_thresholds_follow_the_servers_settings_and_the_tables_own(desk: Desk) -> None:
    await desk.run(
        "create table plain (id int)",
        "create table own (id int) with (autovacuum_vacuum_threshold = 10,"
        " autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_insert_threshold = -1,"
        " autovacuum_analyze_threshold = 7,"
        " autovacuum_analyze_scale_factor = 0, fillfactor = 80)",
        "insert into plain select generate_series(1, 1000)",
        "insert into own select generate_series(1, 1000)",
        "vacuum analyze plain",
        "vacuum analyze own",
    )
    plain, own = await desk.table("plain"), await desk.table("own")
    assert (plain.vacuum_at, plain.analyze_at) == (250, 150)
    # 18 takes only the share that is not frozen yet of what is there
    assert plain.insert_at == 1200
    assert (own.vacuum_at, own.insert_at, own.analyze_at) == (110, None, 7)
    assert own.settings["fillfactor"] == "80"
    assert own.settings["autovacuum_vacuum_scale_factor"] == "0.1"
    assert plain.settings == {}


async def test_18_bounds_the_threshold_of_large_tables(desk: Desk) -> None:
    await desk.run(
        "create table t (id int)", "insert into t select generate_series(1, 5000)", "vacuum analyze t"
    )
    if desk.server.major < 18:
        assert (await desk.table("t")).vacuum_at == 1050
        return
    await desk.run("alter table t set (autovacuum_vacuum_max_threshold = 300)")
    assert (await desk.table("t")).vacuum_at == 300
    await desk.run("alter table t set (autovacuum_vacuum_max_threshold = -1)")
    assert (await desk.table("t")).vacuum_at == 1050


async def test_materialized_views_are_told_and_views_and_foreign_tables_are_not(desk: Desk) -> None:
    await desk.run(
        "create materialized view m as select g from generate_series(1, 10) g",
        "create view v as select 1",
        "create temp table t (id int)",
        "create unlogged table u (id int)",
    )
    found = {one.name: one.kind for one in (await desk.tables()).tables}
    assert found == {"m": TableKind.MATERIALIZED_VIEW, "u": TableKind.TABLE}
    assert "pg_class" in {one.name for one in (await desk.tables(system=True)).tables}


# ---- which ones, and in which order --------------------------------------------------------------


async def test_the_server_orders_and_limits(desk: Desk) -> None:
    for n in range(6):
        await desk.run(
            f"create table t{n} (id int) {OFF}",
            f"insert into t{n} select generate_series(1, {1000 * (6 - n)})",
            f"analyze t{n}",
            f"delete from t{n} where id <= {100 * (n + 1)}",
        )
    first = await desk.tables(order=TableOrder.DEAD, limit=2)
    assert [(one.name, one.dead) for one in first.tables] == [("t5", 600), ("t4", 500)]
    assert (first.total, first.order) == (6, "dead")
    second = await desk.tables(order=TableOrder.DEAD, limit=2, offset=2)
    assert [one.name for one in second.tables] == ["t3", "t2"]
    beyond = await desk.tables(offset=100)
    assert (beyond.tables, beyond.total) == ((), 6)
    by_size = [one.name for one in (await desk.tables(order=TableOrder.SIZE)).tables]
    assert by_size == ["t0", "t1", "t2", "t3", "t4", "t5"]
    assert [one.name for one in (await desk.tables(order=TableOrder.NAME, limit=1)).tables] == ["t0"]
    assert (await desk.tables(order=TableOrder.NEED)).tables[0].name == "t5"
    assert (await desk.tables(order=TableOrder.AGE)).tables[0].name == "t0"


@pytest.mark.parametrize("name", HOSTILE)
async def test_names_are_bound_and_come_back_as_they_are(desk: Desk, name: str) -> None:
    await desk.run(
        f"create schema {quoted(name)}",
        f"create table {quoted(name)}.{quoted(name)} (id int)",
        "create table t (i int)",
    )
    found = (await desk.tables(names=((name, name),))).tables
    assert [(one.schema, one.name, one.key) for one in found] == [(name, name, f"{name}.{name}")]
    assert [one.name for one in (await desk.tables(schema=name)).tables] == [name]
    assert name in {one.name for one in (await desk.tables(pattern=name)).tables}
    locks = await desk.engine.table_locks([(name, name)])
    assert locks == ()


async def test_patterns_are_the_shells(desk: Desk) -> None:
    await desk.run(
        "create schema s", *(f"create table {t} (id int)" for t in ("log_1", "log_20", "logs", "s.log_1"))
    )

    async def keys(pattern: str) -> list[str]:
        return sorted(one.key for one in (await desk.tables(pattern=pattern)).tables)

    assert await keys("log_?") == ["public.log_1", "s.log_1"]
    assert await keys("log_*") == ["public.log_1", "public.log_20", "s.log_1"]
    assert await keys("s.*") == ["s.log_1"]
    assert await keys("log%") == []


async def test_a_partitioned_table_adds_its_partitions_up(desk: Desk) -> None:
    await desk.run(
        "create table events (day int, v text, primary key (day)) partition by range (day)",
        f"create table e1 partition of events for values from (0) to (100) {OFF}",
        "create table e2 partition of events for values from (100) to (200) partition by range (day)",
        f"create table e2a partition of e2 for values from (100) to (150) {OFF}",
        f"create table e2b partition of e2 for values from (150) to (200) {OFF}",
        "create table other (id int)",
        "insert into events select g, 'x' from generate_series(0, 199) g",
        "vacuum analyze e1",
        "vacuum analyze e2a",
        "vacuum analyze e2b",
        "delete from events where day < 110",
    )
    found = {one.key: one for one in (await desk.tables()).tables}
    assert set(found) == {f"public.{name}" for name in ("events", "e1", "e2a", "e2b", "other")}
    events = found["public.events"]
    leaves = [found[f"public.{name}"] for name in ("e1", "e2a", "e2b")]
    assert (events.kind, events.partitions, events.parent) == (TableKind.PARTITIONED, 3, None)
    assert all(one.parent == "public.events" for one in leaves)
    assert (events.rows, events.dead) == (90, 110)
    assert events.bytes == sum(one.bytes or 0 for one in leaves) == 3 * 8192
    assert events.index_bytes == sum(one.index_bytes or 0 for one in leaves)
    assert events.vacuumed_at == min(one.vacuumed_at for one in leaves if one.vacuumed_at)
    assert (events.vacuum_at, events.analyzed_at, events.stale_statistics) == (None, None, True)
    assert "table.analyze table=public.events" in events.why
    assert (await desk.tables()).total == 2
    named = (await desk.tables(names=(("public", "events"),))).tables
    assert named[0].name == "events"
    assert len(named) == 4
    (leaf,) = (await desk.tables(names=(("public", "e2a"),))).tables
    assert (leaf.name, leaf.parent) == ("e2a", "public.events")
    inner, *below = (await desk.tables(names=(("public", "e2"),))).tables
    assert (inner.name, inner.partitions, len(below)) == ("e2", 2, 2)


# ---- locks ---------------------------------------------------------------------------------------


async def test_it_answers_while_somebody_holds_or_awaits_a_table_exclusively(desk: Desk) -> None:
    await desk.run("create table t (id serial primary key)", "insert into t default values", "analyze t")
    engine = await desk.seeing()
    await desk.table("t", engine)
    reader = await desk.session("reader")
    await reader.execute("begin; select * from t")
    await desk.behind("alter table t add column v text")
    start = time.monotonic()
    queued = await desk.table("t", engine)
    assert time.monotonic() - start < 1
    assert (queued.rows, queued.bytes) == (1, 8192)
    await reader.execute("rollback")
    async with locked(desk, "t"):
        start = time.monotonic()
        held = await desk.table("t", engine)
        assert time.monotonic() - start < 1
    assert held.rows == 1


async def test_who_stands_in_the_way_of_a_table_is_told_held_before_waited_for(desk: Desk) -> None:
    await desk.run("create table t (id int primary key)", "create table other (id int)")
    reader, writer = await desk.session("reader"), await desk.session("writer")
    await reader.execute("begin; select * from t where id = 1")
    await writer.execute("begin; insert into t values (1)")
    await desk.behind("alter table t add column v text", "migration")
    locks = await desk.locks("t")
    told = [(lock.session.application, lock.index, lock.mode, lock.granted) for lock in locks]
    assert ("reader", "", "AccessShareLock", True) in told
    assert ("reader", "t_pkey", "AccessShareLock", True) in told
    assert ("writer", "", "RowExclusiveLock", True) in told
    assert told[-1] == ("migration", "", "AccessExclusiveLock", False)
    assert {lock.table for lock in locks} == {"public.t"}
    assert await desk.locks("other") == ()


async def test_a_prepared_transaction_holds_its_locks_without_a_session(desk: Desk) -> None:
    await desk.run("create table t (id int)")
    await desk.admin.execute("begin; insert into t values (1); prepare transaction 'two words'")
    try:
        (lock,) = await desk.locks("t")
    finally:
        await desk.admin.execute("rollback prepared 'two words'")
    assert (lock.session.prepared, lock.mode, lock.granted) == ("two words", "RowExclusiveLock", True)


# ---- bloat ---------------------------------------------------------------------------------------

HALF_EMPTY = (
    f"create table t (id int, a text, b timestamptz, c text, d bigint, e bool) {OFF}",
    "insert into t select g, repeat('x', 10 + g % 40), now(), case when g % 3 = 0 then 'abc' end, g, true"
    " from generate_series(1, 40000) g",
    "delete from t where id % 2 = 0",
    "vacuum t",
    "analyze t",
)


async def exact(desk: Desk, table: str) -> int:
    await desk.admin.execute("create extension if not exists pgstattuple")
    row = await desk.admin.fetchrow(
        f"select free_space + dead_tuple_len as waste from pgstattuple('{table}')"
    )
    assert row is not None
    return int(row["waste"])


def holds(bloat: Bloat | None, waste: int) -> bool:
    return bloat is not None and bloat.low <= waste <= bloat.high


async def test_the_estimate_holds_the_measured_waste_within_its_bar(desk: Desk) -> None:
    await desk.run(*HALF_EMPTY)
    one = await desk.table("t", await desk.seeing())
    waste = await exact(desk, "t")
    assert holds(one.bloat, waste), (one.bloat, waste)
    assert one.bloat is not None
    assert one.bytes is not None
    assert abs(one.bloat.wasted - waste) < 0.05 * one.bytes
    assert one.bloat.high - one.bloat.low < 0.35 * one.bytes


async def test_a_full_table_is_not_called_bloated(desk: Desk) -> None:
    await desk.run(
        f"create table t (id int, n numeric, v varchar(20), j jsonb) {OFF}",
        """insert into t select g, g * 1.5, 'v' || g, '{"a": 1}' from generate_series(1, 20000) g""",
        "vacuum analyze t",
    )
    one = await desk.table("t", await desk.seeing())
    assert holds(one.bloat, await exact(desk, "t")), one.bloat
    assert one.bloat is not None
    assert one.bytes is not None
    assert one.bloat.low == 0
    assert one.bloat.wasted < 0.1 * one.bytes


async def test_the_bar_grows_with_stale_statistics(desk: Desk) -> None:
    await desk.run(*HALF_EMPTY)
    engine = await desk.seeing()
    fresh = (await desk.table("t", engine)).bloat
    await desk.run("update t set a = repeat('z', 30) where id % 4 = 1")
    stale = (await desk.table("t", engine)).bloat
    assert fresh is not None
    assert stale is not None
    assert stale.high - stale.low > 1.5 * (fresh.high - fresh.low)
    assert holds(stale, await exact(desk, "t"))


async def test_hidden_statistics_are_unknown_bloat_with_the_grant_that_shows_it(desk: Desk) -> None:
    await desk.run(*HALF_EMPTY)
    found = await desk.tables()
    assert found.tables[0].bloat is None
    assert any("GRANT pg_read_all_data TO dbdeck_monitor;" in note for note in found.notes)
    await desk.role("partly", "pg_monitor")
    await desk.run("grant select (id, a) on t to partly")
    assert (await desk.table("t", await desk.looking("partly"))).bloat is None
    await desk.run("drop owned by partly", "drop role partly")


async def test_row_security_hides_statistics_from_whom_it_holds(desk: Desk) -> None:
    await desk.run(*HALF_EMPTY, "alter table t enable row level security")
    engine = await desk.seeing()
    found = await engine.tables(TableQuery())
    assert found.tables[0].bloat is None
    assert any("ALTER ROLE seer BYPASSRLS;" in note for note in found.notes)


async def test_a_partitioned_table_wastes_what_its_leaves_waste(desk: Desk) -> None:
    await desk.run(
        "create table e (id int, v text) partition by range (id)",
        f"create table e1 partition of e for values from (0) to (10000) {OFF}",
        f"create table e2 partition of e for values from (10000) to (30000) {OFF}",
        "insert into e select g, repeat('x', 60) from generate_series(0, 29999) g",
        "delete from e where id % 2 = 0",
        "vacuum analyze e",
    )
    engine = await desk.seeing()
    found = {one.name: one.bloat for one in (await engine.tables(TableQuery())).tables}
    whole, parts = found["e"], [found["e1"], found["e2"]]
    assert whole is not None
    assert whole.wasted == sum(part.wasted for part in parts if part) > 0


# ---- sequences -----------------------------------------------------------------------------------


async def test_a_column_runs_out_before_its_sequence_does(desk: Desk) -> None:
    await desk.run(
        "create table small (id smallserial)",
        "select setval('small_id_seq', 32000)",
        "create table narrow (id int generated always as identity (maxvalue 1000))",
        "insert into narrow select from generate_series(1, 10)",
        "create table owned (id int)",
        "create sequence giver as bigint owned by owned.id",
        "select setval('giver', 1073741824)",
        "create table round (id int generated always as identity (maxvalue 10 cycle))",
        "create table fresh (id serial)",
    )
    engine = await desk.seeing()

    async def used(name: str) -> tuple[str, int, int] | None:
        one = (await desk.table(name, engine)).exhaustion
        return (one.sequence, one.last, one.limit) if one else None

    assert await used("small") == ("public.small_id_seq", 32000, 32767)
    assert await used("owned") == ("public.giver", 1073741824, 2147483647)
    assert await used("narrow") == ("public.narrow_id_seq", 10, 1000)
    assert await used("round") is None
    assert await used("fresh") == ("public.fresh_id_seq", 0, 2147483647)
    exhaustion = (await desk.table("owned", engine)).exhaustion
    assert exhaustion is not None
    assert exhaustion.column == "id"
    assert exhaustion.used == pytest.approx(0.5, abs=0.01)


async def test_a_locked_sequence_is_unknown_and_the_others_are_not(desk: Desk) -> None:
    await desk.run("create table a (id serial)", "create table b (id serial)")
    engine = await desk.seeing()
    holder = await desk.session()
    await holder.execute("begin; alter sequence a_id_seq restart")
    start = time.monotonic()
    found = await engine.tables(TableQuery())
    assert time.monotonic() - start < 1
    known = {one.name: one.exhaustion is not None for one in found.tables}
    assert known == {"a": False, "b": True}
    assert any("used up is unknown for 1 of them: somebody locks them" in note for note in found.notes)


async def test_hidden_sequences_are_unknown_with_the_grant(desk: Desk) -> None:
    await desk.run("create table a (id serial)")
    found = await desk.tables()
    assert found.tables[0].exhaustion is None
    assert any(
        "sequences are used up is hidden for 1 of them" in note and "GRANT pg_read_all_data" in note
        for note in found.notes
    )


# ---- why -----------------------------------------------------------------------------------------


async def test_a_holder_of_the_horizon_is_named_for_the_table_and_for_the_server(desk: Desk) -> None:
    await desk.run(
        "create table t (id int)", "insert into t select generate_series(1, 1000)", "vacuum analyze t"
    )
    reader = await desk.session("report")
    await reader.execute("begin isolation level repeatable read; select from t")
    await desk.run("delete from t where id <= 500", "vacuum t", "select 1")
    found = await desk.tables()
    (one,) = found.tables
    pid = reader.get_server_pid()
    assert f"session {pid} (postgres, report, idle in transaction) holds the horizon" in one.why
    assert f"session {pid}" in found.why
    assert "1 table cannot go" in found.why
    await reader.execute("rollback")
    assert "holds the horizon" not in (await desk.tables()).why


async def test_the_server_dates_the_look_itself(desk: Desk) -> None:
    before = await desk.admin.fetchval("select clock_timestamp()")
    at = (await desk.tables()).at
    assert at is not None
    assert before < at < await desk.admin.fetchval("select clock_timestamp()")


async def test_autovacuum_that_is_off_is_said(desk: Desk) -> None:
    await desk.run(f"create table t (id int) {OFF}", "insert into t select generate_series(1, 1000)")
    assert (await desk.table("t")).why == "autovacuum is off for it (autovacuum_enabled)"
    await desk.admin.execute("alter system set autovacuum = off")
    await desk.admin.execute("select pg_reload_conf()")
    try:
        async with asyncio.timeout(10):
            while not (why := (await desk.tables()).why):
                await asyncio.sleep(0.1)
    finally:
        await desk.admin.execute("alter system reset autovacuum")
        await desk.admin.execute("select pg_reload_conf()")
    assert why.startswith("autovacuum is off on this server")


async def test_who_works_on_a_table_and_who_waits_for_it_is_told(desk: Desk) -> None:
    await desk.run(
        f"create table t (id int, v text) {OFF}",
        "insert into t select g, repeat('x', 300) from generate_series(1, 40000) g",
        "delete from t where id % 2 = 0",
    )
    worker = await desk.session("nightly")
    await worker.execute("set vacuum_cost_delay = 20; set vacuum_cost_limit = 10")
    task = asyncio.create_task(worker.execute("vacuum t"))
    await asyncio.sleep(0.5)
    waiting = await desk.behind("vacuum t")
    one = await desk.table("t")
    await desk.admin.execute(f"select pg_terminate_backend({worker.get_server_pid()})")
    await asyncio.wait([task, waiting], timeout=10)
    task.exception()
    assert one.busy == worker.get_server_pid()
    assert f"waits for a lock on it, behind session {worker.get_server_pid()}" in one.why


# ---- numbers -------------------------------------------------------------------------------------


async def test_wraparound_tells_ages_and_limits_and_uses_no_number_up(desk: Desk) -> None:
    await desk.run("create table t (id int)")
    before = await desk.admin.fetchval("select pg_snapshot_xmax(pg_current_snapshot())::text::int8")
    for _ in range(3):
        around = (await desk.tables()).wraparound
    after = await desk.admin.fetchval("select pg_snapshot_xmax(pg_current_snapshot())::text::int8")
    assert before == after
    assert around is not None
    expected = await desk.admin.fetchrow(
        "select max(age(datfrozenxid)) as xid, max(mxid_age(datminmxid)) as mxid from pg_database"
    )
    assert expected is not None
    assert (around.xid.age, around.mxid.age) == (expected["xid"], expected["mxid"])
    assert (around.xid.limits.freeze, around.mxid.limits.freeze) == (200_000_000, 400_000_000)
    assert around.xid.limits.stop == 2_144_483_647
    assert around.xid.database
    assert around.xid.table_age == await desk.admin.fetchval(
        "select max(age(relfrozenxid)) from pg_class where relkind in ('r', 't', 'm')"
    )


async def test_the_burn_rate_is_known_at_first_from_the_last_checkpoint(desk: Desk) -> None:
    around = (await desk.tables()).wraparound
    assert around is not None
    since = await desk.admin.fetchval(
        "select extract(epoch from clock_timestamp() - checkpoint_time)::float8 from pg_control_checkpoint()"
    )
    assert (around.xid.rate is not None) is (since >= 10)


async def test_ten_thousand_tables_are_no_burden(desk: Desk) -> None:
    await desk.admin.execute(
        "do $$ begin for i in 1..10000 loop execute format('create table t%s (id int)', i);"
        " if i % 1000 = 0 then commit; end if; end loop; end $$"
    )
    start = time.monotonic()
    found = await desk.tables(limit=50)
    assert time.monotonic() - start < 2
    assert (found.total, len(found.tables)) == (10_000, 50)
