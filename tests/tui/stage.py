"""An app over a scripted engine and a real ledger, and how tests look at it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

import actions
from console.config import Audit, Config, TargetEntry, Thresholds
from console.dispatch import dispatcher as dispatching
from console.dispatch import effect, lifeboat
from console.dispatch.registry import Registry
from console.engine.port import OperatorConnection
from console.model.target import EngineKind, Environment, Login, Target
from console.tui.app import ConsoleApp
from console.tui.panes.locks import LocksPane
from console.tui.panes.pane import Pane
from console.tui.screens.main import MainScreen
from console.tui.widgets.bars import KeyLine, Status, TargetBar
from tests.fakes import ScriptedEngine, ScriptedOperator, storm

NARROW, WIDE = (80, 24), (160, 50)


class Stage:
    """An app whose engine and operator are scripted; its ledger is a real SQLite one."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, environment: Environment) -> None:
        self.engine = ScriptedEngine(storm(4))
        self.operator = ScriptedOperator(self.engine)
        self.config = Config(
            audit=Audit(url=f"sqlite:///{folder}/audit.db", journal=str(folder / "journal")),
            targets={"shop": _entry(environment)},
            thresholds=Thresholds(refresh=0.1, watch=0, storm_waiters=100),
        )
        self.app = ConsoleApp(self.config, Registry(actions.ALL))

        @asynccontextmanager
        async def opened(target: Target) -> AsyncIterator[ScriptedEngine]:
            self.engine.target = target
            yield self.engine

        @asynccontextmanager
        async def operated(target: Target) -> AsyncIterator[OperatorConnection]:
            yield self.operator

        # A machine with much to do is late by itself, and old data takes no key.
        monkeypatch.setattr("console.poll.LATE_SECONDS", 2.0)
        monkeypatch.setattr("console.poll.SLACK_SECONDS", 2.0)
        monkeypatch.setattr("console.tui.panes.pane._SLACK_SECONDS", 2.0)
        monkeypatch.setattr("console.engine.open.open_engine", opened)
        monkeypatch.setattr(effect, "PATIENCE_SECONDS", 0.3)
        monkeypatch.setattr(lifeboat.Lifeboat.__init__, "__defaults__", (operated,))
        defaults = {**(dispatching.Dispatcher.__init__.__kwdefaults__ or {}), "opener": operated}
        monkeypatch.setattr(dispatching.Dispatcher.__init__, "__kwdefaults__", defaults)

    @property
    def main(self) -> MainScreen:
        return next(one for one in self.app.screen_stack if isinstance(one, MainScreen))

    @property
    def pane(self) -> LocksPane:
        return self.main.query_one(LocksPane)

    @property
    def status(self) -> str:
        return str(self.main.query_one(Status).render())

    @property
    def bar(self) -> str:
        return str(self.main.query_one(TargetBar).render())

    @property
    def keys(self) -> str:
        return str(self.main.query_one(KeyLine).render())

    def cells(self) -> list[tuple[str, ...]]:
        return cells_of(self.pane)


def cells_of(pane: Pane[Any, Any]) -> list[tuple[str, ...]]:
    """What the pane's grid shows, by the reading that was drawn."""
    return [line.cells for line in pane.drawn]


def _entry(environment: Environment) -> TargetEntry:
    return TargetEntry(
        engine=EngineKind.POSTGRES,
        host="db1",
        environment=environment,
        monitor=Login(user="dbdeck_monitor"),
        operator=Login(user="dbdeck_operator"),
    )


@asynccontextmanager
async def shown(stage: Stage, size: tuple[int, int] = NARROW) -> AsyncIterator[Pilot[Any]]:
    """The running app, once the tree is drawn and the ledger is open."""
    async with stage.app.run_test(size=size) as pilot:
        await until(pilot, lambda: bool(stage.cells()) and "ledger is open" in stage.status)
        yield pilot
        await stage.app.desk.close()


async def until(pilot: Pilot[Any], holds: Callable[[], bool]) -> None:
    for _ in range(500):
        await pilot.pause(0.02)
        try:
            if holds():
                return
        except StopIteration:
            continue
    said = " | ".join(str(one.render()) for one in pilot.app.screen.query(Static))
    raise AssertionError(f"never held; the screen is {pilot.app.screen}: {said[:2000]}")


async def proposed(stage: Stage, pilot: Pilot[Any], key: str) -> None:
    """The key's plan is asked about. On a machine with much to do what is shown may be old for a moment: then
    the key is refused, as it should be, and pressed again.
    """
    from console.tui.screens.confirm import ConfirmScreen

    await pilot.press(key)
    for _ in range(500):
        await pilot.pause(0.02)
        if isinstance(pilot.app.screen, ConfirmScreen):
            return
        if "what is shown is old" in stage.status:
            await pilot.pause(0.5)
            await pilot.press(key)
    raise AssertionError(f"nothing was proposed; the screen is {pilot.app.screen}: {stage.status}")
