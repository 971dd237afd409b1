"""runaway-query: statements that sleep for minutes, and one that no cancel stops, as its client reads not."""

from __future__ import annotations

import asyncio

from tests.command import Command
from tests.running import end, ended, killed_again_and_again, on, plan, run
from tests.servers.mysql import MysqlServer
from tests.situations import Client, Scene

RUNBOOK = "runaway-query"


async def sleeper(shop: Scene, application: str, seconds: int = 300) -> Client:
    client = await shop.client(application)
    word = "sleep" if isinstance(shop.server, MysqlServer) else "pg_sleep"
    client.wait(f"select {word}({seconds}) /* {application} */")
    return client


async def states(command: Command) -> dict[int, str]:
    rows = (await command.run("show", "sessions", "-t", "t", "--json")).rows
    return {row["session"]["id"]: row["state"] for row in rows}


async def test_the_statement_is_cancelled_and_the_session_stays(shop: Scene, command: Command) -> None:
    wild, tame = await sleeper(shop, "wild"), await sleeper(shop, "tame", 60)
    await asyncio.sleep(1.5)
    assert f"ACTION session.cancel id={wild.id}" in await plan(command, RUNBOOK, "older=1s", "pattern=WILD")
    done = await run(command, RUNBOOK, "older=1s", "pattern=WILD")
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", ["each[0].cancel"]), done
    now = await states(command)
    assert (now[wild.id], now[tame.id]) == ("idle", "active")


@on("pg18")
async def test_after_the_first_the_others_want_a_yes(shop: Scene, command: Command) -> None:
    both = [await sleeper(shop, "wild"), await sleeper(shop, "wild")]
    await asyncio.sleep(1.5)
    first = await run(command, RUNBOOK, "older=1s")
    assert (first.code, end(first)["waiting"]["question"]) == (8, "canary"), first
    now = await states(command)
    assert sorted(now[one.id] for one in both) == ["active", "idle"]
    word = ("runbook", "resume", end(first)["run"], "--yes", "--decide", "each=rest", "--json")
    done = await command.run(*word)
    assert (done.code, end(done)["effects"]) == (0, ["each[0].cancel", "each[1].cancel"]), done


@on("pg18")
async def test_a_statement_that_no_cancel_stops_ends_with_its_session(shop: Scene, command: Command) -> None:
    deaf = await shop.client("export")
    deaf._connection._transport.pause_reading()  # the server waits for it to read, and hears no cancel
    deaf.wait("select repeat('x', 1000) from generate_series(1, 10000000)")
    await asyncio.sleep(1.5)
    asked = await run(command, RUNBOOK, "older=1s", answers=("--decide", "cancel=settle"))
    assert (asked.code, end(asked)["waiting"]["question"]) == (8, "failure"), asked
    word = ("runbook", "resume", end(asked)["run"], "--yes", "--decide", "cancel=continue", "--json")
    done = await command.run(*word)
    assert (done.code, end(done)["effects"]) == (0, ["each[0].terminate"]), done
    assert deaf.id not in await states(command)
    deaf._connection._transport.resume_reading()


@on("pg18", "mariadb")
async def test_no_statement_runs_for_so_long_and_nothing_is_done(shop: Scene, command: Command) -> None:
    assert "this way, as it is now" in await plan(command, RUNBOOK)
    await sleeper(shop, "other", 60)
    await asyncio.sleep(1.5)
    done = await run(command, RUNBOOK, "older=1s", "application=wild")
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done


@on("mysql")
async def test_the_statement_is_cancelled_once_whoever_dies(shop: Scene, command: Command) -> None:
    wild = await sleeper(shop, "wild")
    await asyncio.sleep(1.5)
    _, rows = await killed_again_and_again(command, RUNBOOK, "older=1s", answers=("--decide", "cancel=retry"))
    assert ended(rows) == ("ok", ["each[0].cancel"])
    assert (await states(command))[wild.id] == "idle"
