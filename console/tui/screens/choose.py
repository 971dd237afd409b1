"""Choose a target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from console.model.target import Target
from console.present.table import Column, Line
from console.tui.widgets.grid import Grid

_COLUMNS = (
    Column(title="target", width=20),
    Column(title="environment", width=11),
    Column(title="engine", width=9),
    Column(title="address", width=20, grow=True),
)


class ChooseTarget(ModalScreen[str | None]):
    """Dismissed with the target's name, or None."""

    DEFAULT_CSS = """
    ChooseTarget { align: center middle; }
    ChooseTarget > Vertical { width: 76; max-width: 96%; height: 70%;
                              border: thick $primary; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "leave", "Close", id="choose.close")]

    def __init__(self, targets: Sequence[Target]) -> None:
        super().__init__()
        self._targets = targets

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "targets"
            yield Grid(empty="The config has no targets.")

    def on_mount(self) -> None:
        grid = self.query_one(Grid)
        lines = [
            Line(key=one.name, cells=(one.name, one.environment, one.engine, one.address))
            for one in self._targets
        ]
        grid.set_table(_COLUMNS, lines)
        grid.focus()

    def on_grid_selected(self, event: Grid.Selected) -> None:
        self.dismiss(event.key)

    def action_leave(self) -> None:
        self.dismiss(None)
