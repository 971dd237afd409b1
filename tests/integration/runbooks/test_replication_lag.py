"""replication-lag: real standbys and replicas that are held up, paused, cut off, or that nobody has."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.command import Command
from tests.integration.actions.conftest import superuser
from tests.integration.postgres.test_standby import Couple, caught_up, connect, couple
from tests.running import START, end, killed_again_and_again, result_of
from tests.servers.logged import begin_anew
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.servers.replica import replica_of, there

__all__ = ["couple"]

RUN = ("runbook", "run", "replication-lag", *START, "--yes")
PLAN = ("runbook", "plan", "replication-lag", "-t", "t")
FREE = ("--confirm", "replay_agreed=end them", "--decide", "replay_each=rest")
ONLY18 = pytest.mark.parametrize("couple", ["pg18"], indirect=True)


def command_for(folder: Path, couple: Couple, *, standby: bool, monitor: str = "watcher") -> Command:
    server = couple.standby if standby else couple.primary
    return Command(
        folder,
        {
            "t": {
                "engine": "postgres", "host": str(server.socket_dir), "port": server.port,
                "database": "postgres", "environment": "dev", "monitor": {"user": monitor},
                "operator": {"user": "operator"},
            }
        },
    )  # fmt: skip


@asynccontextmanager
async def held_up(couple: Couple) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Replay waits for a lock of a report that runs, and an idle transaction; gives who reports."""
    await caught_up(couple)
    primary, report = await connect(couple.primary), await connect(couple.standby, "reader")
    idle = await connect(couple.standby, "reader")
    await idle.execute("begin; select count(*) from orders")
    running = asyncio.create_task(report.execute("select count(*), pg_sleep(120) from orders"))
    await asyncio.sleep(0.3)
    await primary.execute("alter table orders add column late int")
    await asyncio.sleep(1.5)
    try:
        yield report
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError, asyncpg.PostgresError, OSError):
            await running
        for one in (primary, report, idle):
            one.terminate()


async def test_replay_that_statements_hold_up_is_freed(couple: Couple, tmp_path: Path) -> None:
    command = command_for(tmp_path, couple, standby=True)
    async with held_up(couple):
        plan = await command.run(*PLAN, "-p", "older=1s")
        assert plan.code == 0, plan
        assert "pg_terminate_backend" in plan.out
        assert "pg_cancel_backend" in plan.out
        assert await command.kinds() == []
        done = await command.run(*RUN, "-p", "older=1s", *FREE)
        assert (done.code, end(done)["result"]) == (0, "ok"), done
        assert len(end(done)["effects"]) == 2
        await caught_up(couple)


@ONLY18
async def test_what_is_young_is_left_alone(couple: Couple, tmp_path: Path) -> None:
    async with held_up(couple):
        command = command_for(tmp_path, couple, standby=True)
        done = await command.run(*RUN, "-p", "older=1h", *FREE)
        assert (end(done)["result"], end(done)["effects"]) == ("escalate", []), done


@ONLY18
async def test_replay_is_freed_once_whoever_dies(couple: Couple, tmp_path: Path) -> None:
    async with held_up(couple):
        command = command_for(tmp_path, couple, standby=True)
        answers = (*FREE, "--decide", "replay_cancel=retry", "--decide", "replay_end=retry")
        done, rows = await killed_again_and_again(command, "replication-lag", "older=1s", answers=answers)
        assert (done.code, result_of(rows)) == (0, "ok"), (done, rows)
        await caught_up(couple)


@ONLY18
async def test_a_couple_that_keeps_up_is_nothing_to_do_on_either_side(couple: Couple, tmp_path: Path) -> None:
    await caught_up(couple)
    for standby in (False, True):
        folder = tmp_path / str(standby)
        folder.mkdir()
        command = command_for(folder, couple, standby=standby)
        plan = await command.run(*PLAN)
        assert plan.code == 0, plan
        done = await command.run(*RUN)
        assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done


@ONLY18
async def test_a_pause_and_a_cut_are_told_apart(couple: Couple, tmp_path: Path) -> None:
    await caught_up(couple)
    standby, primary = await connect(couple.standby), await connect(couple.primary)
    await standby.execute("select pg_wal_replay_pause()")
    await primary.execute("create table later as select g from generate_series(1, 20000) g")
    there, here = tmp_path / "standby", tmp_path / "primary"
    there.mkdir()
    here.mkdir()
    done = await command_for(there, couple, standby=True).run(*RUN)
    assert "pg_wal_replay_resume" in end(done)["text"], done
    seen = await command_for(here, couple, standby=False).run(*RUN, "-p", "large=100kB")
    assert (end(seen)["result"], end(seen)["effects"]) == ("escalate", []), seen
    assert "db3" in end(seen)["text"]
    assert "replay there" in end(seen)["text"]
    await standby.execute("select pg_wal_replay_resume()")
    await standby.execute("alter system set primary_conninfo = 'host=/nowhere'")
    await standby.execute("select pg_reload_conf()")
    async with asyncio.timeout(20):
        while await standby.fetchval("select count(*) from pg_stat_wal_receiver where status = 'streaming'"):
            await asyncio.sleep(0.1)
    cut = await command_for(there, couple, standby=True).run(*RUN)
    assert "nothing streams to here" in end(cut)["text"], cut
    await standby.close()
    await primary.close()


@ONLY18
async def test_commits_that_wait_for_a_standby_that_is_gone_are_named(couple: Couple, tmp_path: Path) -> None:
    """It told that all is well: who streams is not behind."""
    await caught_up(couple)
    admin, client = await connect(couple.primary), await connect(couple.primary)
    await admin.execute("alter system set synchronous_standby_names = 'ghost'")
    await admin.execute("select pg_reload_conf()")
    async with asyncio.timeout(20):
        while await client.fetchval("show synchronous_standby_names") != "ghost":
            await asyncio.sleep(0.1)
    commit = "update orders set n = 1 where id = 1"
    stuck = asyncio.create_task(client.execute(commit))
    waiting = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'"
    async with asyncio.timeout(20):
        while not await admin.fetchval(waiting):
            await asyncio.sleep(0.1)
            if stuck.done():  # the checkpointer, by which commits go, had not read the settings yet
                stuck = asyncio.create_task(client.execute(commit))
    done = await command_for(tmp_path, couple, standby=False).run(*RUN)
    assert (end(done)["result"], end(done)["effects"]) == ("escalate", []), done
    assert "1 commits wait for ever: of ghost 0 stream, and 1 have to confirm" in end(done)["text"]
    # What it advises, as it stands there.
    for one in ("ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()"):
        assert one in end(done)["text"]
        await admin.execute(one)
    await asyncio.wait_for(stuck, 20)
    for one in (admin, client):
        await one.close()


@ONLY18
async def test_a_login_that_sees_nobody_does_not_call_a_primary_well(couple: Couple, tmp_path: Path) -> None:
    """Neither who streams nor who waits is told without pg_monitor: it ended as ok, with 0 that stream."""
    await caught_up(couple)
    command = command_for(tmp_path, couple, standby=False, monitor="reader")
    done = await command.run(*RUN)
    assert end(done)["result"] == "failed", done
    assert "GRANT pg_monitor" in done.out


async def test_a_slot_that_nobody_reads_is_dropped(postgres18: PostgresServer, tmp_path: Path) -> None:
    await superuser(
        postgres18,
        "alter role dbdeck_operator replication",
        "select pg_create_physical_replication_slot('standby9', true)",
        *["create table x ()", "drop table x", "select pg_switch_wal()"] * 2,
    )
    command = Command(tmp_path, {"t": postgres18.target_dict()})
    words = ("-p", "large=20MB", "-p", "idle=0s")
    try:
        plan = await command.run(*PLAN, *words)
        assert plan.code == 0, plan
        assert "pg_drop_replication_slot" in plan.out
        done = await command.run(*RUN, *words, "--confirm", "abandoned=drop them")
        assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", ["each[0].drop"]), done
        assert await superuser(postgres18, "select count(*) from pg_replication_slots") == [(0,)]
    finally:
        await superuser(
            postgres18,
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots",
            "alter role dbdeck_operator noreplication",
        )


# ---- MySQL and MariaDB -------------------------------------------------------------------------------


async def test_an_applier_that_a_statement_holds_up_is_freed(
    logged_mysql: MysqlServer, replica: MysqlServer, tmp_path: Path
) -> None:
    await superuser(
        logged_mysql,
        "create database if not exists dbdeck_test_replicated",
        "create table dbdeck_test_replicated.orders (id int primary key, n int)",
        "insert into dbdeck_test_replicated.orders values (1, 0)",
    )
    await there(replica, "select * from dbdeck_test_replicated.orders")
    report = await replica.connect("app_user", database="dbdeck_test_replicated")
    cursor = await report.cursor()
    running = asyncio.create_task(cursor.execute("select count(*), sleep(120) from orders"))
    await asyncio.sleep(1.2)
    await superuser(logged_mysql, "alter table dbdeck_test_replicated.orders add column late int")
    await there(replica, "select 1 from information_schema.processlist where state like '%metadata lock%'")
    command = Command(tmp_path, {"t": replica.target_dict()})
    words = ("-p", "older=1s")
    plan = await command.run(*PLAN, *words)
    assert plan.code == 0, plan
    assert await command.kinds() == []
    done = await command.run(*RUN, *words, "--confirm", "applier_agreed=end them")
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    assert len(end(done)["effects"]) == 1
    await there(replica, "select late from dbdeck_test_replicated.orders")
    await asyncio.wait([running])
    running.exception()
    report.close()
    quiet = await command.run(*RUN)
    assert (quiet.code, end(quiet)["result"], end(quiet)["effects"]) == (0, "ok", []), quiet
    source = tmp_path / "source"
    source.mkdir()
    seen = await Command(source, {"t": logged_mysql.target_dict()}).run(*RUN)
    assert (end(seen)["result"], end(seen)["effects"]) == ("escalate", []), seen
    assert "run this on each of them" in end(seen)["text"]


async def test_a_replica_that_was_stopped_says_what_is_stopped(
    logged_mysql: MysqlServer, replica: MysqlServer, tmp_path: Path
) -> None:
    command = Command(tmp_path, {"t": replica.target_dict()})
    word = "replica" if replica.flavor == "mysql" else "slave"
    for thread, told in (("sql_thread", "does not apply"), ("io_thread", "does not fetch")):
        await superuser(replica, f"stop {word} {thread}")
        done = await command.run(*RUN)
        assert (end(done)["result"], end(done)["effects"]) == ("escalate", []), done
        assert told in end(done)["text"]
    await superuser(replica, f"start {word}")


async def test_of_two_sources_the_one_that_sends_nothing_is_named(
    logged_mysql: MysqlServer, replica: MysqlServer, tmp_path: Path
) -> None:
    """It was the first one, with no error: as if somebody had stopped what runs."""
    mysql = replica.flavor == "mysql"
    word, channel = ("source", "for channel 'b'") if mysql else ("master", "'b'")
    to = f"to {word}_host = 'nowhere.invalid', {word}_user = 'x'"
    change = f"change replication source {to} {channel}" if mysql else f"change master {channel} {to}"
    of = "replica" if mysql else "slave"
    with warnings.catch_warnings():  # MySQL's, of what it keeps and sends
        warnings.simplefilter("ignore")
        await superuser(replica, change, f"start {of} {channel}")
    try:
        command = Command(tmp_path, {"t": replica.target_dict()})
        async with asyncio.timeout(30):
            while "nowhere.invalid:3306" not in (said := end(await command.run(*RUN)))["text"]:
                await asyncio.sleep(0.5)
        assert said["text"].startswith("it does not fetch from nowhere.invalid: ")
    finally:
        reset = f"reset replica all {channel}" if mysql else f"reset slave {channel} all"
        await superuser(replica, f"stop {of} {channel}", reset)


async def test_a_replica_that_needs_purged_logs_is_not_told_to_start_again(
    logged_mysql: MysqlServer, tmp_path: Path
) -> None:
    begin_anew(logged_mysql)
    replica = await asyncio.to_thread(replica_of, logged_mysql)
    try:
        word = "replica" if replica.flavor == "mysql" else "slave"
        await superuser(replica, f"stop {word}")
        await superuser(logged_mysql, *["flush binary logs"] * 2)
        last = (await superuser(logged_mysql, "show binary logs"))[-1][0]
        await superuser(logged_mysql, f"purge binary logs to '{last}'")
        await superuser(replica, f"start {word}")
        command = Command(tmp_path, {"t": replica.target_dict()})
        async with asyncio.timeout(30):
            while "cannot send what" not in (said := end(await command.run(*RUN)))["text"]:
                await asyncio.sleep(0.5)
        assert (said["result"], said["effects"]) == ("escalate", [])
        assert "build this replica anew" in said["text"]
    finally:
        replica.close()


async def test_a_server_that_replicates_nothing_is_nothing_to_do(mysql: MysqlServer, tmp_path: Path) -> None:
    done = await Command(tmp_path, {"t": mysql.target_dict()}).run(*RUN)
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done
