"""Progress on real servers: how far, at which pace, and for whom it waits."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from console.engine.postgres import progress_rows as rows
from console.engine.postgres.engine import PostgresEngine
from console.model.progress import Confidence, Progress
from tests.integration.postgres.conftest import Desk

SLOW = "set vacuum_cost_delay = 20; set vacuum_cost_limit = 10"
FILLED = (
    "create table big (id int primary key, v text) with (autovacuum_enabled = off)",
    "insert into big select g, repeat('x', 300) from generate_series(1, 40000) g",
    "delete from big where id % 2 = 0",
)


async def running(engine: PostgresEngine, command: str, *, phase: str = "") -> Progress:
    async with asyncio.timeout(15):
        while True:
            for one in (await engine.progress()).work:
                if one.command == command and one.phase.startswith(phase):
                    return one
            await asyncio.sleep(0.05)


@asynccontextmanager
async def at_work(desk: Desk, *statements: str) -> AsyncIterator[int]:
    """A session in the last statement; it is ended afterwards."""
    session = await desk.session("nightly")
    for sql in statements[:-1]:
        await session.execute(sql)
    task = asyncio.create_task(session.execute(statements[-1]))
    try:
        yield session.get_server_pid()
    finally:
        await desk.admin.execute(f"select pg_terminate_backend({session.get_server_pid()})")
        await asyncio.wait([task], timeout=10)
        task.exception()


async def test_a_slow_vacuum_tells_how_far_it_is_and_when_it_will_be_done(desk: Desk) -> None:
    await desk.run(*FILLED)
    async with at_work(desk, SLOW, "vacuum big") as pid:
        first = await running(desk.engine, "VACUUM", phase="scanning heap")
        for _ in range(5):
            await asyncio.sleep(0.3)
            later = await running(desk.engine, "VACUUM", phase="scanning heap")
    assert (first.session, first.object, first.unit) == (pid, "public.big", "blocks")
    assert first.database == desk.database
    assert (first.user, first.query, first.automatic) == ("postgres", "vacuum big", False)
    assert first.total == later.total
    assert (first.done or 0) < (later.done or 0)
    assert later.estimate.rate is not None
    assert later.estimate.seconds is not None
    assert later.estimate.confidence is not Confidence.NONE
    assert later.rounds == 0
    assert later.started_at is not None


async def test_a_concurrent_build_names_the_session_it_waits_for(desk: Desk) -> None:
    await desk.run(
        "create table t (id int, n int)", "insert into t select g, g from generate_series(1, 100) g"
    )
    writer = await desk.session("writer")
    await writer.execute("begin; insert into t values (0, 0)")
    async with at_work(desk, "create index concurrently t_n on t (n)") as pid:
        one = await running(
            desk.engine, "CREATE INDEX CONCURRENTLY", phase="waiting for writers before build"
        )
    assert (one.session, one.object) == (pid, "public.t")
    assert one.waits_for == (writer.get_server_pid(),)
    assert (one.done, one.total, one.unit) == (0, 1, "sessions")
    assert one.details["index"] == "public.t_n"


async def test_an_old_snapshot_stops_the_last_phase(desk: Desk) -> None:
    await desk.run("create table t (id int, n int)")
    reader = await desk.session("report")
    await reader.execute("begin isolation level repeatable read; select 1")
    async with at_work(desk, "create index concurrently t_n on t (n)"):
        one = await running(desk.engine, "CREATE INDEX CONCURRENTLY", phase="waiting for old snapshots")
    assert one.waits_for == (reader.get_server_pid(),)


async def test_it_answers_while_a_table_is_locked(desk: Desk) -> None:
    await desk.run(*FILLED)
    holder = await desk.session()
    await holder.execute("begin; lock table big in access exclusive mode")
    await desk.engine.progress()
    start = time.monotonic()
    assert (await desk.engine.progress()).notes == ()
    assert time.monotonic() - start < 1


async def test_a_locked_catalog_leaves_only_names_unknown(desk: Desk) -> None:
    await desk.run(*FILLED)
    async with at_work(desk, SLOW, "vacuum big"):
        await running(desk.engine, "VACUUM")
        fresh = await desk.looking()
        await fresh.progress()  # what it asks for it has asked for before
        fresh._link.names.relations.clear()
        holder = await desk.session()
        await holder.execute("begin; lock table pg_class in access exclusive mode")
        try:
            (one,) = (await fresh.progress()).work
        finally:
            await holder.execute("rollback")
    assert one.total is not None
    assert "name unresolved" in one.object


async def test_analyze_and_copy_report_too(desk: Desk) -> None:
    await desk.run(*FILLED)
    async with at_work(desk, SLOW, "analyze big"):
        one = await running(desk.engine, "ANALYZE", phase="acquiring sample rows")
        assert (one.object, one.unit) == ("public.big", "blocks")
    async with at_work(desk, "copy big to program 'sleep 3; cat > /dev/null'"):
        one = await running(desk.engine, "COPY TO")
        assert (one.object, one.unit, one.total) == ("public.big", "bytes", None)
        assert one.details["through"] == "PROGRAM"


async def test_hidden_progress_is_said_with_the_grant(desk: Desk) -> None:
    await desk.run(*FILLED)
    await desk.role("dim")
    engine = await desk.looking("dim")
    async with at_work(desk, SLOW, "vacuum big"):
        await running(desk.engine, "VACUUM")
        report = await engine.progress()
    assert report.work == ()
    assert report.notes == ("1 more are hidden from this login: GRANT pg_read_all_stats TO dim;",)


async def test_work_in_another_database_is_named_by_its_own(desk: Desk) -> None:
    await desk.run(*FILLED)
    other = await desk.server.new_database()
    elsewhere = await desk.looking(database=other)
    async with at_work(desk, SLOW, "vacuum big"):
        one = await running(elsewhere, "VACUUM")
    assert (one.database, one.object) == (desk.database, "public.big")


# ---- the counters mean what the server's own views say -------------------------------------------

_COLUMN = re.compile(r"param(\d+)\)?(?:::oid)?\)? AS (\w+)")
_PHASE = re.compile(r"WHEN (\d+) THEN '([^']+)'::text|WHEN (\d+) THEN \('([^']+)'::text")


def columns(definition: str) -> dict[str, int]:
    return {name: int(number) for number, name in _COLUMN.findall(definition)}


def words(definition: str, column: str) -> list[tuple[int, str]]:
    """The CASE that makes one column."""
    case = definition[: definition.index(f"END AS {column}")].rpartition("CASE")[2]
    return [(int(a or c), b or d) for a, b, c, d in _PHASE.findall(case)]


def at(kind: str, **counters: int) -> dict[str, Any]:
    """Each counter is a hundred times its place, but for those given."""
    values = {f"param{place}": 100 * place for place in range(1, 21)}
    given = {f"param{place[1:]}": value for place, value in counters.items()}
    return {"kind": kind, "subphase": "scanning table"} | values | given


async def definition(desk: Desk, view: str) -> str:
    if view == "cluster" and desk.server.major >= 19:
        pytest.skip("19 is read by the names of the columns of pg_stat_progress_repack")
    return str(
        await desk.admin.fetchval(
            "select definition from pg_views where viewname = $1", f"pg_stat_progress_{view}"
        )
    )


@pytest.mark.parametrize(
    ("view", "column", "ours"),
    [
        ("vacuum", "phase", rows.VACUUM_PHASES),
        ("vacuum", "mode", rows.VACUUM_MODES),
        ("vacuum", "started_by", rows.VACUUM_BEGINNERS),
        ("analyze", "phase", rows.ANALYZE_PHASES),
        ("cluster", "phase", rows.CLUSTER_PHASES),
        ("cluster", "command", rows.CLUSTER_COMMANDS),
        ("create_index", "phase", rows.INDEX_PHASES),
        ("create_index", "command", rows.INDEX_COMMANDS),
        ("basebackup", "phase", rows.BACKUP_PHASES),
        ("copy", "command", rows.COPY_COMMANDS),
        ("copy", "type", rows.COPY_ENDS),
    ],
)
async def test_phases_are_the_servers(desk: Desk, view: str, column: str, ours: tuple[str, ...]) -> None:
    said = await definition(desk, view)
    if f"AS {column}" not in said:
        assert desk.server.major < 19, "all that is left out here came with 19"
        return
    theirs = words(said, column)
    assert theirs
    assert [ours[number] for number, _ in theirs] == [word.removesuffix(": ") for _, word in theirs]
    assert len([word for word in ours if word]) == len(theirs)


@pytest.mark.parametrize(
    ("view", "row", "done", "total"),
    [
        ("vacuum", at("VACUUM", p1=1), "heap_blks_scanned", "heap_blks_total"),
        ("vacuum", at("VACUUM", p1=3), "heap_blks_vacuumed", "heap_blks_total"),
        ("vacuum", at("VACUUM", p1=2), "indexes_processed", "indexes_total"),
        ("analyze", at("ANALYZE", p1=1), "sample_blks_scanned", "sample_blks_total"),
        ("analyze", at("ANALYZE", p1=4), "ext_stats_computed", "ext_stats_total"),
        ("cluster", at("CLUSTER", p1=2, p2=1), "heap_blks_scanned", "heap_blks_total"),
        ("cluster", at("CLUSTER", p1=2, p2=4), "heap_tuples_written", "heap_tuples_scanned"),
        ("cluster", at("CLUSTER", p1=2, p2=6), "index_rebuild_count", ""),
        ("create_index", at("CREATE INDEX", p1=2, p10=1), "lockers_done", "lockers_total"),
        ("create_index", at("CREATE INDEX", p1=2, p10=2), "blocks_done", "blocks_total"),
        ("create_index", at("CREATE INDEX", p1=2, p10=2, p16=0), "tuples_done", "tuples_total"),
        ("copy", at("COPY", p5=1, p6=1), "bytes_processed", "bytes_total"),
        ("basebackup", at("BASEBACKUP", p1=3, p2=200), "backup_streamed", "backup_total"),
    ],
)
async def test_counters_are_the_servers(
    desk: Desk, view: str, row: dict[str, Any], done: str, total: str
) -> None:
    theirs = columns(await definition(desk, view)) | {"backup_total": 2}
    step = rows.step(row, desk.server.major * 10000)
    assert step is not None
    if done not in theirs:  # before 17
        assert (done, step.done, step.total) == ("indexes_processed", None, None)
        return
    assert step.done == 100 * theirs[done]
    assert step.total == (100 * theirs[total] if total else None)
    if view == "create_index":
        assert step.relation == 100 * theirs["index_relid"]
        assert step.locker == (100 * theirs["current_locker_pid"] if "waiting" in step.phase else None)
    if view == "vacuum":
        assert (step.rounds or 0) - (row["param1"] == 2) == 100 * theirs["index_vacuum_count"]
        assert step.details["dead_rows"] == str(100 * theirs[_dead(theirs)])


def _dead(theirs: dict[str, int]) -> str:
    return "num_dead_item_ids" if "num_dead_item_ids" in theirs else "num_dead_tuples"
