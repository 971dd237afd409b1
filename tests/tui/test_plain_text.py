"""Text that is drawn at once looks as Textual would draw it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.text import Text
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.selection import SELECT_ALL
from textual.strip import Strip
from textual.widgets import Static

from console.tui.widgets.bars import Bar
from console.tui.widgets.plain_text import PlainText

WIDTH, HEIGHT = 24, 4
LETTERS = st.text(st.sampled_from("aZ 09.·│►╰é漢\u0301\t{[\\"), max_size=WIDTH + 4)
STYLES = st.sampled_from(["", "bold", "dim strike", "bold red", "bold reverse", "italic on blue"])


class Page(App[None]):
    CSS = f"""
    Bar, PlainText {{ width: {WIDTH}; background: $panel; color: $foreground; }}
    PlainText {{ height: {HEIGHT}; }}
    Bar {{ height: 1; }}
    """

    def compose(self) -> ComposeResult:
        self.bar = Bar()
        self.text = PlainText(markup=False)
        yield self.bar
        yield self.text


def cells(strips: list[Strip]) -> list[list[Any]]:
    """What is seen of each cell: a blank's own colour is not, unless it is drawn over or in reverse."""
    found = []
    for strip in strips:
        line: list[Any] = []
        for text, style, _ in strip:
            assert style is not None
            seen = style.bold, style.dim, style.italic, style.strike, style.reverse
            for char in text:
                bare = char == " " and not (style.reverse or style.strike)
                line.append((char, style.bgcolor, *((None,) if bare else (style.color, *map(bool, seen)))))
        found.append(line)
    return found


def offsets(strips: list[Strip]) -> list[list[Any]]:
    return [[style.meta.get("offset") for _, style, _ in strip if style is not None] for strip in strips]


def alike(widget: PlainText) -> bool:
    """Whether it is drawn as by Textual; False too where it was Textual that drew it."""
    crop = Region(0, 0, *widget.size)
    fast = widget._strips()
    theirs = Static.render_lines(widget, crop)
    assert cells(widget.render_lines(crop)) == cells(theirs)
    part = Region(3, 0, 9, 1)
    assert cells(widget.render_lines(part)) == cells(Static.render_lines(widget, part))
    return fast is not None


@st.composite
def styled(draw: st.DrawFn) -> Text:
    pieces = draw(st.lists(st.tuples(st.text("ab ·9", max_size=9), STYLES), max_size=4))
    return Text.assemble(*pieces)


@pytest.mark.parametrize("theme", ["textual-dark", "ansi-dark"])
async def test_it_looks_as_textual_would_draw_it(theme: str) -> None:
    drawn = {True: 0, False: 0}
    async with Page().run_test(size=(80, 10)) as pilot:
        page = pilot.app
        assert isinstance(page, Page)
        page.theme = theme
        await pilot.pause()

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(st.lists(LETTERS, max_size=HEIGHT + 1), styled())
        def look(lines: list[str], text: Text) -> None:
            page.text.update("\n".join(lines), layout=False)
            page.bar.say(text)
            for widget in (page.text, page.bar):
                drawn[alike(widget)] += 1

        look()
    assert drawn[True] > 50
    assert drawn[False] > 20, "long and wide texts are Textual's"


async def test_another_theme_and_another_size_are_seen_at_once() -> None:
    async with Page().run_test(size=(80, 10)) as pilot:
        page = pilot.app
        assert isinstance(page, Page)
        page.text.update("some\nlines")
        await pilot.pause()
        before = cells(page.text.render_lines(Region(0, 0, WIDTH, HEIGHT)))
        assert alike(page.text)
        page.theme = "textual-light"
        await pilot.pause()
        assert alike(page.text)
        assert cells(page.text.render_lines(Region(0, 0, WIDTH, HEIGHT))) != before
        page.text.styles.width, page.text.styles.height = 12, 2
        await pilot.pause()
        assert alike(page.text)
        assert page.text.size == (12, 2)
        page.text.styles.background = "red"
        await pilot.pause()
        assert alike(page.text)


async def test_the_mouse_can_mark_it() -> None:
    async with Page().run_test(size=(80, 10)) as pilot:
        page = pilot.app
        assert isinstance(page, Page)
        page.text.update("some\nlines", layout=False)
        page.bar.say(Text.assemble("a ", ("word", "bold")))
        await pilot.pause()
        crop = Region(0, 0, WIDTH, HEIGHT)
        assert offsets(page.text.render_lines(crop))[0][0] == (0, 0)
        assert offsets(page.text.render_lines(crop))[1][0] == (0, 1)
        assert offsets(page.bar.render_lines(Region(0, 0, WIDTH, 1)))[0][:2] == [(0, 0), (2, 0)]
        plain = cells(page.text.render_lines(crop))
        page.screen.selections = {page.text: SELECT_ALL}
        await pilot.pause()
        assert cells(page.text.render_lines(crop)) != plain, "what is marked is seen"
        assert page.screen.get_selected_text() == "some\nlines"
