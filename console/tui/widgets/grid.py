"""The one table of the console: every pane shows its rows in a Grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.events import Click, Key, Resize
from textual.message import Message

from console.present.table import Column, Line
from console.present.units import cell_width
from console.tui.widgets.columns import GAP
from console.tui.widgets.sheet import GUTTER, HEADER, Sheet

_STEP: Final = 10  # cells a statement moves sideways


class Grid(Sheet, can_focus=True):
    """A table whose cursor stays on its line's key, whatever a refresh does to the lines around it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="grid.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="grid.down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="grid.page-up"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id="grid.page-down"),
        Binding("home,g", "first", "First line", show=False, id="grid.first"),
        Binding("end,G", "last", "Last line", show=False, id="grid.last"),
        Binding("left", "shift(-1)", "Less of a long text", show=False, id="grid.left"),
        Binding("right", "shift(1)", "More of a long text", show=False, id="grid.right"),
        Binding("enter", "select", "Select", show=False, id="grid.select"),
    ]

    class Highlighted(Message):
        """The cursor is on another line now; `key` is None when there are no lines."""

        def __init__(self, grid: Grid, key: str | None) -> None:
            """Say where the cursor went."""
            super().__init__()
            self.grid = grid
            self.key = key

        @property
        def control(self) -> Grid:
            """The grid, for `@on` with a selector."""
            return self.grid

        def can_replace(self, message: Message) -> bool:
            """Let a held-down arrow key cost one update, not one for each line passed."""
            return isinstance(message, Grid.Highlighted) and message.grid is self.grid

    class Selected(Message):
        """Enter or a double click on a line."""

        def __init__(self, grid: Grid, key: str) -> None:
            """Say which line it was."""
            super().__init__()
            self.grid = grid
            self.key = key

        @property
        def control(self) -> Grid:
            """The grid, for `@on` with a selector."""
            return self.grid

    class HeaderClicked(Message):
        """A click on the title of a column, which is at this place among all columns."""

        def __init__(self, grid: Grid, place: int) -> None:
            """Say which column it was."""
            super().__init__()
            self.grid = grid
            self.place = place

        @property
        def control(self) -> Grid:
            """The grid, for `@on` with a selector."""
            return self.grid

    def __init__(self, *, id: str | None = None, empty: str = "") -> None:  # noqa: A002 - Textual's name
        """Make an empty table; `empty` is what to say while it has no lines."""
        super().__init__(id=id, empty=empty)
        self._key: str | None = None

    @property
    def key(self) -> str | None:
        """The key of the line under the cursor."""
        return self._key

    @property
    def place(self) -> int:
        """Of the line under the cursor, among all lines."""
        return self._marked

    @property
    def line(self) -> Line | None:
        """The line under the cursor."""
        return self._lines[self._marked] if self._lines else None

    def set_table(self, columns: Sequence[Column], lines: Sequence[Line]) -> None:
        """Show these lines; the cursor stays on its key, or at its place when the key is gone."""
        followed = self._in_view(self._marked)
        self._show(columns, lines, _place_of(self._key, lines, self._marked))
        if followed:
            self._reveal()
        self._announce()

    def move_to(self, key: str) -> bool:
        """Put the cursor on a line; False when there is none with this key."""
        place = _place_of(key, self._lines, self._marked)
        found = bool(self._lines) and self._lines[place].key == key
        if found:
            self._go(place)
        return found

    def _announce(self) -> None:
        line = self.line
        key = line.key if line else None
        if key != self._key:
            self._key = key
            self.post_message(self.Highlighted(self, key))

    def _go(self, index: int) -> None:
        if not self._lines:
            return
        self._mark(max(0, min(index, len(self._lines) - 1)))
        self._reveal()
        self._announce()

    def _in_view(self, index: int) -> bool:
        top, bottom = self._window()
        return top <= index < bottom

    def _reveal(self) -> None:
        top, bottom = self._window()
        if self._marked < top:
            self.scroll_to(y=self._marked, animate=False, force=True)
        elif self._marked >= bottom > top:
            self.scroll_to(y=self._marked - (bottom - top) + 1, animate=False, force=True)

    def on_resize(self, _: Resize) -> None:
        """Keep the cursor on a smaller screen."""
        self._reveal()

    def on_click(self, event: Click) -> None:
        """Put the cursor where the mouse is; the second click of two selects."""
        place = event.get_content_offset(self)
        if place is None:
            return
        if place.y < HEADER:
            column = self._column_at(place.x)
            if column is not None:
                self.post_message(self.HeaderClicked(self, column))
            return
        index = place.y - HEADER + self.scroll_offset.y
        if index < len(self._lines):
            self._go(index)
            if event.chain == 2:
                self.action_select()

    def _column_at(self, x: int) -> int | None:
        """The place of the column whose title, or the gap behind it, is there; one without a title belongs to
        the one before it.
        """
        edge, found = GUTTER, None
        for slot in self._slots:
            found = slot.at if slot.column.title or found is None else found
            edge += slot.width + GAP
            if x < edge:
                return found
        return None

    # Keys.

    async def on_key(self, event: Key) -> None:
        """Do what is bound here at once: Textual does it in the app, to which a key goes by the queues of all
        parts of the screen above.
        """
        node, bindings = self.screen._modal_binding_chain[0]  # noqa: SLF001 - with the keys that were changed
        for binding in bindings.key_to_bindings.get(event.key, ()) if node is self else ():
            if not binding.priority and await self.app.run_action(binding.action, self):
                event.stop()
                return

    def action_move(self, rows: int) -> None:
        """Move the cursor by some lines."""
        self._go(self._marked + rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by a screen."""
        self._go(self._marked + pages * max(1, self.size.height - HEADER))

    def action_first(self) -> None:
        """Go to the first line."""
        self._go(0)

    def action_last(self) -> None:
        """Go to the last line."""
        self._go(len(self._lines) - 1)

    def action_shift(self, steps: int) -> None:
        """Move the growing column's text sideways, no further than the longest one on the screen."""
        slot = next((slot for slot in self._slots if slot.column.grow), None)
        if slot is None:
            return
        top, bottom = self._window()
        texts = (line.cells[slot.at] for line in self._lines[top:bottom] if slot.at < len(line.cells))
        furthest = max((cell_width(text) - slot.width for text in texts), default=0)
        shift = max(0, min(self._shift + steps * _STEP, furthest))
        if shift != self._shift:
            self._shift = shift
            self._redraw()

    def action_select(self) -> None:
        """Act on the line under the cursor."""
        if self._key is not None:
            self.post_message(self.Selected(self, self._key))


def _place_of(key: str | None, lines: Sequence[Line], near: int) -> int:
    """Find a key, nearest to where it was if several lines carry it; else stay where we are."""
    near = max(0, min(near, len(lines) - 1))
    if not lines or lines[near].key == key:
        return near
    places = (index for index, line in enumerate(lines) if line.key == key)
    return min(places, key=lambda index: abs(index - near), default=near)
