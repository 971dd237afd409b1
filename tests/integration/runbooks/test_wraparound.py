"""wraparound: with a low threshold, a transaction that is in the way, and every table frozen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import Command
from tests.running import end, ended, killed_again_and_again, on, plan, run
from tests.servers.fleet import Server
from tests.situations import Client, Scene

RUNBOOK = "wraparound"
LOW = ("age=2500", "tables=100")
BURN = "do $$ begin for i in 1..3000 loop perform pg_current_xact_id(); commit; end loop; end $$"


@pytest.fixture
def command(shop: Scene, any_server: Server, tmp_path: Path) -> Command:
    """With a superuser, who may freeze the catalogs too."""
    operator = {"user": any_server.superuser}
    target = any_server.target_dict(
        database=shop.database, host=any_server.host, tls="off", operator=operator
    )
    return Command(tmp_path, {"t": target})


async def old(shop: Scene) -> Client:
    """Who holds a number that is 3000 old; every table of a new database is older."""
    holder = await shop.holder(1)
    burner = await shop.root("burner")
    await burner.run(BURN)
    return holder


async def age(shop: Scene) -> int:
    connection = await shop.server.connect(database=shop.database)
    found = await connection.fetchval(
        "select age(datfrozenxid) from pg_database where datname = current_database()"
    )
    await connection.close()
    return int(found)


@on("pg15", "pg17", "pg18")
async def test_the_holder_is_ended_and_the_age_falls(shop: Scene, command: Command) -> None:
    holder = await old(shop)
    assert f"ACTION session.terminate id={holder.id}" in await plan(command, RUNBOOK, *LOW)
    done = await run(command, RUNBOOK, *LOW)
    assert (done.code, end(done)["effects"]) == (0, ["sessions[0].terminate", "freeze"]), done
    assert await age(shop) < 2500


@on("pg18")
async def test_where_it_is_urgent_indexes_are_left_for_later(shop: Scene, command: Command) -> None:
    await (await old(shop)).run("commit")
    assert "index_cleanup=off" in await plan(command, RUNBOOK, *LOW, "urgent=100")
    done = await run(command, RUNBOOK, *LOW, "urgent=100")
    assert (done.code, end(done)["effects"]) == (0, ["freeze_urgently"]), done
    assert await age(shop) < 2500


@on("pg18")
async def test_where_nothing_is_old_nothing_is_done(shop: Scene, command: Command) -> None:
    assert "this way, as it is now" in await plan(command, RUNBOOK)
    done = await run(command, RUNBOOK)
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done


@on("pg18")
async def test_each_effect_comes_once_whoever_dies(shop: Scene, command: Command) -> None:
    await old(shop)
    retry = ("--decide", "terminate=retry", "--decide", "freeze=retry")
    _, rows = await killed_again_and_again(command, RUNBOOK, "age=2500", "tables=1", answers=retry)
    assert ended(rows) == ("escalate", ["sessions[0].terminate", "freeze"])
    assert "tables (with toast) are as old still" in rows[-1]["text"]
