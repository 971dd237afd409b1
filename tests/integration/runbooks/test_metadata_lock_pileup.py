"""metadata-lock-pileup: readers behind an ALTER behind an open transaction, and a global read lock."""

from __future__ import annotations

from collections.abc import Sequence

from tests.command import Command
from tests.running import deaths, end, ended, killed_again_and_again, on, plan, run, waiting
from tests.situations import Client, Scene

RUNBOOK = "metadata-lock-pileup"
RETRY = ("--decide", "cancel=retry")


async def pileup(shop: Scene, command: Command) -> tuple[Client, Client]:
    """The holder and the one who wants to alter; two readers queue behind them."""
    holder = await shop.client("report")
    await holder.run("begin")
    await holder.run("select count(*) from orders")
    ddl = await shop.client("deploy")
    ddl.wait("alter table orders add column late int")
    await waiting(command, 2)
    for _ in range(2):
        (await shop.client("web")).wait("select count(*) from orders")
    await waiting(command, 4)
    return holder, ddl


async def there(command: Command) -> dict[int, str]:
    """Session number -> state."""
    rows = (await command.run("show", "sessions", "-t", "t", "--json")).rows
    return {row["session"]["id"]: row["state"] for row in rows}


async def test_the_waiting_statement_is_cancelled_and_the_readers_pass(shop: Scene, command: Command) -> None:
    holder, ddl = await pileup(shop, command)
    told = await plan(command, RUNBOOK)
    assert f"ACTION session.cancel id={ddl.id}" in told
    done = await run(command, RUNBOOK)
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", ["statements[0].cancel"]), done
    now = await there(command)
    assert (now[holder.id], now[ddl.id]) == ("idle in transaction", "idle")


@on("pg18", "mysql")
async def test_the_holder_is_ended_where_that_is_asked_for(shop: Scene, command: Command) -> None:
    holder, ddl = await pileup(shop, command)
    done = await run(command, RUNBOOK, "end=holder")
    assert (done.code, end(done)["effects"]) == (0, ["holders[0].terminate"]), done
    now = await there(command)
    assert holder.id not in now
    assert now[ddl.id] == "idle"


@on("mariadb")
async def test_a_global_read_lock_is_ended_only_after_a_yes(shop: Scene, command: Command) -> None:
    backup = await shop.root("backup")
    await backup.run("flush tables with read lock")
    await shop.waiter(1)
    await waiting(command, 2)
    left = await run(command, RUNBOOK)
    assert (left.code, end(left)["result"], end(left)["effects"]) == (1, "escalate", []), left
    assert "-p end=holder" in end(left)["text"]
    asked = await run(command, RUNBOOK, "end=holder")
    assert (asked.code, end(asked)["waiting"]["question"]) == (2, "confirm"), asked
    done = await run(command, RUNBOOK, "end=holder", answers=("--confirm", "sure=end them"))
    assert (done.code, end(done)["effects"]) == (0, ["holders[0].terminate"]), done


@on("pg18", "mariadb")
async def test_where_nobody_waits_nothing_is_done(shop: Scene, command: Command) -> None:
    assert "this way, as it is now" in await plan(command, RUNBOOK)
    done = await run(command, RUNBOOK)
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done


@on("pg18")
@deaths(15)
async def test_the_statement_is_cancelled_once_whoever_dies(
    shop: Scene, command: Command, after: Sequence[int]
) -> None:
    holder, _ = await pileup(shop, command)
    _, rows = await killed_again_and_again(command, RUNBOOK, answers=RETRY, after=after)
    assert ended(rows) == ("ok", ["statements[0].cancel"])
    assert (await there(command))[holder.id] == "idle in transaction"
