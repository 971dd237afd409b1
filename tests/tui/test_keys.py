"""Keys given by the config are the ones that are shown; every view sorts by key and by mouse."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

import actions
from console.dispatch.registry import Registry
from console.model.keymap import DEFAULTS, spoken
from console.model.target import EngineKind, Environment
from console.tui import hints
from console.tui.app import ConsoleApp
from console.tui.commands import Commands
from console.tui.hints import hint
from console.tui.screens.choose import ChooseTarget
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.text import TextScreen
from console.tui.screens.views import TABS
from console.tui.widgets.bars import TabLine
from tests.tui.stage import WIDE, Stage, cells_of, proposed, shown, until


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch, Environment.DEV)


def with_keys(stage: Stage, **keys: str) -> Stage:
    named = {name.replace("__", "."): key for name, key in keys.items()}
    stage.config = msgspec.structs.replace(stage.config, keys=named)
    stage.app = ConsoleApp(stage.config, Registry(actions.ALL))
    return stage


async def test_key_line_tabs_help_and_palette_follow_the_config(stage: Stage) -> None:
    with_keys(stage, locks__terminate="K, f6", details__up="ctrl+k", pane__tables="f3", app__quit="Q")
    async with shown(stage, WIDE) as pilot:
        await until(pilot, lambda: "K terminate" in stage.keys and "Q quit" in stage.keys)
        assert "t terminate" not in stage.keys
        assert "f3 Tables" in str(stage.main.query_one(TabLine).render())
        commands = {name: note for name, note, _ in Commands(stage.main)._commands()}
        assert commands["Terminate session"] == "key K"
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))
        said = " ".join(str(one.render()) for one in pilot.app.screen.query(Static))
        assert re.search(r"^  K f6 +Terminate session$", said, re.MULTILINE)
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is stage.main)
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))


async def test_hints_name_the_keys_that_the_config_gave(stage: Stage) -> None:
    with_keys(stage, details__down="ctrl+n", text__close="f4", action__stop="f7", grid__select="o,enter")
    async with shown(stage) as pilot:
        assert hint(stage.main, "{details.down} {details.up} {grid.select}") == "^n K o"
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))
        assert "f4 closes" in [str(one.render()) for one in pilot.app.screen.query(Static)]


def test_every_hint_names_a_binding_and_no_key_stands_in_a_text() -> None:
    """A literal key would stay when somebody gives the binding another one."""
    literal = re.compile(r"\"[^\"{]*(?:\bEsc\b|\^[gsx]\b|\bJ K\b)[^\"]*\"")
    found, named = [], set()
    for path in sorted(Path(hints.__file__).parent.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(r"\{([a-z][a-z-]*\.[a-z][a-z0-9-]*)\}", text))
        lines = [line for line in text.splitlines() if '"""' not in line and "Key(" not in line]
        found += [(path.name, line.strip()) for line in lines if literal.search(line)]
    assert found == []
    told = {name for name in named if name.partition(".")[0] in {one.partition(".")[0] for one in DEFAULTS}}
    assert told - set(DEFAULTS) == {"action.summary", "glass.told", "glass.target"}, "values, no bindings"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("escape,q", "Esc"),
        ("ctrl+x", "^x"),
        ("?", "?"),
        ("shift+f3", "shift+f3"),
        ("pagedown", "PgDn"),
        ("J", "J"),
    ],
)
def test_a_key_is_spoken_as_people_write_it(key: str, said: str) -> None:
    assert spoken({"view.copy": key}, "view.copy") == said


async def test_the_palette_has_every_view_and_every_key(stage: Stage) -> None:
    async with shown(stage) as _:
        names = {name for name, _, _ in Commands(stage.main)._commands()}
        assert {f"View {tab.title}" for tab in TABS} <= names
        assert {"Refresh now", "Sort by the next column", "Clear the filter", "Theme nord"} <= names


@pytest.mark.parametrize("name", [tab.name for tab in TABS if tab.name not in ("tables", "runbooks")])
async def test_every_view_sorts_by_s(stage: Stage, name: str) -> None:
    async with shown(stage) as pilot:
        await stage.main.action_pane(name)
        await until(pilot, lambda: stage.main.pane.reading.data is not None)
        await pilot.press("s")
        assert stage.main.pane.sorted_by is not None


async def test_a_click_on_a_title_sorts_and_the_cursor_stays_on_its_session(stage: Stage) -> None:
    async with shown(stage, WIDE) as pilot:
        before = [cells[0] for cells in stage.cells()]
        await pilot.press("down", "down")
        key = stage.pane.grid.key
        await pilot.click(stage.pane.grid, offset=(5, 0))
        await until(pilot, lambda: "session▲" in header(stage, pilot))
        await pilot.click(stage.pane.grid, offset=(5, 0))
        await until(pilot, lambda: "session▼" in header(stage, pilot))
        assert stage.pane.grid.key == key
        assert [cells[0] for cells in stage.cells()] != before
        await pilot.click(stage.pane.grid, offset=(5, 0))
        await until(pilot, lambda: [cells[0] for cells in stage.cells()] == before)
        await pilot.click(stage.pane.grid, offset=(5, 2))
        assert stage.pane.grid.line is not None
        assert stage.pane.grid.line.cells == stage.cells()[1]


def header(stage: Stage, pilot: Pilot[Any]) -> str:
    del pilot
    return stage.pane.grid.render_line(0).text


async def test_the_tree_comes_back_after_the_last_column(stage: Stage) -> None:
    async with shown(stage) as pilot:
        before = stage.cells()
        await pilot.press(*("s" * 10))
        assert stage.pane.sorted_by is not None
        await pilot.press("s")
        await until(pilot, lambda: stage.pane.sorted_by is None and cells_of(stage.pane) == before)


async def test_help_begins_with_the_keys_of_the_pane_and_has_none_of_the_toolkit(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))
        said = "\n".join(str(one.render()) for one in pilot.app.screen.query(Static))
        assert said.index("Terminate session") < said.index("Overview") < said.index("Page down")
        assert re.search(r"^  c C +Cancel statement$", said, re.MULTILINE)
        assert "Focus" not in said
        assert "super+c" not in said


async def test_the_palette_names_nothing_twice(stage: Stage) -> None:
    """Two bindings leave the console, and one command does."""
    async with shown(stage) as _:
        names = [name for name, _, _ in Commands(stage.main)._commands()]
        assert "Quit" in names
        assert sorted(names) == sorted(set(names))


async def test_the_palette_offers_what_the_engine_of_the_target_has(stage: Stage) -> None:
    async with shown(stage) as _:
        names = {name for name, _, _ in Commands(stage.main)._commands()}
        assert "Action table.vacuum" in names
        assert "Action binlog.purge" not in names
        assert "Focus Next" not in names


@pytest.mark.parametrize(("engine", "named"), [(EngineKind.POSTGRES, True), (EngineKind.MYSQL, False)])
async def test_help_names_no_key_for_what_the_engine_has_not(
    stage: Stage, engine: EngineKind, named: bool
) -> None:
    """It was pressed, and said that this engine has nothing like it."""
    entry = msgspec.structs.replace(stage.config.targets["shop"], engine=engine)
    stage.config = msgspec.structs.replace(stage.config, targets={"shop": entry})
    stage.app = ConsoleApp(stage.config, Registry(actions.ALL))
    async with shown(stage) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: stage.main.pane.name_of_subject == "transactions")
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))
        said = "\n".join(str(one.render()) for one in pilot.app.screen.query(Static))
        assert "End idle transactions" in said
        assert ("Limit idle transactions" in said) is named


def test_q_leaves_every_dialog_in_which_nothing_is_typed() -> None:
    """And Escape each of them: nobody has to know which one it is."""
    typed = {"arguments.leave", "form.leave", "unlock.leave", "confirm.leave"}  # q is a letter there
    leaving = {
        name: DEFAULTS[name].split(",")
        for name in DEFAULTS
        if name.rpartition(".")[2] in ("leave", "close", "look") and name not in ("runbooks.look",)
    }
    assert typed < set(leaving)
    del leaving["confirm.close"]  # what Escape does there is another one
    assert [name for name, keys in leaving.items() if "escape" not in keys] == []
    assert {name for name, keys in leaving.items() if "q" not in keys} == typed


async def test_q_leaves_the_list_of_targets_and_then_the_console(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await pilot.press("o")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChooseTarget))
        await pilot.press("q")
        await until(pilot, lambda: pilot.app.screen is stage.main)
        assert pilot.app.is_running
        await pilot.press("q")
        await until(pilot, lambda: not pilot.app.is_running)


async def test_q_is_a_letter_of_a_reason_and_leaves_a_plan_that_is_refused(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await proposed(stage, pilot, "t")
        await pilot.press("q")
        entry = pilot.app.screen.query_one("#reason", Input)
        await until(pilot, lambda: entry.value == "q")
        dialog = pilot.app.screen
        assert isinstance(dialog, ConfirmScreen)
        assert dialog._plan is not None
        dialog._show_plan(msgspec.structs.replace(dialog._plan, refusals=("protected",)))
        await pilot.press("q")
        await until(pilot, lambda: pilot.app.screen is stage.main)
        assert not stage.operator.sent
