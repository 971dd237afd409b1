"""Before a run: its whole tree with what is known now, and the key that starts it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from console.errors import DbdeckError
from console.present import runs as words
from console.present.plan import Said
from console.present.table import Tone
from console.present.units import clean
from console.runbook.events import Started
from console.runbook.outline import Line
from console.tui.hints import hint
from console.tui.screens.confirm import drawn
from console.tui.typed_ahead import given_at

Planned = tuple[Started, Sequence[Line]]


class RunPlanScreen(ModalScreen[Started | None]):
    """Opens while the tree is being made; dismissed with what the run begins with, or None.

    What speaks against the run is shown here, with what to do about it.
    """

    DEFAULT_CSS = """
    RunPlanScreen { align: center middle; }
    RunPlanScreen > Vertical { width: 98%; height: 98%; border: thick $warning; background: $surface;
                               padding: 0 1; }
    RunPlanScreen VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    RunPlanScreen .foot { height: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Start nothing", id="run-plan.leave"),
        Binding("s,ctrl+s", "start", "Start the run", id="run-plan.start"),
    ]

    def __init__(self, name: str, head: Said, planning: asyncio.Task[Planned]) -> None:
        super().__init__()
        self._name = name
        self._head = head
        self._planning = planning
        self._begins: Started | None = None
        self._shown_at = 0.0

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = f"{self._name}: the plan; nothing is done yet"
            with VerticalScroll() as scroll:
                scroll.focus()
                yield Static("looking, planning …", id="run-tree", markup=False)
            yield Static(hint(self, "{run-plan.leave} leaves"), id="run-foot", classes="foot", markup=False)

    def on_mount(self) -> None:
        self._await_plan()

    @work
    async def _await_plan(self) -> None:
        await asyncio.wait([self._planning])
        if not self.is_attached or self._planning.cancelled():
            return
        error = self._planning.exception()
        if isinstance(error, DbdeckError):
            self._show_failure(error)
        elif error is not None:
            raise error
        else:
            self._show(*self._planning.result())

    def _show_failure(self, error: DbdeckError) -> None:
        said: Said = [(Tone.BAD, clean(error.message, 2000))]
        said += [(Tone.NOTICE, clean(error.hint, 2000))] if error.hint else []
        self.query_one("#run-tree", Static).update(drawn([*self._head, *said]))
        self.query_one("#run-foot", Static).update(
            hint(self, "nothing can be started so; {run-plan.leave} leaves")
        )

    def _show(self, begins: Started, lines: Sequence[Line]) -> None:
        self._begins, self._shown_at = begins, time.monotonic()
        self.query_one("#run-tree", Static).update(drawn([*self._head, *words.tree(lines)]))
        self.query_one("#run-foot", Static).update(
            hint(
                self,
                "{run-plan.start} starts it; each action asks again before it is done.  ↑ ↓ PgDn: read on; "
                "{run-plan.leave} leaves",
            )
        )

    def action_start(self) -> None:
        """Not by a key that was typed before the plan was there to be read."""
        if self._begins is None:
            return
        if given_at(self.app) < self._shown_at:
            said = (
                "the plan came after that key: read it; {run-plan.start} starts it, {run-plan.leave} leaves"
            )
            self.query_one("#run-foot", Static).update(hint(self, said))
        else:
            self.dismiss(self._begins)

    def action_leave(self) -> None:
        self.dismiss(None)
