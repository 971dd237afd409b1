"""What was started in this console: how far it is, what came of it, and how its end calls."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot

import actions
from console.config import Alert
from console.dispatch.action import Advance
from console.dispatch.registry import Registry
from console.model.jobs import JobState
from console.model.target import Environment
from console.present.clipboard import credential_word
from console.tui.alerts import Title
from console.tui.app import ConsoleApp
from console.tui.jobs import Jobs
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.text import TextScreen
from tests.tui.stage import WIDE, Stage, cells_of, proposed, shown, until


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch, Environment.DEV)


async def jobs_view(stage: Stage, pilot: Pilot[Any]) -> list[tuple[str, ...]]:
    await stage.main.action_pane("jobs")
    await until(pilot, lambda: stage.main.pane.reading.data is not None)
    return cells_of(stage.main.pane)


async def test_an_action_is_in_the_list_and_its_result_can_be_read_again(stage: Stage) -> None:
    async with shown(stage, WIDE) as pilot:
        await proposed(stage, pilot, "t")
        assert isinstance(pilot.app.screen, ConfirmScreen)
        await until(pilot, lambda: bool(pilot.app.screen.query("#reason")))
        await pilot.press(*"why", "ctrl+s")
        await until(pilot, lambda: any(job.state is not JobState.RUNNING for job in stage.app.desk.jobs.all))
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))
        await pilot.press("escape")
        await jobs_view(stage, pilot)
        await until(pilot, lambda: any(cells[1] == "● done" for cells in cells_of(stage.main.pane)))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))
        (job,) = stage.app.desk.jobs.all
        assert "session.terminate on shop" in job.result[0]
        assert any("intent row" in line for line in job.result)


async def test_what_runs_stands_above_with_its_progress(stage: Stage) -> None:
    async with shown(stage, WIDE) as pilot:
        jobs = stage.app.desk.jobs
        running = jobs.begin("table.vacuum", "shop")
        jobs.end(jobs.begin("table.analyze", "shop"), JobState.NOT_DONE, "nothing was executed")
        jobs.tell(running, "scanning", Advance(phase="scanning", done=25, total=100, eta=40.0))
        await jobs_view(stage, pilot)
        first, second = cells_of(stage.main.pane)
        assert first[1:5] == ("► running", "0s", "25%", "40s")
        assert second[1] == "■ not done"
        jobs.end(running, JobState.DONE, "all is vacuumed", ["all is vacuumed", "3 tables"])
        await until(
            pilot, lambda: {cells[1] for cells in cells_of(stage.main.pane)} == {"● done", "■ not done"}
        )


@pytest.mark.parametrize(("ended", "rings"), [(Alert.BELL, 1), (Alert.SCREEN, 0)])
async def test_the_bell_tells_the_end_of_a_long_job_unless_it_is_switched_off(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, ended: Alert, rings: int
) -> None:
    thresholds = msgspec.structs.replace(stage.config.thresholds, ended=ended, long=0.1)
    stage.config = msgspec.structs.replace(stage.config, thresholds=thresholds)
    stage.app = ConsoleApp(stage.config, Registry(actions.ALL))
    rung: list[None] = []
    monkeypatch.setattr(ConsoleApp, "bell", lambda _: rung.append(None))
    async with shown(stage) as _:
        jobs = stage.app.desk.jobs
        jobs.end(jobs.begin("quick", "shop"), JobState.DONE, "done")
        assert rung == []
        long = jobs.begin("long", "shop")
        await asyncio.sleep(0.15)
        jobs.end(long, JobState.DONE, "done")
        assert len(rung) == rings


async def test_the_title_tells_what_runs_and_is_put_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shown(stage) as _:
        written: list[str] = []
        assert stage.app._driver is not None
        monkeypatch.setattr(stage.app._driver, "write", written.append)
        title = Title()
        title.say(stage.app, "")
        assert written == [], "nothing is written while nothing runs"
        title.say(stage.app, "table.vacuum 25%\x1b]0;evil\x07")
        title.say(stage.app, "table.vacuum 25%\x1b]0;evil\x07")
        title.say(stage.app, "")
        assert len(written) == 3
        assert written[0] == "\x1b[22;2t"
        assert written[1].startswith("\x1b]2;dbdeck: table.vacuum 25%")
        assert written[1].count("\x1b") == 2
        assert written[2] == "\x1b[23;2t"


async def test_only_so_many_are_kept_and_none_that_runs_is_lost() -> None:
    jobs = Jobs()
    running = jobs.begin("long", "shop")
    for _ in range(300):
        jobs.end(jobs.begin("short", "shop"), JobState.DONE, "done")
    assert len(jobs.all) <= 201
    assert jobs.all[0].number == running


async def test_a_line_is_copied_on_request(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await pilot.press("y")
        await until(pilot, lambda: "copied" in stage.status)
        assert "app-" in stage.app.clipboard or "checkout" in stage.app.clipboard


async def test_what_names_a_secret_is_not_copied(stage: Stage) -> None:
    stage.engine.change(1, query="alter role ann password 'hunter2'")
    async with shown(stage) as pilot:
        await until(pilot, lambda: "hunter2" in stage.pane.details(stage.pane.current))  # type: ignore[arg-type]
        await pilot.press("y")
        await until(pilot, lambda: "not copied" in stage.status)
        assert stage.app.clipboard == ""
        assert "hunter2" not in stage.status


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("create user a identified by 'x'", "identified by"),
        ("set secret = 1", "secret"),
        ("SCRAM-SHA-256$4096:", "SCRAM-SHA-256"),
        ("user_password = 'x'", "password"),
        ("PGPASSWORD=x", "PASSWORD"),
        ("aws_secret_access_key", "secret"),
        ("postgresql://bob:x@db/shop", "://bob:x@"),
        (f"set x = '*{'6B' * 20}'", f"*{'6B' * 20}"),
        ("pgp_sym_encrypt('a', passphrase)", "passphrase"),
        ("select * from orders", None),
        ("see https://example.org/a", None),
    ],
)
def test_words_that_go_with_secrets(text: str, word: str | None) -> None:
    assert credential_word(text) == word
