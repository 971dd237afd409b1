"""Runbooks in the console on real servers: keys pressed, the ledger and the server looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

import actions
from console.__main__ import _runbooks
from console.config import load
from console.dispatch.registry import Registry
from console.runbook.events import Remarked
from console.tui.app import ConsoleApp
from console.tui.panes.locks import LocksPane
from console.tui.runs import FollowedRun, LiveRun
from console.tui.screens.form import FormScreen
from console.tui.screens.main import MainScreen
from console.tui.screens.run import RunScreen
from console.tui.screens.run_plan import RunPlanScreen
from console.tui.widgets.bars import TabLine
from console.tui.widgets.question import Question
from tests.command import Command
from tests.running import rows_of, waiting, with_documents
from tests.situations import Scene
from tests.tui.stage import NARROW, WIDE, until

# What does not depend on the server is tried on one.
BOTH = pytest.mark.parametrize("server_name", ["pg18", "mariadb"])
ONE = pytest.mark.parametrize("server_name", ["pg18"])

# Waits for ever in a read, then wants something done by hand, and a phrase.
SLOW = """apiVersion: runbook/v1
id: slow
title: Slow
owner: dba
reviewed: 2026-11-20
engines: {postgresql: ">=13", mysql: ">=8.0", mariadb: ">=10.6"}
risk: none
steps:
  - id: wait
    kind: wait_until
    read: sessions
    until: count(where(rows, "application", "go-on")) > 0
    timeout: 10m
    every: 200ms
  - {id: tell, kind: manual, text: "tell **the owner**"}
  - {id: sure, kind: confirm, text: "on {{ target.name }}", phrase: shop it}
"""


@asynccontextmanager
async def console(command: Command, size: tuple[int, int] = NARROW) -> AsyncIterator[Pilot[Any]]:
    """The console over the command's config, once its ledger is open and the server was seen."""
    app = ConsoleApp(load(command.config), Registry(actions.ALL), _runbooks)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: main(pilot)._identity is not None and app.desk.dispatcher is not None)
        yield pilot
        await app.desk.close()


def main(pilot: Pilot[Any]) -> MainScreen:
    return next(one for one in pilot.app.screen_stack if isinstance(one, MainScreen))


def on(pilot: Pilot[Any]) -> RunScreen:
    assert isinstance(pilot.app.screen, RunScreen), pilot.app.screen
    return pilot.app.screen


async def shown(pilot: Pilot[Any], kind: type) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, kind))


async def asked(pilot: Pilot[Any], question: str, key: str = "") -> None:
    """Until this is asked, and long enough ago for an answer to be meant."""

    def there() -> bool:
        ask = on(pilot).query_one(Question).ask
        return ask is not None and ask.question == question and (not key or ask.key == key)

    await until(pilot, there)
    await pilot.pause(0.5)


async def begin(pilot: Pilot[Any], reason: str = "a test") -> None:
    """From the form through the plan to the run's screen."""
    await shown(pilot, FormScreen)
    pilot.app.screen.query_one("#field-reason-", Input).value = reason
    await pilot.press("ctrl+s")
    await shown(pilot, RunPlanScreen)
    await until(pilot, lambda: "s starts it" in str(pilot.app.screen.query_one("#run-foot").render()))
    await pilot.press("s")
    await shown(pilot, RunScreen)


async def open_newest(pilot: Pilot[Any]) -> None:
    while main(pilot).pane.name_of_subject != "runs":
        await pilot.press("6")
    await until(pilot, lambda: bool(main(pilot).pane.items))
    await pilot.press("enter")
    await shown(pilot, RunScreen)


async def another_terminal(command: Command) -> asyncio.subprocess.Process:
    """It runs `slow`, and has come to its wait."""
    runner = await command.start("runbook", "run", "slow", "-t", "t", "--reason", "a test", "--json")
    assert runner.stdout is not None
    for _ in ("started", "begun"):
        await runner.stdout.readline()
    return runner


def steps(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["event"], row.get("step", "")) for row in rows]


@BOTH
async def test_a_storm_suggests_its_runbook_and_keys_end_it_one_root_first(
    shop: Scene, command: Command
) -> None:
    """Suggested, planned, started, asked before each effect, the canary first, and gone on the server."""
    for order in (1, 2):
        await shop.holder(order)
        for _ in range(2):
            await shop.waiter(order)
    await waiting(command, 6)
    async with console(command) as pilot:
        await until(pilot, lambda: len(main(pilot).query_one(LocksPane).items) == 6)
        await pilot.press("R")
        await shown(pilot, FormScreen)
        assert await command.kinds() == []
        await begin(pilot)
        run = on(pilot).seen
        await asked(pilot, "action", "each[0].break")
        said = str(on(pilot).query_one("Question .text").render())
        assert "would send" in said
        assert "intent" not in await command.kinds()
        await pilot.press("1")
        await asked(pilot, "canary")
        assert (await command.kinds()).count("intent") == 1
        assert len((await command.run("show", "locks", "-t", "t", "--json")).rows) == 3
        await pilot.press("n")
        await shown(pilot, FormScreen)
        await pilot.press(*"stopped", "enter")
        await asked(pilot, "canary")
        await pilot.press("1")
        await asked(pilot, "action", "each[1].break")
        await pilot.press("1")
        await until(pilot, lambda: run.over)
    rows = await rows_of(command, str(run.id))
    assert (rows[-1]["result"], [r["text"] for r in rows if r["event"] == "remarked"]) == ("ok", ["stopped"])
    effects = [step for event, step in steps(rows) if event == "acted"]
    assert effects == ["each[0].break", "each[1].break"]
    assert (await command.run("show", "locks", "-t", "t", "--json")).rows == []
    assert (await command.run("audit", "verify", "--json")).document["ok"] is True


@ONE
async def test_a_no_stops_the_run_and_nothing_was_done(shop: Scene, command: Command) -> None:
    await shop.chain(4)
    await waiting(command, 4)
    async with console(command) as pilot:
        await until(pilot, lambda: len(main(pilot).query_one(LocksPane).items) == 4)
        await pilot.press("R")
        await begin(pilot)
        run = on(pilot).seen
        await asked(pilot, "action")
        await pilot.press("2")
        await until(pilot, lambda: run.over)
    assert (await rows_of(command, str(run.id)))[-1]["result"] == "stopped"
    assert "intent" not in await command.kinds()
    assert len((await command.run("show", "locks", "-t", "t", "--json")).rows) == 4


@BOTH
async def test_a_run_of_another_terminal_is_followed_and_taken_over_when_that_is_killed(
    shop: Scene, command: Command
) -> None:
    """Followed live, read-only; then its runner dies; then it is gone on with by hand, phrase and all."""
    with_documents(command, SLOW)
    runner = await another_terminal(command)
    async with console(command, WIDE) as pilot:
        await open_newest(pilot)
        seen = on(pilot).seen
        assert isinstance(seen, FollowedRun)
        await until(pilot, lambda: seen.state.startswith("run by"))
        await pilot.press("h")
        assert "this console does not run it" in str(on(pilot).query_one("#status").render())
        runner.kill()
        await runner.wait()
        await until(pilot, lambda: seen.free)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(on(pilot).seen, LiveRun))
        live = on(pilot).seen
        await shop.client("go-on")
        await asked(pilot, "manual")
        await pilot.press("enter")
        assert live.run.step("tell").state == "new", "nothing was said, so nothing was attested"
        await pilot.press(*"told ann", "enter")
        await asked(pilot, "confirm")
        await pilot.press(*"shop", "enter")
        assert "exactly so" in str(on(pilot).query_one("Question .wrong").render())
        assert live.run.step("sure").state == "new"
        await pilot.press(*" it", "enter")
        await until(pilot, lambda: live.over)
    rows = await rows_of(command, str(live.id))
    assert [row["event"] for row in rows][:4] == ["started", "begun", "resumed", "begun"]
    assert next(row for row in rows if row.get("question") == "manual")["text"] == "told ann"
    assert rows[-1]["result"] == "ok"


@ONE
async def test_a_run_that_is_handed_over_is_let_go_of_and_another_terminal_goes_on(
    shop: Scene, command: Command
) -> None:
    with_documents(command, SLOW)
    async with console(command, WIDE) as pilot:
        await pilot.press("6")
        await until(pilot, lambda: "slow" in main(pilot).pane.items)
        main(pilot).pane.grid.move_to("slow")
        await pilot.press("s")
        await begin(pilot)
        run = on(pilot).seen
        await until(pilot, lambda: run.run.step("wait").state == "begun")
        clock = on(pilot).query_one("#run-clock")
        await until(pilot, lambda: "does not hold, of" in str(clock.render()))
        noted = await command.run("runbook", "note", str(run.id), "web team stopped the job")
        assert noted.code == 0, noted
        await until(pilot, lambda: any(isinstance(one.event, Remarked) for one in run.events))
        await pilot.press("h")
        await shown(pilot, FormScreen)
        await pilot.press(*"bob", "enter", *"see the web", "enter")
        await until(pilot, lambda: isinstance(on(pilot).seen, FollowedRun) and on(pilot).seen.free)  # type: ignore[attr-defined]
        assert on(pilot).seen.state == "handed over to bob"
        await shop.client("go-on")
        done = await command.run("runbook", "resume", str(run.id), "--attest", "tell=by bob", "--json",
                                 "--confirm", "sure=shop it")  # fmt: skip
        assert done.code == 0, done
        await until(pilot, lambda: on(pilot).seen.over)
    rows = await rows_of(command, str(run.id))
    over = next(row for row in rows if row["event"] == "handed_over")
    assert (over["to"], over["text"]) == ("bob", "see the web")
    assert [row["event"] for row in rows][2:5] == ["remarked", "handed_over", "resumed"]


@ONE
async def test_a_run_goes_on_without_its_screen_and_is_found_again(shop: Scene, command: Command) -> None:
    with_documents(command, SLOW)
    async with console(command) as pilot:
        await pilot.press("6")
        await until(pilot, lambda: "slow" in main(pilot).pane.items)
        main(pilot).pane.grid.move_to("slow")
        await pilot.press("s")
        await begin(pilot)
        run = on(pilot).seen
        await pilot.press("escape")
        await shown(pilot, MainScreen)
        await shop.client("go-on")
        await until(pilot, lambda: run.asked is not None)
        await until(pilot, lambda: "(1!)" in str(main(pilot).query_one(TabLine).render()))
        await open_newest(pilot)
        assert on(pilot).seen is run
        await asked(pilot, "manual")
    assert pilot.app.desk.runs.left == {run.id}  # type: ignore[attr-defined]
    rows = await rows_of(command, str(run.id))
    assert [row["event"] for row in rows] == ["started", "begun", "observed"]


@ONE
async def test_a_second_run_is_told_who_is_in_its_way_and_may_follow(shop: Scene, command: Command) -> None:
    with_documents(command, SLOW)
    runner = await another_terminal(command)
    try:
        async with console(command) as pilot:
            await pilot.press("6")
            await until(pilot, lambda: "slow" in main(pilot).pane.items)
            main(pilot).pane.grid.move_to("slow")
            await pilot.press("s")
            await shown(pilot, FormScreen)
            pilot.app.screen.query_one("#field-reason-", Input).value = "a test"
            await pilot.press("ctrl+s")
            await shown(pilot, RunPlanScreen)
            await until(pilot, lambda: "s starts it" in str(pilot.app.screen.query_one("#run-foot").render()))
            await pilot.press("s")
            await until(pilot, lambda: type(pilot.app.screen).__name__ == "ChooseRunbook")
            await pilot.press("enter")
            await shown(pilot, RunScreen)
            assert isinstance(on(pilot).seen, FollowedRun)
    finally:
        runner.kill()
        await runner.wait()
    assert len((await command.run("runbook", "status", "--json")).rows) == 1
