"""The console with keys pressed: panes over scripted engines, effects through the real dispatcher."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from rich.text import Text
from textual.widgets import Input

import actions
from console.audit.record import Kind
from console.config import Config, Thresholds
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.registry import Registry
from console.engine.port import OperatorConnection
from console.errors import PrivilegeMissing, ServerSilent
from console.model.policy import Policy
from console.model.sessions import Protection, State
from console.model.target import Environment, Target
from console.tui import app as module
from console.tui.app import ConsoleApp
from console.tui.messages import Told
from console.tui.panes.pane import Pane
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.text import TextScreen
from console.tui.widgets.bars import TabLine
from tests.fakes import ScriptedEngine, make_session
from tests.tui.stage import NARROW, WIDE, Stage, cells_of, proposed, shown, until


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_the_tree_is_shown_root_first_with_its_details(stage: Stage, size: tuple[int, int]) -> None:
    async with shown(stage, size):
        assert [cells[0].strip() for cells in stage.cells()] == ["1", "╰ 2", "╰ 3", "╰ 4", "╰ 5"]
        assert "DEV · shop · PostgreSQL 18.1" in stage.bar
        assert "live" in stage.bar
        details = str(stage.pane.query_one(".details").render())
        assert "ending it releases 4" in details
        assert "checkout" in details


async def test_terminate_shows_the_plan_asks_a_reason_and_records_before_it_acts(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await proposed(stage, pilot, "t")
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, ConfirmScreen), "no reason, no run"
        assert stage.operator.sent == []
        await pilot.press(*"stuck", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))
        assert "pg_terminate_backend" in stage.operator.sent[0].shown
        await pilot.press("escape")
        await until(pilot, lambda: "done" in stage.status)
        ledger = stage.app.desk.ledger
        assert ledger is not None
        kinds = [entry.kind for entry in await ledger.entries(newest_first=False)]
        assert kinds == ["open", "intent", "step", "outcome"]
        await until(pilot, lambda: stage.cells() == [])


async def test_where_the_policy_wants_a_ticket_it_is_asked_for_and_recorded(stage: Stage) -> None:
    environment = stage.config.targets["shop"].environment
    stage.config = msgspec.structs.replace(stage.config, policy=Policy(ticket=(environment,)))
    stage.app = ConsoleApp(stage.config, Registry(actions.ALL))
    async with shown(stage) as pilot:
        await proposed(stage, pilot, "t")
        await pilot.press(*"stuck", "ctrl+s")
        assert isinstance(pilot.app.screen, ConfirmScreen), "no ticket, no run"
        assert stage.operator.sent == []
        await pilot.press(*"T-1", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))
        ledger = stage.app.desk.ledger
        assert ledger is not None
        (intent,) = await ledger.entries(kinds=(Kind.INTENT,))
        assert '"ticket":"T-1"' in (intent.body or "")


async def test_escape_leaves_no_trace(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await proposed(stage, pilot, "t")
        await pilot.press(*"no", "escape")
        await until(pilot, lambda: "nothing was executed" in stage.status)
        ledger = stage.app.desk.ledger
        assert ledger is not None
        assert [entry.kind for entry in await ledger.entries()] == ["open"]
        assert stage.operator.sent == []


async def test_in_prod_the_targets_name_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path, monkeypatch, Environment.PROD)
    async with shown(stage) as pilot:
        assert "PROD" in stage.bar
        await proposed(stage, pilot, "t")
        await pilot.press(*"why", "enter")
        await pilot.press(*"shop2", "enter")
        assert stage.operator.sent == []
        pilot.app.screen.query_one("#confirm", Input).value = "shop"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))
        assert len(stage.operator.sent) == 1


async def test_the_subject_is_frozen_when_the_plan_is_shown(stage: Stage) -> None:
    """The tree moves under the dialog; what was planned is what is checked."""
    async with shown(stage) as pilot:
        await proposed(stage, pilot, "t")
        stage.engine.change(1, started_at=make_session(1).transaction_started_at)
        await pilot.press(*"why", "enter")
        await until(pilot, lambda: "nothing was executed" in stage.status)
        assert "another session" in stage.status
        assert stage.operator.sent == []


async def test_a_key_that_can_do_nothing_says_why(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await pilot.press("c")
        await until(pilot, lambda: "no statement runs" in stage.status)
        stage.engine.change(1, protection=Protection.WALSENDER, state=State.ACTIVE)
        await until(pilot, lambda: "protected" in stage.pane.against("terminate"))
        await pilot.press("t")
        await until(pilot, lambda: "walsender" in stage.status)
        assert not isinstance(pilot.app.screen, ConfirmScreen)


async def test_a_server_that_hangs_leaves_the_keys_alive_and_the_data_marked_old(stage: Stage) -> None:
    async with shown(stage) as pilot:
        hang = asyncio.Event()
        stage.engine.before_read = hang.wait
        await until(pilot, lambda: "NO ANSWER" in stage.bar)
        assert "old" in stage.bar
        assert stage.pane.grid.stale
        before = stage.pane.grid.key
        await pilot.press("down")
        assert stage.pane.grid.key != before
        await pilot.press("t")
        await until(pilot, lambda: "wait until the server answers" in stage.status)
        hang.set()
        await until(pilot, lambda: "live" in stage.bar and not stage.pane.grid.stale)


async def test_a_view_that_is_read_seldom_does_not_hide_that_the_server_hangs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.tui.screens.views.TABLES_SECONDS", 1000.0)
    async with shown(stage) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: stage.main.pane.reading.data is not None and "live" in stage.bar)
        hang = asyncio.Event()
        stage.engine.before_read = hang.wait
        await until(pilot, lambda: "NO ANSWER" in stage.bar)
        assert stage.main.pane.grid.stale
        hang.set()
        await until(pilot, lambda: "live" in stage.bar)
        assert not stage.main.pane.grid.stale, "it is as good as the head says, and its next turn is far away"


async def test_a_view_of_the_ledger_says_that_the_ledger_is_away_though_the_server_answers(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("console.tui.screens.views.LEDGER_SECONDS", 0.1)
    async with shown(stage) as pilot:
        await pilot.press("9")
        await until(pilot, lambda: bool(cells_of(stage.main.pane)))
        assert "live" in stage.bar
        with closing(sqlite3.connect(tmp_path / "audit.db")) as ledger:
            ledger.execute("alter table entry rename to elsewhere")
        await until(pilot, lambda: "this view: FAILING" in stage.bar)
        assert stage.main.pane.grid.stale
        assert not stage.pane.grid.stale, "the server answers"


async def test_servers_are_left_side_by_side(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that hangs takes its time: the operator's connection ends only together with the monitor's."""
    together = asyncio.Barrier(2)

    @asynccontextmanager
    async def opened(target: Target) -> AsyncIterator[ScriptedEngine]:
        stage.engine.target = target
        yield stage.engine
        await together.wait()

    @asynccontextmanager
    async def operated(_: Target) -> AsyncIterator[OperatorConnection]:
        yield stage.operator
        await together.wait()

    monkeypatch.setattr("console.engine.open.open_engine", opened)
    defaults = Dispatcher.__init__.__kwdefaults__ or {}
    monkeypatch.setattr(Dispatcher.__init__, "__kwdefaults__", {**defaults, "opener": operated})
    async with stage.app.run_test(size=NARROW) as pilot:
        desk = stage.app.desk
        await until(pilot, lambda: bool(stage.cells()) and "ledger is open" in stage.status)
        await desk.acting().lifeboat(stage.main.target).keep()
        async with asyncio.timeout(30):
            await desk.close()


async def test_a_server_that_fails_is_told_with_its_words_and_comes_back_by_itself(stage: Stage) -> None:
    async with shown(stage) as pilot:
        stage.engine.fail = ServerSilent("db1 did not answer")
        await until(pilot, lambda: "db1 did not answer" in stage.status and "FAILING" in stage.bar)
        assert stage.cells(), "the last data stays"
        stage.engine.fail = None
        await until(pilot, lambda: "live" in stage.bar)
        assert "answers again" in stage.status


async def test_where_only_a_right_was_missing_the_server_has_not_been_away(stage: Stage) -> None:
    async with shown(stage) as pilot:
        stage.engine.fail = PrivilegeMissing("no privilege to read locks")
        await until(pilot, lambda: "no privilege to read locks" in stage.status)
        assert "NO RIGHT" in stage.bar
        stage.engine.fail = None
        await pilot.press("2")
        await until(pilot, lambda: stage.main.pane.reading.data is not None)
        assert "live" in stage.bar, "other reads need other rights"
        await pilot.press("1")
        await pilot.press("r")
        await until(pilot, lambda: stage.status.strip() == "")


async def test_a_server_that_is_down_at_start_shows_why(stage: Stage) -> None:
    stage.engine.fail = ServerSilent("db1 did not answer")
    async with stage.app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: "no data yet" in stage.bar)
        assert "db1 did not answer" in stage.pane.grid.empty
        stage.engine.fail = None
        await until(pilot, lambda: bool(stage.cells()))
        await stage.app.desk.close()


async def test_without_a_ledger_nothing_can_be_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, Environment.DEV)
    (tmp_path / "audit.db").mkdir()
    async with stage.app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: bool(stage.cells()) and "nothing can be executed" in stage.status)
        await pilot.press("t")
        await until(pilot, lambda: "ledger" in stage.status)
        assert not isinstance(pilot.app.screen, ConfirmScreen)
        await stage.app.desk.close()


async def test_every_view_keeps_to_the_budget(stage: Stage) -> None:
    config = msgspec.structs.replace(stage.config, thresholds=Thresholds(budget=5.0))
    stage.app.desk.config = config
    async with shown(stage) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: stage.main.pane.name_of_subject == "transactions")
        assert {pane.feed.budget for pane in stage.main.query(Pane)} == {0.05}


async def test_filter_and_clear(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await pilot.press("slash", *"app-3", "enter")
        await until(pilot, lambda: [cells[0].strip() for cells in stage.cells()] == ["╰ 3"])
        await pilot.press("escape")
        await until(pilot, lambda: len(stage.cells()) == 5)


async def test_the_cursor_stays_on_its_session(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await pilot.press("down", "down")
        key = stage.pane.grid.key
        stage.engine.end(2)
        await until(pilot, lambda: len(stage.cells()) == 4)
        assert stage.pane.grid.key == key


async def test_the_audit_pane_shows_the_ledger(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await pilot.press("9")
        pane = stage.main.pane
        await until(pilot, lambda: len(cells_of(pane)) == 1)
        assert cells_of(pane)[0][2] == "open"
        await pilot.press("1")
        assert stage.main.pane is stage.pane


async def test_export_writes_the_view_for_its_owner_only(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with shown(stage) as pilot:
        await pilot.press("e")
        await until(pilot, lambda: "written" in stage.status)
    (path,) = tmp_path.glob("dbdeck-locks-shop-*.json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(json.loads(path.read_text())["rows"]) == 5


async def test_help_lists_the_keys_and_the_palette_opens(stage: Stage) -> None:
    async with shown(stage, WIDE) as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))
        await pilot.press("escape", "ctrl+p")
        await until(pilot, lambda: type(pilot.app.screen).__name__ == "CommandPalette")
        await pilot.press("escape")


async def test_the_mouse_opens_a_pane_and_presses_a_key(stage: Stage) -> None:
    async with shown(stage) as pilot:
        line = str(stage.main.query_one(TabLine).render())
        await pilot.click("#tabs", offset=(line.index("Audit"), 0))
        await until(pilot, lambda: stage.main.pane.name_of_subject == "audit")
        await pilot.click("#tabs", offset=(line.index("Locks"), 0))
        await until(pilot, lambda: stage.main.pane is stage.pane)
        await pilot.click("#keys", offset=(3, 0))
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_it_can_be_left_while_the_server_hangs(stage: Stage, key: str) -> None:
    async with shown(stage) as pilot:
        stage.engine.before_read = asyncio.Event().wait
        await until(pilot, lambda: "NO ANSWER" in stage.bar)
        await pilot.press(key)
        await until(pilot, lambda: not pilot.app.is_running or pilot.app._exit)


async def test_hostile_text_stays_text(stage: Stage) -> None:
    evil = "select '\x1b[2J[red]x[/]'\r\n"
    stage.engine.change(1, query=evil, user=evil, application=evil)
    async with shown(stage, WIDE) as pilot:
        await proposed(stage, pilot, "t")
        assert any("[red]x[/]" in cell for cells in stage.cells() for cell in cells)
        assert all(cell.isprintable() for cells in stage.cells() for cell in cells)


async def test_open_intents_are_told_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Stage(tmp_path, monkeypatch, Environment.DEV)
    first.operator.ends = None
    async with shown(first) as pilot:
        await proposed(first, pilot, "t")
        await pilot.press(*"why", "enter")
        await until(pilot, lambda: "UNKNOWN" in first.status)
        assert isinstance(pilot.app.screen, TextScreen)
    second = Stage(tmp_path, monkeypatch, Environment.DEV)
    async with second.app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))
        await until(pilot, lambda: "no known outcome" in second.status)
        await second.app.desk.close()


def test_an_unknown_theme_lists_the_valid_ones(stage: Stage) -> None:
    from console.errors import ConfigError

    config = Config(targets=stage.config.targets, theme="nope")
    with pytest.raises(ConfigError) as fault:
        asyncio.run(module.run(config, Registry(actions.ALL)))
    assert "dbdeck" in fault.value.hint


async def test_no_control_character_of_a_text_reaches_the_terminal(stage: Stage) -> None:
    """Whatever screen forgets to clean it: a row that somebody forged, a server's message, a saved plan."""
    hostile = "a\x1b[2Jb\x9b31mc\u202ed\x07"
    async with shown(stage, WIDE) as pilot:
        ledger = stage.app.desk.acting().ledger
        said = dict.fromkeys(("action", "target", "operator", "reason"), hostile)
        await ledger.append(Kind.REFUSED, UUID(int=7), {**said, "statements": [hostile]})
        stage.main.post_message(Told(hostile, bad=True))
        await pilot.press("9")
        await until(pilot, lambda: "refused" in seen(stage))
        assert printed(stage)
        stage.app.push_screen(TextScreen(hostile, Text(hostile)))
        stage.app.notify(hostile)
        await until(pilot, lambda: "a[2Jb31mcd" in seen(stage))
        assert printed(stage)


def seen(stage: Stage) -> str:
    """All of the screen as it goes to the terminal."""
    strips = stage.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def printed(stage: Stage) -> bool:
    return seen(stage).replace("\n", "").isprintable()
