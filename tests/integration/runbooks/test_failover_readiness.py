"""failover-readiness: what would bite is named, on couples that are ready and on servers that are not."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
from pymysql.err import MySQLError

from console.dispatch.scratch import ScratchServer, restart
from tests.command import Command
from tests.integration.actions.conftest import superuser
from tests.integration.postgres.test_standby import Couple, caught_up, connect, couple
from tests.running import START, documents, end, killed_again_and_again, result_of
from tests.servers import accounts
from tests.servers.logged import begin_anew
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.servers.replica import replica_of, there

__all__ = ["couple"]

RUN = ("runbook", "run", "failover-readiness", *START)
PLAN = ("runbook", "plan", "failover-readiness", "-t", "t")


def server_target(server: ScratchServer) -> dict[str, Any]:
    return {
        "engine": "postgres", "host": str(server.socket_dir), "port": server.port, "database": "postgres",
        "environment": "dev", "monitor": {"user": "watcher"},
    }  # fmt: skip


def command_for(folder: Path, couple: Couple) -> Command:
    return Command(folder, {"t": server_target(couple.primary)})


async def test_a_couple_that_is_ready_and_one_that_is_not(couple: Couple, tmp_path: Path) -> None:
    primary = await connect(couple.primary)
    standby = await connect(couple.standby)
    await primary.execute("select pg_create_physical_replication_slot('db3', true)")
    await standby.execute("alter system set primary_slot_name = 'db3'")
    await standby.execute("select pg_reload_conf()")
    rewindable = await primary.fetchval("show data_checksums") == "on"
    async with asyncio.timeout(20):
        while not await primary.fetchval("select active from pg_replication_slots"):
            await asyncio.sleep(0.1)
    await caught_up(couple)
    command = command_for(tmp_path, couple)
    done = await command.run(*RUN)
    if rewindable:
        assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done
    else:
        assert "could not be rewound" in end(done)["text"], done
    await standby.execute("select pg_wal_replay_pause()")
    await primary.execute("create table late as select g from generate_series(1, 50000) g")
    await primary.execute("create unlogged table fleeting (id int)")
    await primary.execute("alter system set max_connections = 90")
    await primary.execute("select pg_reload_conf()")
    async with asyncio.timeout(20):
        while not await primary.fetchval("select count(*) from pg_settings where pending_restart"):
            await asyncio.sleep(0.1)
    bad = await command.run(*RUN, "-p", "behind=100kB", "-p", "standbys=2")
    assert (end(bad)["result"], end(bad)["effects"]) == ("escalate", []), bad
    for told in ("1 of 2 standbys", "db3 is", "behind in replay", "max_connections was changed"):
        assert told in end(bad)["text"], (told, end(bad)["text"])
    (note,) = [one["text"] for one in documents(bad) if one.get("event") == "noted"]
    assert "1 unlogged tables" in note
    assert "max_connections = " in note
    plan = await command.run(*PLAN, "-p", "behind=100kB")
    assert plan.code == 0, plan
    assert "something would bite): this way, as it is now" in plan.out
    await primary.close()
    await standby.close()


@pytest.mark.parametrize("couple", ["pg15", "pg18"], indirect=True)
async def test_a_standby_is_compared_with_its_primary(couple: Couple, tmp_path: Path) -> None:
    standby = await connect(couple.standby)
    here, there = (server_target(one) for one in (couple.primary, couple.standby))
    command = Command(tmp_path, {"t": here, "db2": there})
    same = await command.run(*RUN, "-p", "replica=db2")
    assert end(same)["result"] in ("ok", "escalate"), same
    assert "db2 is not ready" not in end(same)["text"], same
    await standby.execute("alter system set work_mem = '77MB'")
    await standby.execute("alter system set recovery_target_timeline = 'current'")
    await standby.close()
    await restart(couple.standby)
    done = await command.run(*RUN, "-p", "replica=db2")
    assert (end(done)["result"], end(done)["effects"]) == ("escalate", []), done
    assert "db2 is not ready" in end(done)["text"]
    assert "recovery_target_timeline is current there" in end(done)["text"]
    notes = [one["text"] for one in documents(done) if one.get("event") == "noted"]
    assert any("work_mem is 78848 there and 4096 here" in one for one in notes), notes
    plan = await command.run(*PLAN, "-p", "replica=db2")
    assert plan.code == 0, plan


async def test_a_server_alone_with_a_logical_slot_is_not_ready(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    await superuser(postgres18, "select pg_create_logical_replication_slot('cdc', 'test_decoding')")
    command = Command(tmp_path, {"t": postgres18.target_dict()})
    try:
        done = await command.run(*RUN)
        quiet = await command.run(*PLAN)
        assert quiet.code == 0, quiet
    finally:
        await superuser(postgres18, "select pg_drop_replication_slot('cdc')")
    assert (end(done)["result"], end(done)["effects"]) == ("escalate", []), done
    assert "0 of 1 standbys" in end(done)["text"]
    assert "cdc (database postgres) does not come along" in end(done)["text"]


async def test_what_may_not_be_seen_is_unknown(postgres18: PostgresServer, tmp_path: Path) -> None:
    await superuser(postgres18, f"revoke pg_monitor from {accounts.MONITOR}")
    try:
        done = await Command(tmp_path, {"t": postgres18.target_dict()}).run(*RUN)
    finally:
        await superuser(postgres18, f"grant pg_monitor to {accounts.MONITOR}")
    assert end(done)["result"] == "escalate", done
    assert "GRANT pg_monitor" in end(done)["text"]


async def test_it_is_looked_at_once_whoever_dies(postgres18: PostgresServer, tmp_path: Path) -> None:
    command = Command(tmp_path, {"t": postgres18.target_dict()})
    done, rows = await killed_again_and_again(command, "failover-readiness", "standbys=0")
    assert done.code in (0, 1), (done, rows)
    assert result_of(rows) in ("ok", "escalate")


async def nobody_reads(source: MysqlServer) -> None:
    """The session of a replica of another test, which is gone, stays until there is something to send."""
    schema = "information_schema" if source.flavor == "mariadb" else "performance_schema"
    for _ in range(100):
        reading = f"select id from {schema}.processlist where command like 'Binlog Dump%'"
        dumps = [number for (number,) in await superuser(source, reading)]
        if not dumps:
            return
        for number in dumps:
            with contextlib.suppress(MySQLError):  # it may have gone by itself
                await superuser(source, f"kill {number}")
        await asyncio.sleep(0.1)
    raise AssertionError("a replica is there still")


async def test_a_source_names_what_is_missing_until_it_is_there(
    logged_mysql: MysqlServer, tmp_path: Path
) -> None:
    command = Command(tmp_path, {"t": logged_mysql.target_dict()})
    begin_anew(logged_mysql)
    await nobody_reads(logged_mysql)
    alone = await command.run(*RUN)
    assert (end(alone)["result"], end(alone)["effects"]) == ("escalate", []), alone
    for told in ("0 of 1 replicas", "sync_binlog is 0", "server_id is 1"):
        assert told in end(alone)["text"], end(alone)["text"]
    plan = await command.run(*PLAN)
    assert plan.code == 0, plan
    replica = await asyncio.to_thread(replica_of, logged_mysql)
    try:
        await there(
            logged_mysql, "select 1 from information_schema.processlist where command like 'Binlog Dump%'"
        )
        both = await command.run(*RUN)
        assert "0 of 1 replicas" not in end(both)["text"], both
        (tmp_path / "two").mkdir()
        two = Command(tmp_path / "two", {"t": logged_mysql.target_dict(), "db2": replica.target_dict()})
        compared = await two.run(*RUN, "-p", "replica=db2")
        assert (end(compared)["result"], end(compared)["effects"]) == ("escalate", []), compared
        assert "db2 is not ready" in end(compared)["text"]
        assert "not read_only there" in end(compared)["text"]
    finally:
        await asyncio.to_thread(replica.close)


@pytest.mark.parametrize("mysql_name", ["mysql"], indirect=True)
async def test_a_server_without_a_binary_log_is_not_ready(mysql: MysqlServer, tmp_path: Path) -> None:
    done = await Command(tmp_path, {"t": mysql.target_dict()}).run(*RUN)
    assert "log_bin is off" in end(done)["text"], done
