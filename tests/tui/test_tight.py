"""The tight path is compared with what Textual itself would paint on a fresh terminal."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual import _compositor
from textual.app import App, ComposeResult
from textual.drivers.headless_driver import HeadlessDriver
from textual.geometry import Region
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, Static

from console.present.table import Column, Line, Tone
from console.tui import compositor, tight
from console.tui.shadow import Ink, Pen, Row, Shadow, differences
from console.tui.tight import TightApp
from console.tui.widgets.grid import Grid

COLUMNS = (
    Column(title="pid", width=7, align="right"),
    Column(title="age", width=6, align="right"),
    Column(title="user", width=10, drop=2),
    Column(title="statement", width=20, grow=True),
)
WORDS = ("select", "update orders", "größe", "漢字", "e\u0301a", "└─ waits", "👍 ok", "x" * 90, "[red]x[/]")


@pytest.fixture(autouse=True)
def _truecolor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich keeps a style's codes for the first colour system it met, so that all tests share one."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")


class Terminal(HeadlessDriver):
    """A driver that is not headless for Textual, and keeps what is written."""

    written: list[str]

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self.written = []

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self.written.append(data)


class Dialog(ModalScreen[None]):
    CSS = "Dialog { align: center middle; } Dialog Static { width: 30; height: 5; border: round red; }"

    def compose(self) -> ComposeResult:
        yield Static("Really?\nThis cannot be undone.", id="question")


class Desk(TightApp[None]):
    CSS = "#head { height: 1; background: $primary; } Input { height: 1; border: none; }"
    ENABLE_COMMAND_PALETTE = False

    def compose(self) -> ComposeResult:
        yield Static("dbdeck", id="head", markup=False)
        yield Input(id="filter", select_on_focus=False)
        yield Grid(empty="Nothing waits.")
        yield Static("F1 help  q quit", id="foot")

    def on_mount(self) -> None:
        self.query_one(Input).cursor_blink = False
        self.query_one(Grid).focus()


class Window:
    """A terminal emulator fed with everything the app under test has written."""

    def __init__(self, pilot: Pilot[None], size: tuple[int, int]) -> None:
        self.pilot = pilot
        self.screen = pyte.Screen(*size)
        self.stream = pyte.Stream(self.screen)

    @property
    def driver(self) -> Terminal:
        driver = self.pilot.app._driver
        assert isinstance(driver, Terminal)
        return driver

    async def settle(self) -> str:
        """Wait for the last update; give what was written since the last call."""
        codes, quiet = "", 0
        while quiet < 2:
            await self.pilot.pause(0.02)  # Textual paints up to 60 times a second
            quiet = 0 if self.driver.written else quiet + 1
            codes += "".join(self.driver.written)
            self.driver.written.clear()
        self.stream.feed(codes)
        return codes

    async def resize(self, width: int, height: int) -> None:
        self.screen.resize(height, width)
        await self.pilot.resize_terminal(width, height)

    def shown(self) -> list[list[Any]]:
        return cells(self.screen)

    def expected(self) -> list[list[Any]]:
        """Paint everything with Textual's stock code on another terminal."""
        app = self.pilot.app
        compositor, kind = app.screen._compositor, type(app.screen._compositor)
        compositor.__class__ = _compositor.Compositor
        update = compositor.render_update(full=True, screen_stack=app._background_screens)
        compositor.__class__ = kind
        fresh = pyte.Screen(self.screen.columns, self.screen.lines)
        fresh.set_mode(pyte.modes.LNM)  # a tty's line discipline turns \n into \r\n
        pyte.Stream(fresh).feed(update.render_segments(app.console))  # type: ignore[union-attr]
        return cells(fresh)


def cells(screen: pyte.Screen) -> list[list[Any]]:
    return [[screen.buffer[y][x] for x in range(screen.columns)] for y in range(screen.lines)]


def lines(dice: random.Random, count: int) -> list[Line]:
    return [
        Line(
            key=str(i),
            cells=(
                str(i),
                f"{dice.randrange(60)}s",
                "app",
                " ".join(dice.choices(WORDS, k=dice.randrange(4))),
            ),
            tone=dice.choice(list(Tone)),
            tones={dice.randrange(4): dice.choice(list(Tone))} if dice.random() < 0.3 else {},
        )
        for i in range(count)
    ]


async def shake(window: Window, dice: random.Random) -> None:
    """Do one thing that users, servers and terminals do."""
    app, pilot = window.pilot.app, window.pilot
    grid = app.screen_stack[0].query_one(Grid)
    head = app.screen_stack[0].query_one("#head", Static)
    match dice.randrange(12):
        case 0 | 1 | 2 | 3:
            grid.set_table(COLUMNS, lines(dice, dice.choice([0, 3, 15, 40])))
        case 4 | 5:
            await pilot.press(dice.choice(["up", "down", "end", "home", "right", "left", "pagedown", "tab"]))
        case 6:
            head.update(dice.choice(WORDS))
        case 7:
            await app.push_screen(Dialog()) if len(app.screen_stack) == 1 else app.pop_screen()
        case 8:
            app.theme = dice.choice(["textual-dark", "textual-light", "ansi-dark", "ansi-light"])
        case 9:
            await window.resize(dice.choice([60, 80, 100]), dice.choice([15, 24, 30]))
        case 10:
            grid.stale = not grid.stale
            app.screen.refresh(layout=True)
        case _:
            app.screen_stack[0].query_one(Input).value = dice.choice(WORDS)


@pytest.mark.parametrize("seed", range(4))
async def test_random_updates_leave_the_screen_textual_would_paint(seed: int) -> None:
    dice = random.Random(seed)
    app = Desk(driver_class=Terminal)
    async with app.run_test(headless=False, size=(80, 24)) as pilot:
        window = Window(pilot, (80, 24))
        for step in range(40):
            await shake(window, dice)
            await window.settle()
            assert window.shown() == window.expected(), f"seed {seed}, step {step}"
        assert app._shadow is not None
        assert type(app.screen._compositor) is compositor.LineCompositor


def test_this_textual_is_one_we_know() -> None:
    assert tight.supported()
    assert compositor.supported()


def noted(widget: Widget, asked: list[tuple[str, Region]]) -> Any:
    drawn, name = widget.render_lines, widget.id or "grid"

    def render_lines(crop: Region) -> list[Strip]:
        asked.append((name, crop))
        return drawn(crop)

    return render_lines


async def test_what_is_not_refreshed_is_not_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Desk(driver_class=Terminal)
    async with app.run_test(headless=False, size=(80, 24)) as pilot:
        window = Window(pilot, (80, 24))
        app.query_one(Grid).set_table(COLUMNS, lines(random.Random(2), 40))
        await window.settle()
        asked: list[tuple[str, Region]] = []
        for widget in app.screen.query("Static, Grid, Input"):
            monkeypatch.setattr(widget, "render_lines", noted(widget, asked))
        app.query_one("#head", Static).update("another", layout=False)
        app.query_one("#foot", Static).update("another", layout=False)
        await window.settle()
        assert {name for name, _ in asked} == {"head", "foot"}
        asked.clear()
        await pilot.press("down")
        await window.settle()
        assert [(name, crop.height) for name, crop in asked] == [("grid", 2)]
        assert window.shown() == window.expected()


async def test_a_surprise_in_a_paint_ends_our_own_and_not_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    def surprise(*_: object) -> None:
        raise AttributeError("cuts")

    monkeypatch.setattr(compositor.LineCompositor, "_by_bands", surprise)
    app = Desk(driver_class=Terminal)
    screens = await updates_are_right(app)
    assert [type(screen._compositor) for screen in screens] == [_compositor.Compositor]


REGIONS = st.builds(Region, st.integers(0, 30), st.integers(0, 30), st.integers(1, 9), st.integers(1, 9))


@given(st.sets(REGIONS, max_size=9))
def test_bands_cover_all_and_share_no_line(regions: set[Region]) -> None:
    found = compositor.bands(regions)
    assert all(any(band.contains_region(region) for band in found) for region in regions)
    assert all(above.bottom < below.y for above, below in pairwise(found))


@given(st.lists(st.tuples(REGIONS, st.integers(0, 9)), max_size=9), REGIONS)
def test_a_cover_hides_only_what_is_painted(painted: list[tuple[Region, int]], part: Region) -> None:
    cover, cells = compositor.Cover(), set[tuple[int, int]]()
    for region, width in painted:
        cover.add(region, [Strip.blank(min(width, region.width))] * region.height)
        cells |= {(region.x + x, y) for y in region.line_range for x in range(min(width, region.width))}
    if cover.hides(part):
        assert cells >= {(x, y) for y in part.line_range for x in part.column_range}


@given(REGIONS, st.data())
def test_a_cover_hides_what_was_painted_at_once(region: Region, data: st.DataObject) -> None:
    cover = compositor.Cover()
    assert not cover.hides(region)
    cut = data.draw(st.integers(0, region.width))
    left, right = region.split_vertical(cut)
    for part in (left, right):
        cover.add(part, [Strip.blank(part.width)] * part.height)
    assert cover.hides(region)


async def test_the_boxes_behind_are_not_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Desk(driver_class=Terminal)
    async with app.run_test(headless=False, size=(80, 24)) as pilot:
        window = Window(pilot, (80, 24))
        await window.settle()
        asked: list[tuple[str, Region]] = []
        monkeypatch.setattr(app.screen, "render_lines", noted(app.screen, asked))
        app.query_one(Grid).set_table(COLUMNS, lines(random.Random(3), 40))
        app.screen.refresh()
        await window.settle()
        assert not asked
        assert window.shown() == window.expected()


async def test_another_textual_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_compositor, "ChopsUpdate", type("ChopsUpdate", (), {}))
    assert not tight.supported()
    app = Desk(driver_class=Terminal)
    monkeypatch.undo()
    await updates_are_right(app)
    assert app._shadow is None


async def test_a_surprise_in_an_update_ends_the_tight_path_and_not_the_app(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def surprise(*_: object) -> None:
        raise AttributeError("chops")

    monkeypatch.setattr(Shadow, "compare", surprise)
    app = Desk(driver_class=Terminal)
    await updates_are_right(app)
    assert app._shadow is None


async def updates_are_right(app: Desk) -> list[Screen[Any]]:
    dice = random.Random(1)
    async with app.run_test(headless=False, size=(80, 24)) as pilot:
        window = Window(pilot, (80, 24))
        for _ in range(5):
            app.query_one(Grid).set_table(COLUMNS, lines(dice, 15))
            await window.settle()
            assert window.shown() == window.expected()
        return list(app.screen_stack)


async def test_the_same_content_again_writes_nothing() -> None:
    app = Desk(driver_class=Terminal)
    async with app.run_test(headless=False, size=(80, 24)) as pilot:
        window = Window(pilot, (80, 24))
        app.query_one(Grid).set_table(COLUMNS, lines(random.Random(2), 40))
        await window.settle()
        app.query_one(Grid).set_table(COLUMNS, lines(random.Random(2), 40))
        app.query_one("#head", Static).update("dbdeck")
        app.query_one("#head", Static).refresh()
        await window.settle()
        app.query_one(Grid).set_table(COLUMNS, lines(random.Random(2), 40))
        app.query_one("#head", Static).refresh()
        app.query_one(Grid).refresh()
        await window.settle()
        app.query_one("#head", Static).refresh()
        app.query_one(Grid).refresh()
        assert await window.settle() == ""
        await pilot.pause(1.5)  # longer than a cursor's blink
        assert await window.settle() == ""


async def test_a_whole_screen_again_writes_nothing() -> None:
    app = Desk(driver_class=Terminal)
    async with app.run_test(headless=False, size=(80, 24)) as pilot:
        window = Window(pilot, (80, 24))
        assert len(await window.settle()) > 80 * 24
        app.screen.refresh(layout=True)
        assert await window.settle() == ""


async def test_a_dialog_costs_what_it_covers() -> None:
    app = Desk(driver_class=Terminal)
    async with app.run_test(headless=False, size=(80, 24)) as pilot:
        window = Window(pilot, (80, 24))
        app.query_one(Grid).set_table(COLUMNS, lines(random.Random(2), 40))
        await window.settle()
        await app.push_screen(Dialog())
        await window.settle()
        app.pop_screen()
        await window.settle()
        app.query_one("#foot", Static).display = False
        await window.settle()
        app.query_one("#foot", Static).display = True
        assert len(await window.settle()) < 80 * 5
        assert window.shown() == window.expected()


async def test_a_terminal_that_was_resized_and_back_is_painted_whole() -> None:
    app = Desk(driver_class=Terminal)
    async with app.run_test(headless=False, size=(80, 24)) as pilot:
        window = Window(pilot, (80, 24))
        await window.settle()
        window.stream.feed("\x1b[5;5Hwhat the terminal wrapped")
        await pilot.resize_terminal(80, 24)  # both at once: Textual hears of none
        app.screen.refresh(layout=True)
        await window.settle()
        assert window.shown() == window.expected()


async def test_one_age_costs_a_few_bytes() -> None:
    app = Desk(driver_class=Terminal)
    async with app.run_test(headless=False, size=(80, 24)) as pilot:
        window = Window(pilot, (80, 24))
        grid = app.query_one(Grid)
        codes = ""
        for age in ("1s", "2s", "3s"):
            grid.set_table(COLUMNS, [Line(key="7", cells=("7", age, "app", "select 1 …"))])
            codes = await window.settle()
        assert "3" in codes
        assert len(codes) < 80


async def test_repaint_puts_right_what_others_wrote() -> None:
    app = Desk(driver_class=Terminal)
    async with app.run_test(headless=False, size=(80, 24)) as pilot:
        window = Window(pilot, (80, 24))
        await window.settle()
        window.stream.feed("\x1b[5;5Hwall: shutdown in 5 minutes")
        assert window.shown() != window.expected()
        app.repaint()
        await window.settle()
        assert window.shown() == window.expected()


async def test_after_a_suspension_everything_is_painted() -> None:
    app = Desk(driver_class=Terminal)
    async with app.run_test(headless=False, size=(80, 24)) as pilot:
        window = Window(pilot, (80, 24))
        await window.settle()
        window.screen.reset()
        app.app_resume_signal.publish(app)
        await window.settle()
        assert window.shown() == window.expected()


STYLES = st.sampled_from(
    [None, *(Style.parse(text) for text in ("red", "bold on blue", "bold dim red", "dim on blue", "reverse"))]
)
PIECES = st.lists(st.tuples(st.text("ab …", max_size=12), STYLES), max_size=6)


def strip(pieces: list[tuple[str, Style | None]], width: int) -> Strip:
    return Strip([Segment(text, style) for text, style in pieces]).adjust_cell_length(width)


@given(PIECES, PIECES)
def test_differences_make_one_row_of_the_other(before: Any, now: Any) -> None:
    pen = Pen(ColorSystem.TRUECOLOR)
    old, new = pen.row(strip(before, 30), 30), pen.row(strip(now, 30), 30)
    assert old is not None
    assert new is not None
    painted = cells_of(old)
    for start, text, ink in differences(old, new):
        painted[start : start + len(text)] = [(char, ink) for char in text]
    assert painted == cells_of(new)


@given(PIECES)
def test_the_pen_needs_no_more_than_the_codes_it_sends(pieces: Any) -> None:
    pen, stock, tidy = Pen(ColorSystem.TRUECOLOR), pyte.Screen(30, 1), pyte.Screen(30, 1)
    row = pen.row(strip(pieces, 30), 30)
    assert row is not None
    pen.whole(0, 0, row)
    pyte.Stream(tidy).feed(pen.finish())
    drawn = "".join(
        Strip.render_style(style, text, ColorSystem.TRUECOLOR) if style else text
        for text, style, _ in strip(pieces, 30)
    )
    pyte.Stream(stock).feed(drawn)
    assert cells(tidy) == cells(stock)


def cells_of(row: Row) -> list[tuple[str, Ink]]:
    painted, start = [], 0
    for end, ink in zip(row.ends, row.inks, strict=True):
        painted += [(char, ink) for char in row.text[start:end]]
        start = end
    return painted
