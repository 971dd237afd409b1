"""horizon: an old snapshot, a forgotten prepared transaction, and a slot that nobody reads."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.command import Command
from tests.running import end, ended, killed_again_and_again, on, plan, run
from tests.servers.accounts import MAINTAINER, login
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.situations import Client, Scene

RUNBOOK = "horizon"
OLD = "older=1s"


@pytest.fixture
def command(shop: Scene, any_server: Server, tmp_path: Path) -> Command:
    """PostgreSQL: with an operator that owns the tables."""
    mysql = isinstance(any_server, MysqlServer)
    given = {} if mysql else {"database": shop.database, "operator": login(MAINTAINER)}
    return Command(tmp_path, {"t": any_server.target_dict(**given)})


async def reader(shop: Scene) -> Client:
    """A transaction that has read, and 40 updates of all rows that it keeps alive."""
    client = await shop.client("report")
    if isinstance(shop.server, MysqlServer):
        await client.run("set transaction isolation level repeatable read")
        await client.run("begin")
    else:
        await client.run("begin isolation level repeatable read")
    await client.run("select count(*) from orders")
    writer = await shop.client("writer")
    for _ in range(40):
        await writer.run("update orders set n = n + 1")
    await asyncio.sleep(1.2)
    return client


async def dead(shop: Scene) -> int:
    """Dead rows of the table by the server's own count (PostgreSQL)."""
    connection = await shop.server.connect(database=shop.database)
    await connection.execute("analyze orders")
    found = await connection.fetchval("select pg_stat_get_dead_tuples('orders'::regclass)")
    await connection.close()
    return int(found)


async def test_an_old_snapshot_is_ended_and_cleanup_comes(shop: Scene, command: Command) -> None:
    holder = await reader(shop)
    assert f"ACTION session.terminate id={holder.id}" in await plan(command, RUNBOOK, OLD)
    done = await run(command, RUNBOOK, OLD)
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    mysql = isinstance(shop.server, MysqlServer)
    assert end(done)["effects"] == ["sessions[0].end_idle", *([] if mysql else ["vacuum"])]
    if not mysql:
        assert await dead(shop) == 0


@on("pg18", "mysql")
async def test_where_nobody_holds_it_back_nothing_is_done(shop: Scene, command: Command) -> None:
    assert "this way, as it is now" in await plan(command, RUNBOOK)
    done = await run(command, RUNBOOK)
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done


@on("pg18")
async def test_prepared_transactions_and_slots_go_only_after_a_yes_for_each(
    shop: Scene, any_server: Server, tmp_path: Path
) -> None:
    superuser = {"user": any_server.superuser}
    target = any_server.target_dict(database=shop.database, host=any_server.host, operator=superuser)
    command = Command(tmp_path, {"t": target})
    admin = await any_server.connect(database=shop.database)
    await admin.execute("select pg_create_logical_replication_slot('abandoned', 'test_decoding')")
    manager = await shop.holder(1)
    await manager.run("prepare transaction 'forgotten'")
    for _ in range(3):
        await admin.execute("select pg_current_xact_id()")
    await admin.close()
    await asyncio.sleep(1.2)
    old = (OLD, "behind=1")
    left = await run(command, RUNBOOK, *old)
    assert (left.code, end(left)["result"], end(left)["effects"]) == (1, "escalate", []), left
    params = (*old, "with_prepared=true", "with_slots=true")
    asked = await run(command, RUNBOOK, *params)
    assert (asked.code, end(asked)["waiting"]["phrase"]) == (2, "roll back forgotten"), asked
    yes = ("--confirm", "forget=roll back forgotten", "--confirm", "give_up=drop abandoned")
    done = await run(command, RUNBOOK, *params, answers=yes)
    assert end(done)["effects"] == ["prepared[0].roll_back", "slots[0].drop", "vacuum"], done
    assert (await command.run("show", "transactions", "-t", "t", "--json")).rows == []


@on("pg18")
async def test_each_effect_comes_once_whoever_dies(shop: Scene, command: Command) -> None:
    await reader(shop)
    retry = ("--decide", "end_idle=retry", "--decide", "vacuum=retry")
    _, rows = await killed_again_and_again(command, RUNBOOK, OLD, answers=retry)
    assert ended(rows)[0] == "ok"
    assert await dead(shop) == 0
