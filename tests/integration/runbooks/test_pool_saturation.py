"""pool-saturation: sessions that wait for a lock, sit in open transactions, run the same statement."""

from __future__ import annotations

import asyncio

from tests.command import Command
from tests.running import end, ended, killed_again_and_again, on, plan, run, waiting
from tests.servers.mysql import MysqlServer
from tests.situations import Scene, touch

RUNBOOK = "pool-saturation"
FEW = ("least=4", "older=1s", "application=web")


async def left_open(shop: Scene, number: int) -> list[int]:
    clients = [await shop.client("web") for _ in range(number)]
    for client in clients:
        await client.run("begin")
        await client.run("select count(*) from orders")
    await asyncio.sleep(2.2)
    return [client.id for client in clients]


async def sleepers(shop: Scene, number: int) -> None:
    word = "sleep" if isinstance(shop.server, MysqlServer) else "pg_sleep"
    for n in range(number):
        (await shop.client("web")).wait(f"select {word}({300 + n})")
    await asyncio.sleep(2.2)


async def test_a_pool_that_waits_for_a_lock_is_a_lock_storm(shop: Scene, command: Command) -> None:
    await shop.holder(1)
    for _ in range(4):
        (await shop.client("web")).wait(touch(1))
    await waiting(command, 5)
    told = await plan(command, RUNBOOK, *FEW)
    assert "calls the runbook lock-storm" in told
    assert "4 wait for locks" in told
    done = await run(command, RUNBOOK, *FEW)
    assert (done.code, end(done)["effects"]) == (0, ["locks/each[0].break"]), done
    assert (await command.run("show", "locks", "-t", "t", "--json")).rows == []


@on("pg18", "mysql", "mariadb")
async def test_transactions_that_were_left_open_are_ended(shop: Scene, command: Command) -> None:
    open_ = await left_open(shop, 4)
    done = await run(command, RUNBOOK, *FEW)
    assert (done.code, end(done)["effects"]) == (0, ["left_open"]), done
    rows = (await command.run("show", "sessions", "-t", "t", "--json")).rows
    assert set(open_) & {row["session"]["id"] for row in rows} == set()


@on("pg18")
async def test_one_statement_all_at_once_is_cancelled(shop: Scene, command: Command) -> None:
    await sleepers(shop, 4)
    done = await run(command, RUNBOOK, *FEW, answers=("--decide", "each=rest"))
    assert (done.code, end(done)["effects"]) == (0, [f"same/each[{n}].cancel" for n in range(4)]), done


@on("pg18", "mysql")
async def test_where_no_pool_is_used_up_nothing_is_done(shop: Scene, command: Command) -> None:
    assert "this way, as it is now" in await plan(command, RUNBOOK)
    done = await run(command, RUNBOOK)
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done


@on("mariadb")
async def test_they_are_ended_once_whoever_dies(shop: Scene, command: Command) -> None:
    await sleepers(shop, 1)
    await left_open(shop, 1)
    few = ("least=2", "older=1s", "application=web")
    _, rows = await killed_again_and_again(command, RUNBOOK, *few, answers=("--decide", "left_open=retry"))
    assert ended(rows) == ("ok", ["left_open"])
