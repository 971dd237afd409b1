"""Choose among what is suggested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from console.present.table import Column, Line
from console.present.units import clean
from console.runbook.suggesting import Suggested
from console.tui.hints import hint
from console.tui.widgets.grid import Grid

_COLUMNS = (Column(title="runbook", width=22), Column(title="why", width=30, grow=True))


class ChooseRunbook(ModalScreen[str | None]):
    """Dismissed with the runbook's id, or None."""

    DEFAULT_CSS = """
    ChooseRunbook { align: center middle; }
    ChooseRunbook > Vertical { width: 96%; max-width: 120; height: auto; max-height: 80%;
                               border: thick $primary; background: $surface; padding: 0 1; }
    ChooseRunbook Grid { height: 8; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "leave", "Leave", id="choose-runbook.leave")]

    def __init__(self, found: Sequence[Suggested], text: str = "") -> None:
        super().__init__()
        self._found = found
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "what is seen now" if not self._text else "another run is in the way"
            if self._text:
                yield Static(self._text, markup=False)
            yield Grid()
            yield Static(hint(self, "{grid.select} opens it; {choose-runbook.leave} leaves"), markup=False)

    def on_mount(self) -> None:
        grid = self.query_one(Grid)
        lines = [Line(key=one.runbook, cells=(one.runbook, clean(one.text, 500))) for one in self._found]
        grid.set_table(_COLUMNS, lines)
        grid.focus()

    def on_grid_selected(self, event: Grid.Selected) -> None:
        self.dismiss(event.key)

    def action_leave(self) -> None:
        self.dismiss(None)
