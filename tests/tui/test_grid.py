from __future__ import annotations

from collections.abc import Iterable

import pytest
from rich.cells import cell_len
from rich.color import ColorSystem
from textual.app import App, ComposeResult
from textual.events import Key
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets import Input

from console.present.table import Column, Line, Tone
from console.present.units import is_narrow
from console.tui.shadow import Ink, ink_of
from console.tui.widgets.columns import fit
from console.tui.widgets.grid import Grid
from tests.tui.stage import until

COLUMNS = (
    Column(title="pid", width=6, align="right"),
    Column(title="age", width=6, align="right", drop=1),
    Column(title="user", width=12, drop=2),
    Column(title="application", width=20, drop=3),
    Column(title="statement", width=20, grow=True),
)


def lines(*pids: int, statement: str = "select 1") -> list[Line]:
    return [Line(key=str(pid), cells=(str(pid), "3s", "shop", "checkout", statement)) for pid in pids]


class Desk(App[None]):
    ENABLE_COMMAND_PALETTE = False

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str | None] = []
        self.chosen: list[str] = []
        self.keys: list[str] = []

    def compose(self) -> ComposeResult:
        yield Grid(id="grid", empty="No session waits on a lock.")
        yield Input()

    def on_mount(self) -> None:
        self.grid.focus()

    @property
    def grid(self) -> Grid:
        return self.query_one(Grid)

    def on_key(self, event: Key) -> None:
        self.keys.append(event.key)

    def on_grid_highlighted(self, event: Grid.Highlighted) -> None:
        self.seen.append(event.key)

    def on_grid_selected(self, event: Grid.Selected) -> None:
        self.chosen.append(event.key)


def shown(grid: Grid) -> list[str]:
    """What the grid draws, line by line."""
    return [strip.text for strip in grid.render_lines(Region(0, 0, grid.size.width, grid.size.height))]


def under_cursor(grid: Grid) -> list[str]:
    return [text for text in shown(grid) if text.startswith("►")]


async def test_the_cursor_stays_on_its_key_when_lines_move() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.set_table(COLUMNS, lines(1, 2, 3))
        await pilot.press("down")
        assert app.grid.key == "2"
        app.grid.set_table(COLUMNS, lines(3, 2, 1, 4))
        assert app.grid.key == "2"
        app.grid.set_table(COLUMNS, lines(9, 8, 7, 2))
        await pilot.pause()
        assert app.grid.key == "2"
        assert app.seen == ["1", "2"]
        assert [text.split()[1] for text in under_cursor(app.grid)] == ["2"]


async def test_what_is_bound_here_is_done_here_and_the_rest_goes_up() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.set_table(COLUMNS, lines(1, 2, 3))
        await pilot.press("down", "down", "k", "z", "enter")
        assert (app.grid.key, app.keys) == ("2", ["z"])
        assert app.chosen == ["2"]


async def test_keys_that_were_changed_are_done_here_too() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.set_keymap({"grid.down": "n"})
        app.grid.set_table(COLUMNS, lines(1, 2, 3))
        await pilot.press("n", "down", "j")
        assert (app.grid.key, app.keys) == ("2", ["down", "j"])


async def test_a_vanished_line_leaves_the_cursor_at_the_nearest_place() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.set_table(COLUMNS, lines(1, 2, 3))
        await pilot.press("G")
        app.grid.set_table(COLUMNS, lines(1, 2))
        assert app.grid.key == "2"
        app.grid.set_table(COLUMNS, [])
        await pilot.pause()
        assert app.grid.key is None
        assert app.grid.line is None
        assert app.seen[-1] is None


async def test_a_line_followed_stays_on_the_screen_and_a_scroll_stays_otherwise() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.set_table(COLUMNS, lines(*range(200)))
        app.grid.set_table(COLUMNS, [*lines(*range(1000, 1100)), *lines(*range(200))])
        await pilot.pause()
        assert app.grid.key == "0"
        assert len(under_cursor(app.grid)) == 1
        app.grid.scroll_to(y=5, animate=False)
        app.grid.set_table(COLUMNS, lines(*range(300)))
        await pilot.pause()
        assert app.grid.scroll_offset.y == 5


async def test_a_shorter_table_is_not_scrolled_past_its_end() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.set_table(COLUMNS, lines(*range(500)))
        await pilot.press("end")
        await pilot.pause()
        app.grid.set_table(COLUMNS, lines(1, 2, 3))
        await pilot.pause()
        assert app.grid.scroll_offset.y == 0
        assert len(under_cursor(app.grid)) == 1


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
@pytest.mark.parametrize(
    ("keys", "key"),
    [
        (["down", "j", "k"], "1"),
        (["up"], "0"),
        (["end"], "99"),
        (["G"], "99"),
        (["G", "g"], "0"),
        (["end", "home"], "0"),
        (["G", "down"], "99"),
        (["pagedown", "pageup"], "0"),
    ],
)
async def test_keys_move_the_cursor_and_it_stays_visible(
    size: tuple[int, int], keys: list[str], key: str
) -> None:
    app = Desk()
    async with app.run_test(size=size) as pilot:
        app.grid.set_table(COLUMNS, lines(*range(100)))
        await pilot.press(*keys)
        assert app.grid.key == key
        assert len(under_cursor(app.grid)) == 1


async def test_page_down_moves_by_a_screen() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.set_table(COLUMNS, lines(*range(100)))
        await pilot.pause()
        await pilot.press("pagedown")
        assert app.grid.key == str(app.grid.size.height - 1)


async def test_enter_and_double_click_select_and_a_click_moves() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.set_table(COLUMNS, lines(1, 2, 3))
        await pilot.pause()
        await pilot.press("enter")
        await pilot.click(Grid, offset=(10, 2))
        assert app.grid.key == "2"
        await pilot.double_click(Grid, offset=(10, 3))
        await pilot.click(Grid, offset=(10, 0))
        await pilot.click(Grid, offset=(10, 15))
        await pilot.pause()
        assert app.chosen == ["1", "3"]
        assert app.grid.key == "3"


async def test_a_click_in_a_scrolled_table_hits_the_line_under_the_mouse() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.set_table(COLUMNS, lines(*range(100)))
        await pilot.pause()
        app.grid.scroll_to(y=30, animate=False)
        await pilot.pause()
        await pilot.click(Grid, offset=(5, 1))
        assert app.grid.key == "30"


async def test_the_scroll_bar_hides_no_text() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.set_table(COLUMNS, lines(*range(100), statement="x" * 200))
        await pilot.pause()
        assert {len(text) for text in shown(app.grid)} == {79}
        assert shown(app.grid)[1].endswith("…")
        app.grid.set_table(COLUMNS, lines(1))
        await pilot.pause()
        assert {len(text) for text in shown(app.grid)} == {80}


async def test_the_wheel_scrolls_and_leaves_the_cursor() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.set_table(COLUMNS, lines(*range(100)))
        await pilot.pause()
        app.grid.scroll_down(animate=False)
        await pilot.pause()
        assert app.grid.key == "0"
        assert under_cursor(app.grid) == []
        assert shown(app.grid)[0].split()[0] == "pid"


async def test_columns_go_by_rank_when_the_terminal_is_narrow() -> None:
    for width, titles in {
        160: ["pid", "age", "user", "application", "statement"],
        60: ["pid", "age", "user", "statement"],
        40: ["pid", "age", "statement"],
        30: ["pid", "statement"],
    }.items():
        app = Desk()
        async with app.run_test(size=(width, 24)) as pilot:
            app.grid.set_table(COLUMNS, lines(1))
            await pilot.pause()
            assert shown(app.grid)[0].split() == titles
            assert {len(text) for text in shown(app.grid)} == {width}
            await pilot.resize_terminal(160, 50)
            await until(pilot, lambda: len(shown(app.grid)[0].split()) == 5)  # noqa: B023 - awaited here


@pytest.mark.parametrize("width", range(0, 120, 7))
def test_fitted_columns_fill_the_width_exactly_where_they_can(width: int) -> None:
    slots = fit(COLUMNS, width)
    used = sum(slot.width + 1 for slot in slots) - 1
    assert slots[0].at == 0
    assert used == max(width, 6 + 1 + 1)


async def test_arrows_read_along_a_statement() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.set_table(COLUMNS, lines(1, statement="0123456789" * 5 + "end"))
        await pilot.pause()
        assert "end" not in shown(app.grid)[1]
        await pilot.press("right", "right", "right", "right", "right", "right")
        assert shown(app.grid)[1].rstrip().endswith("end")
        assert "statement +" in shown(app.grid)[0]
        assert shown(app.grid)[1].startswith("►      1 ")
        await pilot.press("left", "left", "left", "left", "left", "left")
        assert " 0123456789" in shown(app.grid)[1]


async def test_an_empty_table_says_why() -> None:
    app = Desk()
    async with app.run_test(size=(30, 24)) as pilot:
        app.grid.set_table(COLUMNS, [])
        await pilot.pause()
        assert " ".join(" ".join(shown(app.grid)[1:]).split()) == "No session waits on a lock."
        app.grid.empty = "[b]Nothing[/b]"
        assert "[b]Nothing[/b]" in "".join(shown(app.grid))
        app.grid.set_table(COLUMNS, lines(1))
        assert "Nothing" not in "".join(shown(app.grid))


async def test_markup_and_escapes_are_only_text() -> None:
    app = Desk()
    async with app.run_test(size=(120, 24)) as pilot:
        for text, drawn in (
            ("[red]x[/]", "[red]x[/]"),
            ("a\x1b[31mb\x1b]0;title\x07", "a␛[31mb␛]0;title␇"),
            ("pay\u202eroll", "pay\ufffdroll"),
            ("select\r\n  1", "select 1"),
        ):
            app.grid.set_table(COLUMNS, lines(1, statement=text))
            await pilot.pause()
            assert drawn in shown(app.grid)[1]


def test_rich_agrees_on_what_is_narrow() -> None:
    narrow = [chr(code) for code in range(0x10000) if is_narrow(chr(code))]
    assert len(narrow) > 1000
    assert {cell_len(char) for char in narrow} == {1}


async def test_wide_characters_and_huge_statements_keep_the_columns() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.set_table(COLUMNS, [*lines(1, statement="漢" * 99), *lines(2, statement="x" * 100_000)])
        await pilot.pause()
        strips = app.grid.render_lines(Region(0, 0, 80, app.grid.size.height))
        assert {strip.cell_length for strip in strips} == {80}


def inks(grid: Grid, y: int) -> set[Ink]:
    """What one line is drawn with on a terminal of 16 colours."""
    strip = grid.render_lines(Region(0, y, grid.size.width, 1))[0]
    return {ink_of(style, ColorSystem.STANDARD) for _, style, _ in strip if style}


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "ansi-dark", "ansi-light", "nord"])
@pytest.mark.parametrize("no_color", [False, True])
async def test_the_cursor_shows_in_16_colours_and_in_none(
    theme: str, no_color: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    app = Desk()
    app.theme = theme
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.set_table(COLUMNS, lines(1, 2))
        await pilot.pause()
        assert shown(app.grid)[1].startswith("► ")
        assert shown(app.grid)[2].startswith("  ")
        assert inks(app.grid, 1) != inks(app.grid, 2)


async def test_a_theme_change_recolours_the_lines() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.set_table(COLUMNS, lines(1, 2))
        await pilot.pause()
        dark = app.grid.render_lines(Region(0, 2, 80, 1))[0]
        app.theme = "textual-light"
        await pilot.pause()
        assert app.grid.render_lines(Region(0, 2, 80, 1))[0] != dark


async def test_tones_colour_lines_and_cells_until_the_data_is_stale() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        cells = ("1", "3s", "shop", "checkout", "select 1")
        app.grid.set_table(
            COLUMNS,
            [
                Line(key="0", cells=cells),
                Line(key="1", cells=cells),
                Line(key="2", cells=cells, tone=Tone.BAD),
                Line(key="3", cells=cells, tones={1: Tone.WARN}),
            ],
        )
        await pilot.pause()
        plain, bad, mixed = (inks(app.grid, y) for y in (2, 3, 4))
        assert not plain & bad
        assert plain < mixed
        app.grid.stale = True
        await pilot.pause()
        assert inks(app.grid, 2) == inks(app.grid, 3) == inks(app.grid, 4) != plain


async def test_a_lost_focus_dims_the_cursor_and_keeps_its_mark() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.set_table(COLUMNS, lines(1, 2))
        await pilot.pause()
        focused = inks(app.grid, 1)
        app.query_one(Input).focus()
        await pilot.pause()
        assert inks(app.grid, 1) != focused
        assert len(under_cursor(app.grid)) == 1


async def test_no_style_depends_on_the_focus_that_textual_is_not_asked_about() -> None:
    app = Desk()
    async with app.run_test(size=(60, 8)) as pilot:
        app.grid.set_table(COLUMNS, lines(1, 2, 3))
        for widget in (app.grid, app.query_one(Input)):
            widget.focus()
            await pilot.pause()
            names = sorted(Grid.COMPONENT_CLASSES)
            before = [dict(app.grid.get_component_styles(name).get_rules()) for name in names]
            rules = dict(app.grid.styles.get_rules())
            app.grid.update_node_styles()
            await pilot.pause()
            assert [dict(app.grid.get_component_styles(name).get_rules()) for name in names] == before
            assert dict(app.grid.styles.get_rules()) == rules


async def test_only_lines_that_changed_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.set_table(COLUMNS, lines(*range(5000)))
        await pilot.pause()
        drawn: list[int] = []
        draw = app.grid._draw

        def watched(index: int) -> Strip:
            drawn.append(index)
            return draw(index)

        monkeypatch.setattr(app.grid, "_draw", watched)
        changed = lines(*range(5000))
        for index in (3, 4000):
            changed[index] = Line(key=str(index), cells=("x", "4s", "shop", "checkout", "select 2"))
        app.grid.set_table(COLUMNS, changed)
        await pilot.pause()
        assert drawn == [3]


async def test_a_border_is_drawn_by_textual() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.styles.border = ("round", "red")
        app.grid.set_table(COLUMNS, lines(1, 2))
        await pilot.pause()
        drawn = [strip.text for strip in app.grid.render_lines(app.grid.outer_size.region)]
        assert drawn[0].startswith("╭")
        assert drawn[1].startswith("│     pid")
        assert drawn[2].startswith("│► ")
        await pilot.click(Grid, offset=(5, 3))
        assert app.grid.key == "2"


async def test_move_to_finds_a_key_wherever_it_is() -> None:
    app = Desk()
    async with app.run_test(size=(80, 24)) as pilot:
        app.grid.set_table(COLUMNS, lines(*range(300)))
        await pilot.pause()
        assert app.grid.move_to("250")
        assert not app.grid.move_to("999")
        assert app.grid.key == "250"
        assert len(under_cursor(app.grid)) == 1


async def test_a_table_set_before_mounting_is_shown() -> None:
    class Early(App[None]):
        def compose(self) -> ComposeResult:
            grid = Grid()
            grid.set_table(COLUMNS, lines(*range(50)))
            yield grid

    app = Early()
    async with app.run_test(size=(80, 24)):
        assert texts_of(shown(app.query_one(Grid))[1:4]) == ["0", "1", "2"]


def texts_of(drawn: Iterable[str]) -> list[str]:
    return [text.replace("►", " ").split()[0] for text in drawn]
