"""The exact size of what is wasted in a table or an index: first what looking costs, then the look."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from console.engine.port import Engine
from console.errors import DbdeckError
from console.present import measurement as words
from console.tui.hints import hint

_LEAVES = "{measure.close} leaves"


class MeasureScreen(ModalScreen[None]):
    """Enter measures, once the cost is shown; Esc leaves, and ends a look that is under way."""

    DEFAULT_CSS = """
    MeasureScreen { align: center middle; }
    MeasureScreen > Vertical { width: 96%; max-width: 100; height: auto; max-height: 90%;
                               border: thick $primary; background: $surface; padding: 0 1; }
    MeasureScreen .foot { color: $foreground-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "measure", "Measure", id="measure.go"),
        Binding("escape,q", "leave", "Close", id="measure.close"),
    ]

    def __init__(self, engine: Engine, schema: str, name: str) -> None:
        super().__init__()
        self._engine = engine
        self._subject = schema, name
        self._ready = False

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "measure"
            yield Static("asking what it would cost …", id="measure", markup=False)
            yield Static(hint(self, _LEAVES), classes="foot", id="measure-foot", markup=False)

    def on_mount(self) -> None:
        self._cost()

    @work(exclusive=True)
    async def _cost(self) -> None:
        try:
            found = await self._engine.measurement(self._subject[0], self._subject[1])
        except DbdeckError as error:
            self._say(f"{error.message}\n{error.hint}", _LEAVES)
            return
        self._ready = not found.refusal
        self._say(
            "\n".join(words.cost(found)),
            "{measure.go} measures, {measure.close} leaves" if self._ready else _LEAVES,
        )

    def action_measure(self) -> None:
        if self._ready:
            self._ready = False
            self._look()

    @work(exclusive=True)
    async def _look(self) -> None:
        self._say("reading it …", "{measure.close} ends it")
        try:
            found = await self._engine.measure(self._subject[0], self._subject[1])
        except DbdeckError as error:
            self._say(f"not measured: {error.message}\n{error.hint}", _LEAVES)
            return
        self._say("\n".join(words.result(found)), _LEAVES)

    def _say(self, text: str, foot: str) -> None:
        self.query_one("#measure", Static).update(text)
        self.query_one("#measure-foot", Static).update(hint(self, foot))

    def action_leave(self) -> None:
        self.dismiss(None)
