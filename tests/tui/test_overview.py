"""Every target in a line: side by side, each with its own age and failure, and the way to its locks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

import actions
from console.dispatch.registry import Registry
from console.errors import ServerSilent
from console.model.target import Environment, Target
from console.tui.app import ConsoleApp
from console.tui.panes.locks import LocksPane
from console.tui.panes.overview import OverviewPane
from tests.fakes import ScriptedEngine, storm
from tests.tui.stage import NARROW, WIDE, Stage, cells_of, shown, until


class Fleet(Stage):
    """Three targets: `shop` has a queue, `stock` is well, `mail` is as the test wants it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch, Environment.PROD)
        self.engines = {"shop": self.engine, "stock": ScriptedEngine([]), "mail": ScriptedEngine([])}
        entry = self.config.targets["shop"]
        self.config = msgspec.structs.replace(self.config, targets=dict.fromkeys(self.engines, entry))
        self.app = ConsoleApp(self.config, Registry(actions.ALL))

        @asynccontextmanager
        async def opened(target: Target) -> AsyncIterator[ScriptedEngine]:
            engine = self.engines[target.name]
            engine.target = target
            yield engine

        monkeypatch.setattr("console.engine.open.open_engine", opened)

    def reasons(self) -> dict[str, tuple[str, str]]:
        return {cells[0]: (cells[1], cells[2]) for cells in cells_of(self.main.query_one(OverviewPane))}


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(tmp_path, monkeypatch)


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_the_worst_comes_first_with_its_reason(fleet: Fleet, size: tuple[int, int]) -> None:
    async with shown(fleet, size) as pilot:
        await pilot.press("0")
        await until(pilot, lambda: "4 wait behind session 1" in fleet.reasons().get("shop", ("", ""))[1])
        await until(pilot, lambda: fleet.reasons()["stock"] == ("● well", ""))
        assert next(iter(fleet.reasons())) == "shop"
        assert "1 with a warning" in str(fleet.main.query_one("#overview-summary").render())


async def test_one_that_does_not_answer_keeps_nobody(fleet: Fleet) -> None:
    fleet.engines["mail"].before_read = lambda: asyncio.sleep(3600)
    async with shown(fleet) as pilot:
        await pilot.press("0")
        await until(pilot, lambda: fleet.reasons().get("stock") == ("● well", ""))
        await until(pilot, lambda: fleet.reasons()["mail"][1].startswith("no answer for"))
        assert fleet.reasons()["mail"][0] == "■ BAD"


async def test_a_failure_is_its_own_and_goes_away(fleet: Fleet) -> None:
    fleet.engines["mail"].fail = ServerSilent("mail did not answer pulse in time")
    async with shown(fleet) as pilot:
        await pilot.press("0")
        await until(pilot, lambda: "mail did not answer" in fleet.reasons().get("mail", ("", ""))[1])
        assert fleet.reasons()["stock"] == ("● well", "")
        fleet.engines["mail"].fail = None
        await until(pilot, lambda: fleet.reasons()["mail"] == ("● well", ""))


async def test_enter_leads_to_the_locks_of_that_target(fleet: Fleet) -> None:
    fleet.engines["mail"] = ScriptedEngine(storm(30))
    async with shown(fleet) as pilot:
        await pilot.press("0")
        await until(pilot, lambda: fleet.reasons().get("mail", ("", ""))[1].startswith("30 wait"))
        assert fleet.main.pane.grid.move_to("mail")
        await pilot.press("enter")
        await until(pilot, lambda: fleet.main.target.name == "mail" and len(fleet.cells()) == 31)
        assert isinstance(fleet.main.pane, LocksPane)


async def test_enter_on_the_open_target_shows_its_locks(fleet: Fleet) -> None:
    async with shown(fleet) as pilot:
        await pilot.press("0")
        await until(pilot, lambda: "shop" in fleet.reasons())
        main = fleet.main
        assert fleet.main.pane.grid.move_to("shop")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(fleet.main.pane, LocksPane))
        assert fleet.main is main


async def test_nobody_is_asked_before_the_overview_is_opened(fleet: Fleet) -> None:
    asked: list[str] = []
    fleet.engines["mail"].before_read = lambda: asked.append("mail")
    async with shown(fleet) as pilot:
        await pilot.pause(0.5)
        assert asked == []
        await pilot.press("0")
        await until(pilot, lambda: bool(asked))
        await pilot.press("1")
        await pilot.pause(0.3)
        many = len(asked)
        await pilot.pause(0.5)
        assert len(asked) == many, "it is polled every thirty seconds while nobody looks"


async def test_a_drill_that_is_overdue_is_told(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    from console.model.overview import Outlook

    async with shown(fleet) as pilot:
        look = next(one for one in fleet.app.desk.overview._looks if one.target.name == "stock")

        async def overdue() -> tuple[tuple[str, ...], str]:
            return ("nightly",), ""

        monkeypatch.setattr(look, "_overdue", overdue)
        fleet.engines["stock"].ahead = Outlook()
        await pilot.press("0")
        await until(pilot, lambda: fleet.reasons().get("stock", ("", ""))[1] == "drill overdue: nightly")
