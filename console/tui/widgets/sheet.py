"""Draws a table's lines on Textual's line API, and again only those that changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.present.table import Column, Line, Tone
from console.present.units import clean, is_narrow
from console.tui.widgets.columns import Run, Slot, fit, runs, titles
from console.tui.widgets.plain_text import is_plain

HEADER: Final = 1
_MARK: Final = "► "  # in code page 437 and never an emoji, so every terminal draws it one cell wide
_BLANK: Final = "  "
GUTTER: Final = len(_MARK)
_KEPT_STRIPS: Final = 512


class Sheet(ScrollView, inherit_bindings=False):
    """A header and lines of which one is marked; what the mark means is the subclass's business.

    `empty` is what to say when there are no lines; `stale` mutes them all, so that old figures
    cannot be mistaken for fresh ones.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"sheet--{tone}" for tone in Tone),
        "sheet--header",
        "sheet--stale",
        "sheet--cursor",
        "sheet--cursor-blurred",
    }
    DEFAULT_CSS = """
    Sheet {
        height: 1fr;
        background: $background;
        color: $foreground;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size-vertical: 1;
        & > .sheet--header { background: $panel; color: $foreground; text-style: bold; }
        & > .sheet--normal { color: $foreground; }
        & > .sheet--muted { color: $foreground-muted; }
        & > .sheet--good { color: $text-success; }
        & > .sheet--notice { color: $text-accent; }
        & > .sheet--warn { color: $text-warning; }
        & > .sheet--bad { color: $text-error; text-style: bold; }
        & > .sheet--stale { color: $foreground-muted; }
        & > .sheet--cursor {
            background: $block-cursor-background;
            color: $block-cursor-foreground;
            text-style: $block-cursor-text-style;
        }
        & > .sheet--cursor-blurred {
            background: $block-cursor-blurred-background;
            color: $block-cursor-blurred-foreground;
        }
        &:ansi > .sheet--muted, &:ansi > .sheet--stale, &:nocolor > .sheet--stale { text-style: dim; }
        &:nocolor > .sheet--cursor { text-style: bold reverse; }
    }
    """

    empty: reactive[str] = reactive("")
    stale: reactive[bool] = reactive(False)

    def __init__(self, *, id: str | None = None, empty: str = "") -> None:  # noqa: A002 - Textual's name
        """Make an empty table."""
        super().__init__(id=id)
        self.set_reactive(Sheet.empty, empty)
        self._columns: tuple[Column, ...] = ()
        self._lines: Sequence[Line] = ()
        self._marked = 0
        self._shift = 0
        self._slots: tuple[Slot, ...] = ()
        self._slots_width = -1
        self._strips: dict[int, Strip] = {}
        self._inks: dict[tuple[str, bool, bool], Style] = {}

    def _show(self, columns: Sequence[Column], lines: Sequence[Line], marked: int) -> None:
        """Take new content, and draw what of it differs on the screen."""
        before, moved = self._lines, {self._marked} ^ {marked}
        self._lines, self._marked = lines, marked
        if self._columns != tuple(columns):
            self._columns, self._shift, self._slots_width = tuple(columns), 0, -1
            self._redraw()
        if len(before) != len(self._lines):
            self._measure()
        if bool(before) != bool(self._lines):
            self._redraw()
        self._repaint(self._changed(before, moved))

    def _mark(self, index: int) -> None:
        """Mark another line."""
        before, self._marked = self._marked, index
        if before != index:
            self._repaint((before, index))

    def _measure(self) -> None:
        # Not by assignment, which would lay out the whole screen for every session that comes or goes.
        self.set_reactive(Sheet.virtual_size, Size(0, len(self._lines) + HEADER))
        self._scroll_update(self.virtual_size)

    def _changed(self, before: Sequence[Line], suspects: set[int]) -> list[int]:
        """List the lines on the screen that are not what they were."""
        top, bottom = self._window()
        self._strips = {i: strip for i, strip in self._strips.items() if top <= i < bottom}
        now = self._lines
        both = min(len(before), len(now))
        return [
            index
            for index in range(top, min(bottom, max(len(before), len(now))))
            if index >= both or index in suspects or before[index] != now[index]
        ]

    @property
    def _width(self) -> int:
        """The cells beside the scroll bar, which takes its own from our size."""
        return self.size.width - self.scrollbar_size_vertical

    def _window(self) -> tuple[int, int]:
        """The lines on the screen: the first, and the one after the last."""
        top = self.scroll_offset.y
        return top, top + max(0, self.size.height - HEADER)

    def _repaint(self, indices: Iterable[int]) -> None:
        top, bottom = self._window()
        width = self._width
        regions = []
        for index in indices:
            self._strips.pop(index, None)
            if top <= index < bottom:
                regions.append(Region(0, index - top + HEADER, width, 1))
        if regions:
            self.refresh(*regions)

    def _redraw(self) -> None:
        self._strips.clear()
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Skip Textual's styles cache, which would keep and compare every line once more."""
        if not is_plain(self):
            return super().render_lines(crop)
        width = self._fitted()
        strips = [self._line(y) for y in range(crop.y, crop.bottom)]
        if crop.x == 0 and crop.right >= width:
            return strips
        return [strip.crop(crop.x, crop.right) for strip in strips]

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen: the header, a line of the table, or nothing."""
        self._fitted()
        return self._line(y)

    def _fitted(self) -> int:
        """The width, once for all lines: Textual works it out from the boxes around at each question."""
        width = self._width
        if width != self._slots_width:
            self._slots, self._slots_width = fit(self._columns, width - GUTTER), width
            self._strips.clear()
        return width

    def _line(self, y: int) -> Strip:
        index = y - HEADER + self.scroll_offset.y
        if y < HEADER:
            return self._strip([Run("header", _BLANK + titles(self._slots, self._shift))])
        if index >= len(self._lines):
            return self._strip([Run(Tone.MUTED, self._empty_text(y))])
        if (strip := self._strips.get(index)) is None:
            if len(self._strips) >= _KEPT_STRIPS:
                self._strips.clear()
            strip = self._strips[index] = self._draw(index)
        return strip

    def _draw(self, index: int) -> Strip:
        line, current = self._lines[index], index == self._marked
        mark = Run(line.tone, _MARK if current else _BLANK)
        return self._strip([mark, *runs(line, self._slots, self._shift)], current)

    def _strip(self, drawn: Sequence[Run], current: bool = False) -> Strip:
        """Paint runs, and make them as wide as the widget is."""
        segments = [Segment(text, self._ink(name, current)) for name, text in drawn if text]
        text = "".join(run.text for run in drawn)
        # Rich would measure character by character what we know the width of.
        strip = Strip(segments, len(text) if is_narrow(text) else None)
        return strip.adjust_cell_length(self._slots_width, self._ink(drawn[0].tone, current))

    def _empty_text(self, y: int) -> str:
        if self._lines or not self.empty:
            return " "
        rows = wrap(clean(self.empty), max(1, self._slots_width - 2 * GUTTER))
        row = y - HEADER - 1
        return _BLANK + rows[row] if 0 <= row < len(rows) else " "

    def _ink(self, name: str, current: bool) -> Style:
        """Look a style up; resolving one costs far more than drawing a line with it."""
        key = name, current, current and self.has_focus
        ink = self._inks.get(key)
        if ink is None:
            ink = self._inks[key] = self._resolve(name, current)
        return ink

    def _resolve(self, name: str, current: bool) -> Style:
        faded = self.stale and name != "header"
        style = self.get_component_rich_style("sheet--stale" if faded else f"sheet--{name}")
        if current:
            bright = self.has_focus and not self.stale
            cursor = "sheet--cursor" if bright else "sheet--cursor-blurred"
            style += self.get_component_rich_style(cursor)
        # Filters (NO_COLOR, ANSI to RGB) depend on nothing but the style: once here, never per line.
        background = self.background_colors[1]
        for line_filter in self.get_line_filters():
            style = line_filter.apply([Segment("x", style)], background)[0].style or style
        return style

    def notify_style_update(self) -> None:
        """Forget what was drawn in another theme."""
        super().notify_style_update()
        self._inks.clear()
        self._strips.clear()

    def watch_stale(self) -> None:
        """Draw everything in the other tone."""
        self._inks.clear()
        self._strips.clear()

    def watch_has_focus(self, _has_focus: bool) -> None:
        """Show by the cursor where the keys go.

        Not by Textual's own watcher: it would match all rules again for this widget and for each of its
        components, of which none depends on the focus. Half a change of views was spent there.
        """
        self._repaint((self._marked,))
