"""What the console looks like: few pictures, at the two sizes people have. `make snapshots` renews them."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from textual.pilot import Pilot

import actions
from console.dispatch.registry import Registry
from console.errors import UsageError
from console.model.jobs import Job, JobState
from console.model.overview import Pulse, Queue, Rates, Standing, by_trouble
from console.model.reading import Problem
from console.model.target import Environment
from console.present import target as bar
from console.present.overview import judged
from console.runbook.events import Opened
from console.runbook.history import Recorded
from console.runbook.state import replay
from console.runbook.steps import Ask, next_step
from console.tui.app import ConsoleApp
from console.tui.glass_desk import GlassDesk
from console.tui.panes import jobs as pane_of_jobs
from console.tui.runs import LiveRun
from console.tui.screens import run_view
from console.tui.screens.run import RunScreen
from console.tui.widgets.bars import TabLine
from console.tui.widgets.grid import Grid
from tests.present.test_run_map import ONE, events
from tests.runbook.documents import WHOLE
from tests.tui.stage import NARROW, WIDE, Stage, cells_of, until
from tests.tui.test_runbooks import FULL, OLD, OWN, WRONG, with_library

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


AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
PULSE = Pulse(at=900.0, started=1.0, waiting=0, connections=12, most=97, lag_seconds=0.2)
SEEN = (
    Standing(
        name="shop", engine="postgres", environment="prod", address="db1.example.net:5432", taken_at=AT,
        pulse=msgspec.structs.replace(
            PULSE, waiting=4, connections=31, queue=Queue(behind=4, root="17", seconds=48.0)
        ),
        rates=Rates(work=420.0, wal=1_200_000.0),
        series={"waits": (None, 0.0, 1.0, 3.0, 4.0), "work": (380.0, 400.0, 90.0, 60.0, 420.0)},
    ),
    Standing(
        name="reports", engine="mysql", environment="staging", address="db2.example.net:3306", taken_at=AT,
        pulse=msgspec.structs.replace(
            PULSE, waiting=None, unknown=("who waits: GRANT SELECT ON performance_schema.* TO m",)
        ),
        rates=Rates(work=4.0),
    ),
    Standing(
        name="mail", engine="mysql", environment="prod", address="db3.example.net:3306", silent=64.0,
        problem=Problem(kind="silent", message="mail did not answer pulse in time", since=AT),
    ),
    Standing(
        name="stock", engine="postgres", environment="dev", address="/run/postgresql/.s:5432", taken_at=AT,
        pulse=PULSE, rates=Rates(work=2.0, wal=10.0), series={"work": (2.0, 2.0, 2.0)},
    ),
)  # fmt: skip


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_all_targets_side_by_side(stage: Stage, snap_compare: Any, size: tuple[int, int]) -> None:
    """Of fixed standings: what is measured between looks is not the same twice."""
    seen = by_trouble([judged(one, 20, 10.0) for one in SEEN])

    async def look(*_: object) -> tuple[Standing, ...]:
        return seen

    async def before(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: bool(stage.cells()) and "ledger is open" in stage.status)
        stage.main._made("overview").feed._read = look
        await pilot.press("0")
        await until(pilot, lambda: stage.main.pane.reading.data == seen)
        await pilot.press("p")
        await until(pilot, lambda: len(cells_of(stage.main.pane)) == 4)
        await pilot.pause(0.5)

    assert snap_compare(stage.app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_what_runs_and_what_has_ended(
    stage: Stage, snap_compare: Any, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pane_of_jobs, "steady_now", lambda: AT)
    began = AT - timedelta(minutes=3)
    one = Job(number=4, name="table.vacuum", target="shop", started_at=began)
    done = msgspec.structs.replace(one, ended_at=began + timedelta(seconds=42))
    again = msgspec.structs.replace
    listed = (
        again(one, said="scanning", share=0.25, eta=540.0),
        again(done, number=3, name="lock-storm", run="r", state=JobState.PARTLY, said="2 of 3 steps"),
        again(done, number=2, name="session.terminate", state=JobState.DONE, said="it is gone"),
        again(done, number=1, name="index.reindex", state=JobState.UNKNOWN, said="the answer was lost"),
    )

    async def jobs() -> tuple[Job, ...]:
        return listed

    async def before(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: bool(stage.cells()) and "ledger is open" in stage.status)
        stage.main._made("jobs").feed._read = jobs
        await stage.main.action_pane("jobs")
        await until(pilot, lambda: len(cells_of(stage.main.pane)) == 4)
        await pilot.press("p")
        await pilot.pause(0.5)

    assert snap_compare(stage.app, terminal_size=size, run_before=before)


def test_the_plan_before_an_effect(stage: Stage, snap_compare: Any) -> None:
    assert snap_compare(stage.app, terminal_size=NARROW, run_before=settled(stage, "t"))


def test_old_data_looks_old(stage: Stage, snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await settled(stage)(pilot)
        # Not by a server that hangs, whose seconds would be others each time.
        monkeypatch.setattr(bar, "freshness", lambda *_, **__: ("NO ANSWER for 9s, data 11s old", True))
        await until(pilot, lambda: stage.pane.grid.stale)
        await pilot.pause(0.2)

    assert snap_compare(stage.app, terminal_size=NARROW, run_before=before)


def test_the_frame_of_a_break_glass(stage: Stage, snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GlassDesk, "left", property(lambda _: 754.0))

    async def before(pilot: Pilot[Any]) -> None:
        stage.app.desk.glass.target = "shop"
        await settled(stage)(pilot)
        await until(pilot, lambda: "12:34 left" in str(stage.main.border_title))
        await pilot.pause(0.5)

    assert snap_compare(stage.app, terminal_size=NARROW, run_before=before)


# ---- runbooks -------------------------------------------------------------------------------------

STORM = WHOLE.replace(
    "risk: high", 'risk: high\nsuggest: [{when: count(locks) > 3, text: "{{ count(locks) }} wait or block"}]'
)
BEGAN = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_the_library(stage: Stage, tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    library = with_library(stage, tmp_path, OWN, OLD, WRONG, FULL, STORM)
    library.app = ConsoleApp(library.config, Registry(actions.ALL))

    async def before(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: bool(stage.cells()) and "ledger is open" in stage.status)
        await until(pilot, lambda: "<5 ms" in stage.bar and stage.main._identity is not None)
        await pilot.press("6")
        await until(
            pilot, lambda: len(stage.main.pane.drawn) == 5 and stage.main.pane.drawn[0].key == "whole"
        )
        await until(pilot, lambda: "(1)" in str(stage.main.query_one(TabLine).render()))
        await pilot.press("p")
        await pilot.pause(0.5)

    assert snap_compare(library.app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_a_run_that_asks(
    stage: Stage, snap_compare: Any, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """The way not taken, what was saved, and the phrase that is wanted."""
    monkeypatch.setattr(run_view, "now_utc", lambda: BEGAN + timedelta(seconds=75))
    whole = list(takewhile(lambda event: not isinstance(event, Opened), events()))[:-1]
    found = replay(whole)
    assert found is not None
    texts = {"whole": WHOLE}
    run = msgspec.structs.replace(found, started=msgspec.structs.replace(found.started, texts=texts))
    recorded = [Recorded(id=n, at=BEGAN + timedelta(seconds=n), event=event) for n, event in enumerate(whole)]

    async def before(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: bool(stage.cells()) and "ledger is open" in stage.status)
        live = LiveRun(run.started, run, recorded, 1.0)
        due = next_step({"whole": ONE}, run)
        live.asked = due if isinstance(due, Ask) else None
        stage.app.push_screen(RunScreen(stage.app.desk, live, stage.main.target, _never))
        await until(pilot, lambda: isinstance(stage.app.screen, RunScreen))
        await until(pilot, lambda: bool(stage.app.screen.query_one("#run-map", Grid).line))
        stage.app.screen.query_one("#run-map", Grid).move_to("look")
        await pilot.pause(0.5)

    assert snap_compare(stage.app, terminal_size=size, run_before=before)


async def _never(_: UUID) -> LiveRun:
    raise UsageError("nobody takes it over")
