"""What every pane does with the texts beneath its lines, and with its first reading."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from console.tui import app
from console.tui.panes.deadlocks import DeadlocksPane
from console.tui.panes.pane import Pane, _height
from tests.tui.stage import Stage, shown, until

LONG, SHORT = "\n".join("abcdefghijkl"), "a\nb"


async def say(pilot: Pilot[Any], pane: Pane[Any, Any], text: str) -> int:
    """The height of the box, its edge included, once it says this."""
    pane._change(text)
    pane._tell_of_more()
    await pilot.pause(0.2)
    return pane._box.outer_size.height


@pytest.mark.parametrize(("size", "tall"), [((130, 50), 13), ((100, 45), 9)])
async def test_the_box_keeps_its_height_while_there_is_room(
    stage: Stage, size: tuple[int, int], tall: int
) -> None:
    async with shown(stage, size) as pilot:
        await pilot.press("p")
        pane = stage.pane
        assert await say(pilot, pane, LONG) == tall
        assert await say(pilot, pane, SHORT) == tall
        pane._tell_of_more()
        assert not pane._box.max_scroll_y
        assert pane._box.border_title is None
        await pilot.resize_terminal(size[0], 24)
        await pilot.pause(0.2)
        assert await say(pilot, pane, SHORT) == 3


TEXTS = st.text(st.sampled_from("ab \n"), max_size=40) | st.text(st.sampled_from("a é漢\t\n"), max_size=20)


async def test_the_height_is_what_textual_finds(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await pilot.press("p")
        details = stage.pane._text

        @given(TEXTS, st.integers(1, 20))
        def holds(text: str, width: int) -> None:
            known = _height(text, width)
            details.update(text, layout=False)
            details.clear_cached_dimensions()
            assert known in (None, details.get_content_height(details.size, pilot.app.size, width))

        holds()


async def test_after_a_while_nothing_is_left_to_import(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade on the disk must not be mixed into a console that runs."""
    monkeypatch.setattr(app, "_SETTLED_SECONDS", 0.5)
    late = ("console.tui.panes.tables", "console.engine.postgres.pulse")
    for name in late:
        monkeypatch.delitem(sys.modules, name, raising=False)
    async with shown(stage) as pilot:
        await until(pilot, lambda: set(late) <= set(sys.modules))


@pytest.mark.parametrize(
    ("took", "seconds", "old"), [(0.01, 1.5, False), (0.01, 3.5, True), (1.0, 19.0, False), (1.0, 27.0, True)]
)
async def test_what_is_asked_less_often_is_not_old_sooner(
    stage: Stage, took: float, seconds: float, old: bool
) -> None:
    """A server whose answers take long rests for as long as `budget` says."""
    async with shown(stage) as pilot:
        pane = stage.pane
        await until(pilot, lambda: pane.reading.taken_at is not None)
        pane.feed.budget = 0.05
        pane._shown_at = datetime.now(UTC) - timedelta(minutes=1)
        pane.feed.reading = msgspec.structs.replace(
            pane.reading, taken_at=datetime.now(UTC) - timedelta(seconds=seconds), latency_ms=took * 1000
        )
        assert pane.outdated == old


@pytest.mark.parametrize(("seconds", "old"), [(9.0, False), (12.0, True)])
async def test_a_watched_view_is_opened_with_what_was_read_unseen(
    stage: Stage, seconds: float, old: bool
) -> None:
    async with shown(stage) as pilot:
        pane = stage.main.query_one(DeadlocksPane)
        await until(pilot, lambda: pane.reading.taken_at is not None)
        pane.feed.reading = msgspec.structs.replace(
            pane.reading, taken_at=datetime.now(UTC) - timedelta(seconds=seconds)
        )
        assert pane.outdated == old
