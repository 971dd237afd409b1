"""Keys that come in one burst, as they do over a slow line: each acts on what the one before has brought."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from textual.events import Key, MouseDown, MouseUp, Paste
from textual.pilot import Pilot
from textual.widgets import Input, Static

from console.audit.record import Kind
from console.model.target import Environment
from console.tui.screens.confirm import ConfirmScreen
from console.tui.typed_ahead import TypedAhead
from tests.tui.stage import Stage, shown, until


def burst(pilot: Pilot[Any], *keys: str) -> None:
    """All of them before any is looked at."""
    for key in keys:
        pilot.app.post_message(Key(key, key if len(key) == 1 else None))


async def test_an_arrow_behind_the_key_of_a_view_moves_in_that_view(stage: Stage) -> None:
    async with shown(stage) as pilot:
        before = stage.pane.grid.key
        await pilot.press("0")
        await until(pilot, lambda: stage.main.pane is not stage.pane)
        burst(pilot, "1", "down", "down", "t")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        chosen = stage.pane.grid.key
        assert chosen != before
        assert [line.key for line in stage.pane.drawn].index(str(chosen)) == 2
        asked = pilot.app.screen
        assert isinstance(asked, ConfirmScreen)
        await until(pilot, lambda: asked._plan is not None)
        plan = asked._plan
        assert plan is not None
        assert str(plan.subject["session"]["id"]) in str(chosen)


async def test_letters_behind_the_key_of_the_filter_are_its_text(stage: Stage) -> None:
    async with shown(stage) as pilot:
        entry = stage.main.query_one("#filter", Input)
        burst(pilot, "slash", *"stock", "enter", "down")
        await until(pilot, lambda: entry.value == "stock" and stage.pane.grid.has_focus)
        assert pilot.app.screen is stage.main
        assert stage.pane.needle == "stock"


async def test_what_is_pasted_behind_a_key_goes_where_the_key_led(stage: Stage) -> None:
    async with shown(stage) as pilot:
        entry = stage.main.query_one("#filter", Input)
        burst(pilot, "slash")
        pilot.app.post_message(Paste("stock"))
        burst(pilot, "s", "enter")
        await until(pilot, lambda: entry.value == "stocks" and stage.pane.grid.has_focus)


async def test_the_fields_of_a_form_are_filled_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, Environment.PROD)
    async with shown(stage) as pilot:
        burst(pilot, "t")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        asked = pilot.app.screen
        assert isinstance(asked, ConfirmScreen)
        await until(pilot, lambda: asked._plan is not None)
        burst(pilot, *"why", "enter", *"shop", "enter")
        await until(pilot, lambda: stage.operator.sent != [])
        (intent,) = await stage.app.desk.heard_ledger().entries(kinds=(Kind.INTENT,))
        assert '"reason":"why"' in str(intent.body)


async def test_a_key_whose_receiver_is_gone_keeps_none_back(stage: Stage) -> None:
    async with shown(stage) as pilot:
        burst(pilot, "question_mark", "q", "question_mark", "escape", "slash", *"abc", "escape", "1")
        entry = stage.main.query_one("#filter", Input)
        await until(pilot, lambda: pilot.app.screen is stage.main)
        await pilot.press("question_mark")
        await until(pilot, lambda: pilot.app.screen is not stage.main)
        assert entry.value in ("", "abc")


async def test_a_burst_after_a_while_is_one_too(stage: Stage) -> None:
    async with shown(stage) as pilot:
        entry = stage.main.query_one("#filter", Input)
        await pilot.press("down")
        await pilot.pause(1.2)
        for key in ("slash", *"stock", "enter"):
            burst(pilot, key)
            await pilot.pause(0)
        await until(pilot, lambda: entry.value == "stock" and stage.pane.grid.has_focus)


@pytest.mark.parametrize("environment", [Environment.DEV, Environment.PROD])
async def test_no_burst_runs_what_nobody_has_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: Environment
) -> None:
    stage = Stage(tmp_path, monkeypatch, environment)
    async with shown(stage) as pilot:
        burst(pilot, "down", "t", *"why", "enter", *"shop", "enter", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        asked = pilot.app.screen
        assert isinstance(asked, ConfirmScreen)
        await until(pilot, lambda: asked._plan is not None)
        await pilot.pause(0.3)
        assert pilot.app.screen is asked
        assert stage.operator.sent == []
        reason = asked.query_one("#reason", Input)
        reason.value = reason.value or "why"
        asked.query_one("#confirm", Input).value = "shop"
        reason.focus()
        await pilot.press("ctrl+s")
        await until(pilot, lambda: stage.operator.sent != [])


async def test_a_click_does_not_overtake_what_was_typed_before_it(stage: Stage) -> None:
    async with shown(stage) as pilot:
        entry = stage.main.query_one("#filter", Input)
        burst(pilot, "slash", *"stock")
        place = stage.pane.grid.region.offset
        for kind in (MouseDown, MouseUp):
            pilot.app.post_message(
                kind(None, place.x + 4, place.y + 2, 0, 0, 1, False, False, False, place.x + 4, place.y + 2)
            )
        await until(pilot, lambda: stage.pane.grid.has_focus and entry.value == "stock")
        assert pilot.app.screen is stage.main


async def test_a_loop_that_was_busy_loses_no_letter(stage: Stage) -> None:
    async with shown(stage) as pilot:
        entry = stage.main.query_one("#filter", Input)
        burst(pilot, "down", "slash")
        pilot.app.call_later(lambda: time.sleep(1.2))
        burst(pilot, *"stock", "enter")
        await until(pilot, lambda: entry.value == "stock" and stage.pane.grid.has_focus)


async def test_an_interrupt_waits_for_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async with shown(stage) as pilot:
        monkeypatch.setattr(TypedAhead, "_up", lambda *_: None)
        burst(pilot, "down", "down", "ctrl+c")
        await until(pilot, lambda: not stage.app.is_running or stage.app._exit)


async def test_what_goes_away_with_a_key_keeps_none_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a part of the screen that is closed no follower comes back."""
    async with shown(stage) as pilot:
        gone = Static("")
        await stage.main.mount(gone)
        up = TypedAhead._up
        monkeypatch.setattr(TypedAhead, "_up", lambda *_: None)
        monkeypatch.setattr(TypedAhead, "_receiver_of", lambda *_: gone)
        keys = [str(line.key) for line in stage.pane.drawn]
        burst(pilot, "down", "down")
        await until(pilot, lambda: stage.pane.grid.key == keys[1])
        monkeypatch.setattr(TypedAhead, "_up", up)
        await gone.remove()
        burst(pilot, "down")
        await until(pilot, lambda: stage.pane.grid.key == keys[3])
