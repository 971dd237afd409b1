"""The dialog before a plan: what an action takes, and what is known of it beforehand."""

from __future__ import annotations

import re

import pytest
from textual import events
from textual.app import App
from textual.containers import Vertical
from textual.widgets import Input, Static

import actions
from console.model.target import EngineKind
from console.tui.screens.arguments import ArgumentsScreen, takes


@pytest.mark.parametrize("size", [(80, 24), (40, 10)])
@pytest.mark.parametrize("engine", EngineKind)
async def test_the_entry_is_in_view_on_a_small_screen_for_every_action(
    engine: EngineKind, size: tuple[int, int]
) -> None:
    """Also where a terminal is attached that shows little: arguments were typed there unseen."""
    app: App[None] = App()
    async with app.run_test(size=size) as pilot:
        for action in actions.ALL:
            await app.push_screen(ArgumentsScreen(action, {}, engine))
            await pilot.pause()
            entry = app.screen.query_one(Input)
            box = app.screen.query_one(Vertical).content_region
            assert box.contains_region(entry.region), action.name
            await app.pop_screen()


@pytest.mark.parametrize("pasted", ["x", "\x1b[2Jx", "x=", "table=x rows="], ids=ascii)
async def test_what_is_wrong_with_a_pasted_file_leaves_the_entry_in_view(pasted: str) -> None:
    app: App[None] = App()
    action = next(one for one in actions.ALL if one.name == "table.vacuum")
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(ArgumentsScreen(action, {}, EngineKind.POSTGRES))
        await pilot.pause()
        entry = app.screen.query_one(Input)
        entry.value = pasted + "x" * 100_000
        await pilot.press("enter")
        await pilot.pause()
        wrong = str(app.screen.query_one("#wrong", Static).render())
        assert "nothing was executed" in wrong
        assert "\x1b" not in wrong
        assert app.screen.region.contains_region(entry.region)
        assert app.screen.query_one("#wrong", Static).region.height <= 6


def test_defaults_are_shown_as_they_are_typed() -> None:
    """`concurrently=True` was shown, and is refused."""
    for action in actions.ALL:
        assert not re.search(r"\b(?:True|False|None)\b", takes(action)), action.name
    assert "[concurrently=true]" in takes(next(one for one in actions.ALL if one.name == "index.reindex"))


def told(screen: ArgumentsScreen) -> str:
    return str(screen.query_one(".facts", Static).render())


async def test_it_tells_locks_rights_and_undo_of_the_engine_at_hand() -> None:
    app: App[None] = App()
    action = next(one for one in actions.ALL if one.name == "index.create")
    async with app.run_test(size=(132, 38)) as pilot:
        screen = ArgumentsScreen(action, {}, EngineKind.POSTGRES)
        await app.push_screen(screen)
        await pilot.pause()
        text = told(screen)
        assert "locks: ShareUpdateExclusiveLock on the table" in text
        assert "undo: drop it" in text
        assert "metadata lock" not in text


async def test_a_name_with_a_line_end_is_seen_whole_and_given_as_it_is() -> None:
    """It was cut at the line end: what was seen, and what was pasted."""
    app: App[None] = App()
    action = next(one for one in actions.ALL if one.name == "table.vacuum")
    name = '"odd\nname"'
    async with app.run_test(size=(80, 24)) as pilot:
        given: list[dict[str, object] | None] = []
        await app.push_screen(ArgumentsScreen(action, {"table": name}, EngineKind.POSTGRES), given.append)
        await pilot.pause()
        entry = app.screen.query_one(Input)
        assert "'table=\"odd␊name\"'" in entry.render_line(0).text
        await pilot.press("end", *" jobs=2")
        assert "'table=\"odd␊name\"' jobs=2" in entry.render_line(0).text
        await pilot.press("enter")
        await pilot.pause()
        assert given == [{"table": name, "jobs": "2"}]


@pytest.mark.parametrize("pasted", ["'table=odd\nname' jobs=2", "'table=odd\r\nname'\rjobs=2\r"])
async def test_what_is_pasted_keeps_its_lines(pasted: str) -> None:
    app: App[None] = App()
    action = next(one for one in actions.ALL if one.name == "table.vacuum")
    async with app.run_test(size=(80, 24)) as pilot:
        given: list[dict[str, object] | None] = []
        await app.push_screen(ArgumentsScreen(action, {}, EngineKind.POSTGRES), given.append)
        await pilot.pause()
        app.screen.query_one(Input).post_message(events.Paste(pasted))
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert given == [{"table": "odd\nname", "jobs": "2"}]
