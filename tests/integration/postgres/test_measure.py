"""The exact look: said before, taken on a connection of its own, and refused with what would change that."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from console.errors import LockTimeout, UsageError
from tests.integration.postgres.conftest import Desk

FILLED = (
    "create table t (id int primary key, v text) with (autovacuum_enabled = off)",
    "insert into t select g, repeat('x', 200) from generate_series(1, 40000) g",
    "delete from t where id % 2 = 0",
    "vacuum analyze t",
)
INSTALLED = "create extension pgstattuple"


async def test_a_table_is_measured_as_pgstattuple_does(desk: Desk) -> None:
    await desk.run(*FILLED, INSTALLED)
    told = await desk.engine.measurement("public", "t")
    size = await desk.admin.fetchval("select pg_relation_size('t')")
    assert (told.subject, told.bytes, told.refusal) == ("public.t", size, "")
    assert told.how == "pgstattuple(public.t)"
    assert told.lock.startswith("ACCESS SHARE")
    bloat = await desk.engine.measure("public", "t")
    waste = await desk.admin.fetchval("select free_space + dead_tuple_len from pgstattuple('t')")
    assert (bloat.wasted, bloat.low, bloat.high, bloat.exact) == (waste, waste, waste, True)
    assert 0.4 * size < waste < 0.6 * size


async def test_an_index_is_measured_by_what_a_rebuild_gives_back(desk: Desk) -> None:
    await desk.run(*FILLED, INSTALLED)
    assert (await desk.engine.measurement("public", "t_pkey")).how == "pgstatindex(public.t_pkey)"
    bloat = await desk.engine.measure("public", "t_pkey")
    before = await desk.admin.fetchval("select pg_relation_size('t_pkey')")
    await desk.run("reindex index t_pkey")
    given_back = before - await desk.admin.fetchval("select pg_relation_size('t_pkey')")
    assert bloat.exact
    assert abs(bloat.wasted - given_back) < 0.05 * before


async def test_a_large_table_is_measured_without_its_all_visible_pages(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.run(*FILLED, INSTALLED)
    monkeypatch.setattr("console.engine.postgres.measure.LARGE", 1)
    assert (await desk.engine.measurement("public", "t")).how == "pgstattuple_approx(public.t)"
    bloat = await desk.engine.measure("public", "t")
    waste = await desk.admin.fetchval("select free_space + dead_tuple_len from pgstattuple('t')")
    assert bloat.low <= waste <= bloat.high


async def test_the_extension_is_found_in_whatever_schema_it_is(desk: Desk) -> None:
    await desk.run(*FILLED, 'create schema "my Tools"', f'{INSTALLED} schema "my Tools"')
    told = await desk.engine.measurement("public", "t")
    assert told.refusal.endswith('GRANT USAGE ON SCHEMA "my Tools" TO dbdeck_monitor;')
    await desk.run('grant usage on schema "my Tools" to dbdeck_monitor')
    assert (await desk.engine.measure("public", "t")).wasted > 0


async def test_a_function_of_somebody_else_is_not_called_instead(desk: Desk) -> None:
    """Anybody who may create in the extension's schema could wait there for a monitor to come by."""
    await desk.run(*FILLED, INSTALLED)
    for type_ in ("oid", "int8", "anyelement"):
        await desk.run(
            f"create function public.pgstattuple({type_}) returns table"
            " (dead_tuple_len int8, free_space int8, table_len int8)"
            " language sql as 'select 1/0::int8, 1::int8, 1::int8'"
        )
    assert (await desk.engine.measure("public", "t")).wasted > 0


async def test_a_missing_extension_and_a_missing_right_are_refused_with_the_command(desk: Desk) -> None:
    await desk.run(*FILLED)
    told = await desk.engine.measurement("public", "t")
    assert told.refusal.endswith("CREATE EXTENSION pgstattuple;")
    with pytest.raises(UsageError, match="CREATE EXTENSION pgstattuple;"):
        await desk.engine.measure("public", "t")
    await desk.run(INSTALLED)
    await desk.role("dim", "pg_read_all_stats")
    told = await (await desk.looking("dim")).measurement("public", "t")
    assert told.refusal == "this login may not measure: GRANT pg_stat_scan_tables TO dim;"
    await desk.run("grant pg_stat_scan_tables to dim")
    assert (await (await desk.looking("dim")).measure("public", "t")).wasted > 0


async def test_what_cannot_be_measured_is_refused(desk: Desk) -> None:
    await desk.run(
        INSTALLED,
        "create table e (id int primary key) partition by range (id)",
        "create table t (id int, v int[])",
        "create index t_v on t using gin (v)",
    )
    assert "partitions" in (await desk.engine.measurement("public", "e")).refusal
    assert "partitions" in (await desk.engine.measurement("public", "e_pkey")).refusal
    assert "only a B-tree" in (await desk.engine.measurement("public", "t_v")).refusal
    with pytest.raises(UsageError, match="no table or index public"):
        await desk.engine.measurement("public", "none")


async def test_a_locked_table_is_not_waited_for_and_polls_go_on(desk: Desk) -> None:
    await desk.run(*FILLED, INSTALLED)
    holder = await desk.session()
    await holder.execute("begin; lock table t in access exclusive mode")
    task = asyncio.create_task(desk.engine.measure("public", "t"))
    await asyncio.sleep(0.3)
    start = time.monotonic()
    await desk.engine.load()
    assert time.monotonic() - start < 1
    with pytest.raises(LockTimeout) as locked:
        await task
    assert f"session {holder.get_server_pid()} (" in locked.value.message
    assert "holds AccessExclusiveLock on public.t" in locked.value.message
    assert "ACCESS SHARE" in locked.value.message


async def test_a_measurement_given_up_leaves_no_session(desk: Desk) -> None:
    await desk.run(*FILLED, INSTALLED)
    holder = await desk.session()
    await holder.execute("begin; lock table t in access exclusive mode")
    task = asyncio.create_task(desk.engine.measure("public", "t"))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    left = "select count(*) from pg_stat_activity where application_name = 'dbdeck measure'"
    async with asyncio.timeout(5):
        while await desk.admin.fetchval(left):
            await asyncio.sleep(0.1)


# ---- disk ----------------------------------------------------------------------------------------


async def test_free_space_is_known_by_the_socket_of_this_machine_only(desk: Desk) -> None:
    await desk.run("create table t (id int)")
    far = await desk.engine.disk("public", "t")
    assert (far.free, far.place) == (None, "")
    assert "socket" in far.why
    near = await desk.looking(host=desk.server.host, tls="off", ca=None)
    disk = await near.disk("public", "t")
    assert disk.place == await desk.admin.fetchval("show data_directory")
    assert (disk.free or 0) > 0
    assert disk.why == ""
    assert "no public.none" in (await near.disk("public", "none")).why


async def test_a_hidden_folder_is_unknown_with_the_grant(desk: Desk) -> None:
    await desk.run("create table t (id int)")
    await desk.role("dim")
    near = await desk.looking("dim", host=desk.server.host, tls="off", ca=None)
    disk = await near.disk("public", "t")
    assert disk.free is None
    assert "GRANT pg_read_all_settings TO dim;" in disk.why


async def test_a_tablespace_of_its_own_is_where_the_table_lies(desk: Desk) -> None:
    folder = Path(desk.server.scratch.data) / f"space_{desk.database}"
    await desk.admin.execute(f"copy (select 1) to program 'mkdir -m 700 {folder}'")
    name = f"space_{desk.database}"
    await desk.admin.execute(f"create tablespace {name} location '{folder}'")
    await desk.run(f"create table t (id int) tablespace {name}")
    near = await desk.looking(host=desk.server.host, tls="off", ca=None)
    disk = await near.disk("public", "t")
    await desk.run("drop table t", f"drop tablespace {name}")
    assert disk.place == str(folder)
