"""disk-filling: slots that nobody reads, an archiver that fails, binary logs that are old."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from console.dispatch.scratch import LOCAL_TRUST, scratch_postgres
from tests.command import Command
from tests.integration.actions.conftest import superuser, until
from tests.running import START, end, happened, killed_again_and_again, result_of
from tests.servers import accounts, places
from tests.servers.logged import begin_anew, make_old, names, write_files
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

RUN = ("runbook", "run", "disk-filling", *START, "--yes")
SLOTS = ("-p", "large=40MB", "-p", "idle=0s", "--confirm", "abandoned=drop them")
PURGE = ("-p", "large=20kB", "-p", "replicas=0", "--confirm", "agreed=purge them")


@pytest_asyncio.fixture
async def filled(postgres: PostgresServer) -> AsyncIterator[PostgresServer]:
    """Two slots that nobody reads keep three segments of WAL and more."""
    await fill(postgres)
    yield postgres
    await empty(postgres)


@pytest_asyncio.fixture
async def filled18(postgres18: PostgresServer) -> AsyncIterator[PostgresServer]:
    await fill(postgres18)
    yield postgres18
    await empty(postgres18)


async def fill(server: PostgresServer) -> None:
    rights = [f"alter role {accounts.OPERATOR} replication"]
    if server.major >= 15:
        rights.append(f"grant alter system on parameter max_slot_wal_keep_size to {accounts.OPERATOR}")
    rights.append(f"grant execute on function pg_reload_conf() to {accounts.OPERATOR}")
    await superuser(server, *rights)
    await superuser(
        server,
        "select pg_create_physical_replication_slot('gone', true)",
        "select pg_create_logical_replication_slot('cdc', 'test_decoding')",
        *["create table x ()", "drop table x", "select pg_switch_wal()"] * 4,  # the first may be nearly full
    )


async def empty(server: PostgresServer) -> None:
    await superuser(
        server,
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots",
        "alter system reset max_slot_wal_keep_size",
        "select pg_reload_conf()",
    )


async def slots(server: PostgresServer) -> list[tuple[Any, ...]]:
    return await superuser(server, "select slot_name from pg_replication_slots")


def command_for(folder: Path, server: PostgresServer | MysqlServer) -> Command:
    return Command(folder, {"t": server.target_dict()})


async def test_abandoned_slots_are_dropped_one_first(filled: PostgresServer, tmp_path: Path) -> None:
    command = command_for(tmp_path, filled)
    first = await command.run(*RUN, *SLOTS)
    assert (first.code, end(first)["waiting"]["question"]) == (8, "canary"), first
    assert len(await slots(filled)) == 1
    done = await command.run(
        "runbook", "resume", end(first)["run"], "--json", "--yes", "--decide", "each=rest"
    )
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    assert end(done)["effects"] == ["each[0].drop", "each[1].drop"]
    assert await slots(filled) == []


async def test_a_plan_tells_what_it_would_drop_and_records_nothing(
    filled18: PostgresServer, tmp_path: Path
) -> None:
    command = command_for(tmp_path, filled18)
    done = await command.run("runbook", "plan", "disk-filling", "-t", "t", *SLOTS[:4])
    assert done.code == 0, done
    assert "pg_drop_replication_slot" in done.out
    quiet = await command.run("runbook", "plan", "disk-filling", "-t", "t")
    assert quiet.code == 0, quiet
    assert "is not what fills it): this way, as it is now" in quiet.out
    assert await command.kinds() == []


async def test_little_wal_is_nothing_to_do(postgres18: PostgresServer, tmp_path: Path) -> None:
    done = await command_for(tmp_path, postgres18).run(*RUN)
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done


async def test_without_the_right_to_look_it_is_not_known(postgres18: PostgresServer, tmp_path: Path) -> None:
    await superuser(postgres18, f"revoke pg_monitor from {accounts.MONITOR}")
    try:
        done = await command_for(tmp_path, postgres18).run(*RUN)
    finally:
        await superuser(postgres18, f"grant pg_monitor to {accounts.MONITOR}")
    assert (end(done)["result"], end(done)["effects"]) == ("escalate", []), done
    assert "pg_monitor" in end(done)["text"]


async def test_slots_are_bounded_where_that_is_asked_for(filled18: PostgresServer, tmp_path: Path) -> None:
    words = ("-p", "idle=1d", "-p", "cap=100MB", "--confirm", "capped=cap them")
    done = await command_for(tmp_path, filled18).run(*RUN, "-p", "large=40MB", *words)
    assert (end(done)["result"], end(done)["effects"]) == ("escalate", ["bound"]), done
    assert await superuser(filled18, "show max_slot_wal_keep_size") == [("100MB",)]
    assert len(await slots(filled18)) == 2, "they were read a moment ago"


async def test_slots_are_dropped_once_whoever_dies(filled18: PostgresServer, tmp_path: Path) -> None:
    answers = ("--confirm", "abandoned=drop them", "--decide", "each=rest", "--decide", "drop=retry")
    command = command_for(tmp_path, filled18)
    done, rows = await killed_again_and_again(
        command, "disk-filling", "large=40MB", "idle=0s", answers=answers
    )
    assert (done.code, result_of(rows)) == (0, "ok"), (done, rows)
    assert await slots(filled18) == []


async def test_an_archiver_that_fails_is_named_and_nothing_is_done(tmp_path: Path) -> None:
    accounts.publish()
    settings = {"archive_mode": "on", "archive_command": "false", "wal_level": "replica"}
    binaries = places.postgres_binaries("pg18")
    async with scratch_postgres(binaries=binaries, settings=settings, hba=LOCAL_TRUST) as server:
        target = {
            "engine": "postgres", "host": str(server.socket_dir), "port": server.port, "database": "postgres",
            "environment": "dev", "monitor": {"user": "postgres"}, "operator": {"user": "postgres"},
        }  # fmt: skip
        command = Command(tmp_path, {"t": target})

        async def fails() -> bool:
            done = await command.run(*RUN)
            return end(done)["result"] == "escalate" and "archiver fails at 0000" in end(done)["text"]

        connection = await asyncpg.connect(
            host=str(server.socket_dir), port=server.port, user="postgres", database="postgres"
        )
        await connection.execute("create table x ()")
        await connection.execute("select pg_switch_wal()")
        await connection.close()
        await until(fails)


async def test_old_binary_logs_are_purged_and_expire(logged_mysql: MysqlServer, tmp_path: Path) -> None:
    begin_anew(logged_mysql)
    files = write_files(logged_mysql, 3, much=True)
    make_old(logged_mysql, files[:3])
    command = command_for(tmp_path, logged_mysql)
    words = (*PURGE, "-p", "expire=604800")
    plan = await command.run("runbook", "plan", "disk-filling", "-t", "t", *PURGE[:4], *words[-2:])
    assert plan.code == 0, plan
    assert "purge binary logs before" in plan.out
    assert await command.kinds() == []
    unsaid = await command.run(*RUN, "-p", "large=20kB")
    assert (end(unsaid)["result"], end(unsaid)["effects"]) == ("escalate", []), unsaid
    assert "-p replicas=N" in end(unsaid)["text"]
    done = await command.run(*RUN, *words)
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    assert end(done)["effects"] == ["purge", "expiry"]
    assert names(logged_mysql) == files[3:]
    assert await superuser(logged_mysql, "select @@global.binlog_expire_logs_seconds") == [(604800,)]


async def test_few_or_no_binary_logs_are_nothing_to_do(
    mysql: MysqlServer, logged_mysql: MysqlServer, tmp_path: Path
) -> None:
    for place, server in enumerate((mysql, logged_mysql)):
        folder = tmp_path / str(place)
        folder.mkdir()
        done = await command_for(folder, server).run(*RUN)
        assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done
        assert happened(done)


@pytest.mark.parametrize("mysql_name", ["mariadb"], indirect=True)
async def test_binary_logs_are_purged_once_whoever_dies(logged_mysql: MysqlServer, tmp_path: Path) -> None:
    begin_anew(logged_mysql)
    files = write_files(logged_mysql, 3, much=True)
    make_old(logged_mysql, files[:3])
    answers = ("--confirm", "agreed=purge them", "--decide", "purge=retry")
    command = command_for(tmp_path, logged_mysql)
    done, rows = await killed_again_and_again(
        command, "disk-filling", "large=20kB", "replicas=0", answers=answers
    )
    assert (done.code, result_of(rows)) == (0, "ok"), (done, rows)
    assert names(logged_mysql) == files[3:]
