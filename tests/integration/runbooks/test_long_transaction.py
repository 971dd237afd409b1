"""long-transaction: sessions that sit idle in one."""

from __future__ import annotations

import asyncio

from tests.command import Command
from tests.running import START, end, killed_again_and_again
from tests.situations import Scene


async def test_an_idle_transaction_is_ended(shop: Scene, command: Command) -> None:
    holder = await shop.holder(1)
    await asyncio.sleep(2.5)
    done = await command.run("runbook", "run", "long-transaction", "-p", "older=1s", *START, "--yes")
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", ["idle"]), done
    sessions = (await command.run("show", "sessions", "-t", "t", "--json")).rows
    assert holder.id not in {row["session"]["id"] for row in sessions}


async def test_no_old_transaction_is_nothing_to_do(shop: Scene, command: Command) -> None:
    done = await command.run("runbook", "run", "long-transaction", "-p", "older=1h", *START, "--yes")
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done


async def test_the_transaction_is_ended_once_whoever_dies(shop: Scene, command: Command) -> None:
    await shop.holder(1)
    await asyncio.sleep(2.5)
    done, _ = await killed_again_and_again(
        command, "long-transaction", "older=1s", answers=("--decide", "idle=retry")
    )
    assert (done.code, end(done)["effects"]) == (0, ["idle"]), done
