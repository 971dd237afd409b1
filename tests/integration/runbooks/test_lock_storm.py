"""lock-storm: queues behind one root, behind two, and none."""

from __future__ import annotations

from tests.command import Command
from tests.running import DEATHS, START, end, happened, killed_again_and_again, waiting
from tests.situations import Scene

RETRY = ("--decide", "break=retry")


async def test_a_lock_storm_is_ended_at_its_root(shop: Scene, command: Command) -> None:
    await shop.chain(3)
    await waiting(command, 3)
    done = await command.run("runbook", "run", "lock-storm", *START, "--yes")
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    assert [step for event, step in happened(done) if event == "acted"] == ["each[0].break"]
    assert (await command.run("show", "locks", "-t", "t", "--json")).rows == []
    assert (await command.run("audit", "verify", "--json")).document["ok"] is True


async def test_nobody_waits_and_nothing_is_done(shop: Scene, command: Command) -> None:
    done = await command.run("runbook", "run", "lock-storm", *START, "--yes")
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done


async def test_two_roots_are_ended_one_first_and_the_rest_after_a_yes(shop: Scene, command: Command) -> None:
    for order in (1, 2):
        await shop.holder(order)
        await shop.waiter(order)
    await waiting(command, 4)
    first = await command.run("runbook", "run", "lock-storm", *START, "--yes")
    assert (first.code, end(first)["waiting"]["question"]) == (8, "canary"), first
    again = await command.run(
        "runbook", "resume", end(first)["run"], "--yes", "--decide", "each=rest", "--json"
    )
    assert (again.code, end(again)["effects"]) == (0, ["each[0].break", "each[1].break"]), again


async def test_a_lock_storm_is_ended_by_runners_that_are_killed_again_and_again(
    shop: Scene, command: Command
) -> None:
    await shop.chain(2)
    await waiting(command, 2)
    done, rows = await killed_again_and_again(command, "lock-storm", answers=RETRY)
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    if len(DEATHS) > 2:
        assert sum(row["event"] == "resumed" for row in rows) >= 5
    assert (await command.run("show", "locks", "-t", "t", "--json")).rows == []
