"""Everything that a step saved, in full: one table after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from console.present import evidence
from console.present.evidence import Evidence
from console.tui.hints import hint
from console.tui.screens.text import TextScreen
from console.tui.widgets.bars import Bar
from console.tui.widgets.grid import Grid


class EvidenceScreen(ModalScreen[None]):
    """Enter shows a row with all its fields."""

    DEFAULT_CSS = """
    EvidenceScreen { background: $background; }
    EvidenceScreen Bar { background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Close", id="evidence.close"),
        Binding("right_square_bracket", "table(1)", "Next table", id="evidence.next", key_display="]"),
        Binding("left_square_bracket", "table(-1)", "Table before", id="evidence.previous", key_display="["),
    ]

    def __init__(self, tables: Sequence[Evidence]) -> None:
        super().__init__()
        self._tables = tables
        self._place = 0

    def compose(self) -> ComposeResult:
        yield Bar(id="evidence-head")
        yield Grid(empty="no rows")
        yield Bar(id="evidence-foot")

    def on_mount(self) -> None:
        self.query_one(Grid).focus()
        several = (
            "{evidence.previous} and {evidence.next}: the other tables; " if len(self._tables) > 1 else ""
        )
        self.query_one("#evidence-foot", Bar).say(
            hint(
                self,
                f" {several}{{grid.select}}: a row in full; {{grid.left}} {{grid.right}}: the text sideways; "
                "{evidence.close} closes",
            )
        )
        self.action_table(0)

    def action_table(self, step: int) -> None:
        self._place = (self._place + step) % len(self._tables)
        one = self._tables[self._place]
        place = f" {self._place + 1}/{len(self._tables)}" if len(self._tables) > 1 else ""
        self.query_one("#evidence-head", Bar).say(f"{place} {evidence.heading(one)}")
        self.query_one(Grid).set_table(*evidence.table(one))

    def on_grid_selected(self, event: Grid.Selected) -> None:
        one = self._tables[self._place]
        text = "\n".join(f"{name:<20} {value}" for name, value in evidence.row(one, int(event.key)))
        self.app.push_screen(TextScreen(one.name, Text(text)))

    def action_leave(self) -> None:
        self.dismiss(None)
