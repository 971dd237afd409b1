"""Each thing that may be wrong with an index, made for real; and locks that must not make it wait."""

from __future__ import annotations

import asyncio
import shlex
import time

import asyncpg
import pytest

from console.engine.postgres.engine import PostgresEngine
from console.model.indexes import Finding, Index, IndexFinding, IndexHealth, Severity
from console.model.tables import TableQuery
from tests.integration.postgres.conftest import Desk

OFF = "with (autovacuum_enabled = off)"
CANCEL = "select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'ddl'"
HOSTILE = ('a"b', "it's", "two\nlines", "a.b", "select", "ünïcode 🐘", "x" * 63, "$(id)")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


async def findings(desk: Desk, *kinds: Finding, engine: PostgresEngine | None = None) -> list[IndexFinding]:
    health = await (engine or desk.engine).index_health()
    return [one for one in health.findings if one.finding in kinds]


async def only(desk: Desk, kind: Finding) -> IndexFinding:
    (one,) = await findings(desk, kind)
    return one


async def index(desk: Desk, name: str, schema: str = "public") -> Index:
    (one,) = await desk.engine.indexes(TableQuery(), [(schema, name)])
    return one


async def cancelled(desk: Desk, sql: str, table: str) -> None:
    """A concurrent command that was stopped while it waited for a writer."""
    writer = await desk.session("writer")
    await writer.execute(f"begin; insert into {table} values (0)")
    task = await desk.behind(sql)
    await desk.admin.execute(CANCEL)
    with pytest.raises(asyncpg.QueryCanceledError):
        await task
    await writer.execute("rollback")
    writer.terminate()


# ---- invalid -------------------------------------------------------------------------------------


async def test_a_failed_concurrent_build_leaves_an_invalid_index(desk: Desk) -> None:
    await desk.run("create table t (id int)", "insert into t values (1), (1)")
    with pytest.raises(asyncpg.UniqueViolationError):
        await desk.admin.execute("create unique index concurrently t_id on t (id)")
    one = await only(desk, Finding.INVALID)
    assert (one.schema, one.table, one.name) == ("public", "t", "t_id")
    assert (one.severity, one.definition) == (Severity.BAD, "UNIQUE btree (id)")
    assert one.remedy == "index.drop_invalid index=public.t_id"
    assert one.why == "its concurrent build failed: no query uses it"  # and no write updates it yet
    assert (await index(desk, "t_id")).state == "invalid"


async def test_odd_names_are_quoted_in_what_mends_them(desk: Desk) -> None:
    await desk.run('create table "Odd.table" (id int)', 'insert into "Odd.table" values (1), (1)')
    with pytest.raises(asyncpg.UniqueViolationError):
        await desk.admin.execute('create unique index concurrently "odd ""i" on "Odd.table" (id)')
    one = await only(desk, Finding.INVALID)
    assert shlex.split(one.remedy) == ["index.drop_invalid", 'index=public."odd ""i"']
    await desk.run(
        "create table c (id int primary key)",
        'alter table "Odd.table" add foreign key (id) references c not valid',
    )
    (key,) = await findings(desk, Finding.NO_INDEX_ON_FOREIGN_KEY)
    assert shlex.split(key.remedy) == ["index.create", 'table=public."Odd.table"', "column=id"]


async def test_one_that_failed_late_costs_every_write(desk: Desk) -> None:
    await desk.run("create table t (id int)")
    reader = await desk.session("report")
    await reader.execute("begin isolation level repeatable read; select 1")
    task = await desk.behind("create unique index concurrently t_id on t (id)")
    await desk.admin.execute(CANCEL)
    with pytest.raises(asyncpg.QueryCanceledError):
        await task
    one = await only(desk, Finding.INVALID)
    assert "every write still updates it, and may refuse rows that are not unique" in one.why


async def test_a_cancelled_rebuild_leaves_a_ccnew(desk: Desk) -> None:
    await desk.run("create table t (id int primary key)")
    await cancelled(desk, "reindex index concurrently t_pkey", "t")
    one = await only(desk, Finding.LEFTOVER_NEW)
    assert one.name == "t_pkey_ccnew"
    assert one.remedy == "index.drop_invalid index=public.t_pkey_ccnew"
    assert await findings(desk, Finding.INVALID) == []
    assert (await index(desk, "t_pkey")).state == "valid"


async def test_a_toast_table_is_left_with_one_too(desk: Desk) -> None:
    await desk.run("create table t (id int primary key, v text)")
    await cancelled(desk, "reindex table concurrently t", "t")
    found = await findings(desk, Finding.LEFTOVER_NEW)
    schemas = sorted(one.schema for one in found)
    assert schemas == ["pg_toast", "public"]
    toast = next(one for one in found if one.schema == "pg_toast")
    assert toast.remedy == f"index.drop_invalid index=pg_toast.{toast.name}"
    told = await index(desk, toast.name, "pg_toast")
    assert "drop it" in told.concurrent


async def test_a_rebuild_that_could_not_drop_the_old_one_leaves_a_ccold(desk: Desk) -> None:
    """It is stopped in its last wait, for those who may still read the old one."""
    await desk.run("create table t (id int primary key)", "insert into t values (1)")
    reader, writer = await desk.session("reader"), await desk.session("writer")
    await writer.execute("begin; insert into t values (0)")
    task = await desk.behind("reindex index concurrently t_pkey")
    await reader.execute("begin; select * from t where id = 1")
    await writer.execute("rollback")
    await asyncio.sleep(0.5)
    await desk.admin.execute(CANCEL)
    with pytest.raises(asyncpg.QueryCanceledError):
        await task
    one = await only(desk, Finding.LEFTOVER_OLD)
    assert one.name == "t_pkey_ccold"
    assert one.remedy == "index.drop_invalid index=public.t_pkey_ccold"
    assert "its replacement is valid" in one.why
    assert (await index(desk, "t_pkey")).state == "valid"


async def test_a_build_in_progress_is_nothing_to_drop(desk: Desk) -> None:
    await desk.run("create table t (id int)")
    writer = await desk.session("writer")
    await writer.execute("begin; insert into t values (0)")
    await desk.behind("create index concurrently t_id on t (id)")
    builder = await desk.admin.fetchval("select pid from pg_stat_activity where application_name = 'ddl'")
    one = await only(desk, Finding.BUILDING)
    assert (one.name, one.session, one.severity, one.remedy) == ("t_id", builder, Severity.INFO, "")
    assert await findings(desk, Finding.INVALID) == []
    told = await index(desk, "t_id")
    assert (told.state, told.builder) == ("building", builder)
    await desk.role("dim")
    (unseen,) = await findings(desk, Finding.BUILDING, engine=await desk.looking("dim"))
    assert unseen.session == builder  # its progress is hidden, its lock is not


async def test_a_leftover_beside_a_build_waits_for_it(desk: Desk) -> None:
    await desk.run("create table t (id int primary key)")
    await cancelled(desk, "reindex index concurrently t_pkey", "t")
    writer = await desk.session("writer")
    await writer.execute("begin; insert into t values (0)")
    await desk.behind("create index concurrently t_id on t (id)")
    assert await findings(desk, Finding.LEFTOVER_NEW) == []
    assert len(await findings(desk, Finding.BUILDING)) == 2


async def test_a_partitioned_index_made_for_later_is_no_fault(desk: Desk) -> None:
    await desk.run(
        "create table e (id int) partition by range (id)",
        "create table e1 partition of e for values from (0) to (9)",
        "create index e_id on only e (id)",
    )
    one = await only(desk, Finding.INVALID)
    assert (one.name, one.severity, one.bytes) == ("e_id", Severity.INFO, None)
    assert one.remedy == "ALTER INDEX public.e_id ATTACH PARTITION …;"
    await desk.run("create index e1_id on e1 (id)", "alter index e_id attach partition e1_id")
    assert await findings(desk, Finding.INVALID) == []


# ---- superfluous ---------------------------------------------------------------------------------


async def test_duplicates_and_what_others_begin_with_are_told_apart(desk: Desk) -> None:
    await desk.run(
        "create table t (id int primary key, a int, b int, v text)",
        "create index t_a on t (a)",
        "create index t_a_b on t (a, b)",
        "create index t_a_b_again on t (a, b)",
        "create index t_id on t (id)",
        "create unique index t_a_unique on t (a)",
        "create index t_a_desc on t (a desc)",
        "create index t_a_some on t (a) where b > 0",
        "create index t_a_some_again on t (a) where b   >  0",
        "create index t_low on t (lower(v))",
        "create index t_low_again on t (lower( v ))",
        'create index t_c on t (v collate "C")',
        "create index t_pattern on t (v text_pattern_ops)",
        "create index t_hash on t using hash (a)",
    )
    found = {one.name: one for one in await findings(desk, Finding.DUPLICATE, Finding.REDUNDANT)}
    told = {name: (one.finding, one.with_) for name, one in found.items()}
    assert told == {
        "t_a": (Finding.DUPLICATE, "public.t_a_unique"),
        "t_a_b_again": (Finding.DUPLICATE, "public.t_a_b"),
        "t_id": (Finding.DUPLICATE, "public.t_pkey"),
        "t_a_some_again": (Finding.DUPLICATE, "public.t_a_some"),
        "t_low_again": (Finding.DUPLICATE, "public.t_low"),
    }
    assert found["t_id"].remedy == "DROP INDEX CONCURRENTLY public.t_id;"
    assert found["t_a_some_again"].definition == "btree (a) WHERE …"
    assert found["t_low_again"].definition == "btree (lower(…))"
    await desk.run("drop index t_a_unique", "drop index t_a_b_again")
    one = await only(desk, Finding.REDUNDANT)
    assert (one.name, one.with_) == ("t_a", "public.t_a_b")


async def test_who_drops_all_that_is_named_keeps_one_that_serves(desk: Desk) -> None:
    await desk.run(
        "create table t (a int, b int)",
        "create index t_a on t (a)",
        "create index t_a_b on t (a, b)",
        "insert into t select g, g from generate_series(1, 1000) g",
        "analyze t",
    )
    assert await findings(desk, Finding.UNUSED) == []
    one = await only(desk, Finding.REDUNDANT)
    assert (one.name, one.with_) == ("t_a", "public.t_a_b")
    assert "drop one of them, not both" in one.why
    await desk.run("select pg_stat_reset()")
    assert (await only(desk, Finding.REDUNDANT)).since is not None


async def test_a_partition_of_an_index_stays_and_one_beside_it_can_go(desk: Desk) -> None:
    await desk.run(
        "create table e (id int) partition by range (id)",
        "create table e1 partition of e for values from (0) to (9)",
        "create index mine on e1 (id)",
        "create index mine_again on e1 (id)",
        "create index e_id on e (id)",  # takes `mine` as its part
        "create index e_id_again on e (id)",
    )
    found = {one.name: one.with_ for one in await findings(desk, Finding.DUPLICATE)}
    assert found == {"e_id_again": "public.e_id"}


async def test_two_equal_constraints_are_told_with_the_constraint_to_drop(desk: Desk) -> None:
    await desk.run("create table t (id int primary key)", 'alter table t add constraint "so so" unique (id)')
    one = await only(desk, Finding.DUPLICATE)
    assert (one.name, one.with_) == ("so so", "public.t_pkey")
    assert one.remedy == 'ALTER TABLE public.t DROP CONSTRAINT "so so";'


async def test_unused_indexes_are_told_since_when_but_for_those_that_matter_otherwise(desk: Desk) -> None:
    await desk.run(
        "create extension if not exists btree_gist",
        "create table p (id int primary key)",
        "create table t (id int primary key, a int, b int, c int references p, d int unique)",
        "create index t_a on t (a)",
        "create index t_b on t (b)",
        "create index t_c on t (c)",
        "insert into t select g, g, g, null, g from generate_series(1, 1000) g",
        "analyze t",
        "set enable_seqscan = off",
        "select * from t where b = 5",
    )
    one = await only(desk, Finding.UNUSED)
    assert (one.name, one.scans, one.last_scan) == ("t_a", 0, None)
    assert "no scan since" in one.why
    assert one.remedy == "DROP INDEX CONCURRENTLY public.t_a;"
    await desk.run("select pg_stat_reset()")
    found = {one.name: one for one in await findings(desk, Finding.UNUSED)}
    assert set(found) == {"t_a", "t_b"}
    assert found["t_a"].since is not None
    assert found["t_a"].severity is Severity.INFO
    assert "less than a week" in found["t_a"].why


async def test_the_scans_of_a_partitioned_index_are_those_of_its_parts(desk: Desk) -> None:
    await desk.run(
        "create table e (id int, v int) partition by range (id)",
        "create table e1 partition of e for values from (0) to (1000)",
        "create table e2 partition of e for values from (1000) to (2000)",
        "insert into e select g, g from generate_series(0, 1999) g",
        "create index e_id on e (id)",
        "create index e_v on e (v)",
        "analyze e",
        "set enable_seqscan = off",
        "select * from e where id = 5",
    )
    one = await only(desk, Finding.UNUSED)
    assert (one.name, one.remedy) == ("e_v", "DROP INDEX public.e_v;")


# ---- constraints ---------------------------------------------------------------------------------


async def test_a_foreign_key_needs_an_index_that_leads_with_its_columns_in_any_order(desk: Desk) -> None:
    await desk.run(
        "create table p (a int, b int, primary key (a, b))",
        "create table swapped (x int, y int, foreign key (x, y) references p)",
        "create index swapped_i on swapped (y, x, (x + y))",
        "create table second (x int, y int, z int, foreign key (x, y) references p)",
        "create index second_i on second (z, x, y)",
        "create table partly (x int, y int, foreign key (x, y) references p)",
        "create index partly_i on partly (x, y) where x > 0",
        "create table bare (x int, y int, constraint to_p foreign key (x, y) references p)",
        "insert into p values (1, 1)",
        "delete from p",
    )
    found = {one.table: one for one in await findings(desk, Finding.NO_INDEX_ON_FOREIGN_KEY)}
    assert set(found) == {"second", "partly", "bare"}
    bare = found["bare"]
    assert (bare.name, bare.definition) == ("to_p", "(x, y) REFERENCES public.p")
    assert bare.remedy == "index.create table=public.bare column=x column=y"
    assert "1 rows were deleted there" in bare.why


async def test_tables_without_a_primary_key_are_told_with_what_could_be_one(desk: Desk) -> None:
    await desk.run(
        "create table heap (v text)",
        "create table nearly (id int not null unique)",
        "create table maybe (id int unique)",
        "create table e (id int) partition by range (id)",
        "create table e1 partition of e for values from (0) to (9)",
        "create table fine (id int primary key)",
        "create publication everything for table heap",
    )
    found = {one.table: one for one in await findings(desk, Finding.NO_PRIMARY_KEY)}
    assert set(found) == {"heap", "nearly", "maybe", "e"}
    assert found["heap"].severity is Severity.BAD
    assert "UPDATE and DELETE fail" in found["heap"].why
    assert found["nearly"].remedy == "ALTER TABLE public.nearly ADD PRIMARY KEY USING INDEX nearly_id_key;"
    assert found["maybe"].remedy == "ALTER TABLE public.maybe ADD PRIMARY KEY (…);"


async def test_constraints_nobody_checked_are_told_with_the_statement(desk: Desk) -> None:
    await desk.run(
        "create table p (id int primary key)",
        "create table t (id int primary key, n int)",
        'alter table t add constraint "n is Positive" check (n > 0) not valid',
        "alter table t add constraint t_p foreign key (id) references p not valid",
    )
    if desk.server.major >= 18:
        await desk.run("alter table t add constraint lax check (n < 9) not enforced")
    found = {one.name: one for one in await findings(desk, Finding.NOT_VALID)}
    assert set(found) == {"n is Positive", "t_p"}
    assert found["n is Positive"].remedy == 'ALTER TABLE public.t VALIDATE CONSTRAINT "n is Positive";'
    assert "foreign key" in found["t_p"].why
    await desk.run(found["t_p"].remedy)
    assert (await only(desk, Finding.NOT_VALID)).name == "n is Positive"


async def test_large_tables_that_are_read_whole_again_and_again_are_told(desk: Desk) -> None:
    await desk.run(
        f"create table t (id int primary key, v text) {OFF}",
        "insert into t select g, repeat('x', 400) from generate_series(1, 30000) g",
        "vacuum analyze t",
        "do $$ begin for i in 1..60 loop perform count(*) from t where v = 'y'; end loop; end $$",
    )
    one = await only(desk, Finding.SEQUENTIAL_SCANS)
    assert (one.table, one.severity) == ("t", Severity.NOTICE)
    assert (one.scans or 0) >= 60
    assert "read from end to end" in one.why


# ---- bloat ---------------------------------------------------------------------------------------


async def waste(desk: Desk, name: str) -> int:
    """What a rebuild would give back: the plainest measure of bloat."""
    before = await desk.admin.fetchval(f"select pg_relation_size('{name}')")
    await desk.admin.execute(f"reindex index {name}")
    return int(before - await desk.admin.fetchval(f"select pg_relation_size('{name}')"))


async def test_a_tree_that_lost_most_of_its_rows_is_told_and_a_full_one_is_not(desk: Desk) -> None:
    await desk.run(
        f"create table t (id int, n bigint, v text, few int) {OFF}",
        "insert into t select g, g, 'value ' || g, g % 5 from generate_series(1, 100000) g",
        "create index t_n on t (n)",
        "create index t_v on t (v)",
        "create index t_few on t (few)",
        "vacuum analyze t",
    )
    engine = await desk.seeing()
    assert await findings(desk, Finding.BLOATED, engine=engine) == []
    await desk.run("delete from t where id % 10 <> 0", "vacuum analyze t")
    found = {one.name: one for one in await findings(desk, Finding.BLOATED, engine=engine)}
    assert set(found) >= {"t_n", "t_v"}
    for name, one in found.items():
        assert one.bloat is not None
        given_back = await waste(desk, name)
        assert one.bloat.low <= given_back <= one.bloat.high, (name, one.bloat, given_back)
        assert one.remedy == f"index.reindex index=public.{name}"


async def test_hidden_statistics_are_no_healthy_trees(desk: Desk) -> None:
    await desk.run(
        f"create table t (id int primary key) {OFF}",
        "insert into t select generate_series(1, 100000)",
        "vacuum analyze t",
    )
    health = await desk.engine.index_health()
    assert "bloat of 1 index is unknown" in health.notes[0]
    assert "GRANT pg_read_all_data TO dbdeck_monitor;" in health.notes[0]


# ---- indexes for actions -------------------------------------------------------------------------


async def test_indexes_are_told_by_table_and_by_name_with_what_makes_them(desk: Desk) -> None:
    await desk.run(
        "create extension if not exists btree_gist",
        "create table t (id int primary key, v text, exclude using gist (id with =))",
        "create index t_low on t (lower(v)) where id > 5",
        "create table other (id int primary key)",
        "insert into t select g, 'x' from generate_series(1, 100) g",
        "analyze t",
    )
    found = {one.name: one for one in await desk.engine.indexes(TableQuery(names=(("public", "t"),)))}
    assert set(found) == {"t_pkey", "t_id_excl", "t_low"}
    assert found["t_low"].definition == "CREATE INDEX t_low ON public.t USING btree (lower(v)) WHERE (id > 5)"
    assert (found["t_pkey"].constraint, found["t_pkey"].unique, found["t_pkey"].primary) == (
        "t_pkey",
        True,
        True,
    )
    assert "exclusion constraint" in found["t_id_excl"].concurrent
    assert found["t_low"].concurrent == ""
    assert (found["t_pkey"].bytes, found["t_pkey"].table_bytes) == (16384, 8192)
    number = await desk.admin.fetchrow(
        "select 't_low'::regclass::oid::int8 as i, 't'::regclass::oid::int8 as t"
    )
    assert number is not None
    assert (found["t_low"].number, found["t_low"].table_number) == (number["i"], number["t"])
    assert (await index(desk, "other_pkey")).table == "other"
    assert await desk.engine.indexes(TableQuery(), [("public", "none")]) == ()
    catalog = await index(desk, "pg_class_oid_index", "pg_catalog")
    assert "system catalogs" in catalog.concurrent


@pytest.mark.parametrize("name", HOSTILE)
async def test_names_come_back_as_they_are_and_remedies_can_be_pasted(desk: Desk, name: str) -> None:
    await desk.run(
        f"create schema {quoted(name)}",
        f"create table {quoted(name)}.{quoted(name)} ({quoted(name)} int)",
        f"create index one on {quoted(name)}.{quoted(name)} ({quoted(name)})",
        f"create index {quoted('z' + name[1:])} on {quoted(name)}.{quoted(name)} ({quoted(name)})",
    )
    one = await only(desk, Finding.DUPLICATE)
    assert (one.schema, one.table) == (name, name)
    await desk.admin.execute(one.remedy)
    assert await findings(desk, Finding.DUPLICATE) == []


async def test_a_partition_tree_of_indexes_names_its_parts(desk: Desk) -> None:
    await desk.run(
        "create table e (id int primary key) partition by range (id)",
        "create table e1 partition of e for values from (0) to (9)",
    )
    found = {one.name: one for one in await desk.engine.indexes(TableQuery(names=(("public", "e"),)))}
    assert set(found) == {"e_pkey", "e1_pkey"}
    assert (found["e_pkey"].partitioned, found["e1_pkey"].partitioned) == (True, False)
    assert found["e_pkey"].bytes is None


# ---- locks ---------------------------------------------------------------------------------------


async def test_it_answers_while_somebody_holds_or_awaits_a_table_exclusively(desk: Desk) -> None:
    await desk.run(
        "create table t (id int, v text)",
        "create index t_a on t (lower(v)) where id > 5",
        "create index t_b on t (lower(v)) where id > 5",
        "create table fine (id int primary key)",
    )
    await desk.engine.index_health()
    reader = await desk.session("reader")
    await reader.execute("begin; select * from t")
    migration = await desk.behind("alter table t add column w text")
    await _answers(desk)  # while it is awaited
    await reader.execute("rollback")
    await migration
    await reader.execute("begin; lock table t in access exclusive mode")
    await _answers(desk)  # while it is held


async def _answers(desk: Desk) -> None:
    start = time.monotonic()
    health = await desk.engine.index_health()
    told = await desk.engine.indexes(TableQuery())
    assert time.monotonic() - start < 1
    assert Finding.DUPLICATE in {one.finding for one in health.findings}
    assert {one.name: one.definition for one in told} == {
        "t_a": "btree (lower(…)) WHERE …",
        "t_b": "btree (lower(…)) WHERE …",
        "fine_pkey": "CREATE UNIQUE INDEX fine_pkey ON public.fine USING btree (id)",
    }


async def test_every_finding_is_ranked_and_counted(desk: Desk) -> None:
    await desk.run("create table t (id int)", "create index a on t (id)", "create index b on t (id)")
    health: IndexHealth = await desk.engine.index_health()
    assert health.looked_at == 2
    assert health.bytes == 2 * 8192
    severities = [one.severity for one in health.findings]
    assert severities == sorted(severities, reverse=True)
    assert len({one.key for one in health.findings}) == len(health.findings)
