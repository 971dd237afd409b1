"""What the console looks like: few pictures, at the two sizes people have. `make snapshots` renews them."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from console.model.target import Environment
from console.present import target as bar
from tests.tui.stage import NARROW, WIDE, Stage, until

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="the pictures are drawn on Python 3.11 only"
)
Before = Callable[[Pilot[Any]], Awaitable[None]]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(bar, "latency_class", lambda _: 5)
    return Stage(tmp_path, monkeypatch, Environment.PROD)


def settled(stage: Stage, *keys: str) -> Before:
    """The tree is drawn, the ledger is open, the keys are pressed, and the polls stand still."""

    async def before(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: bool(stage.cells()) and "ledger is open" in stage.status)
        await until(pilot, lambda: "<5 ms" in stage.bar)
        await pilot.press("p", *keys)
        await pilot.pause(0.5)

    return before


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_the_blocking_tree(stage: Stage, snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(stage.app, terminal_size=size, run_before=settled(stage))


def test_the_plan_before_an_effect(stage: Stage, snap_compare: Any) -> None:
    assert snap_compare(stage.app, terminal_size=NARROW, run_before=settled(stage, "t"))


def test_old_data_looks_old(stage: Stage, snap_compare: Any) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await settled(stage)(pilot)
        stage.pane.grid.stale = True
        await pilot.pause(0.2)

    assert snap_compare(stage.app, terminal_size=NARROW, run_before=before)
