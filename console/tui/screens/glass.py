"""The ledger is out of reach and somebody wants to act: look only, wait, or break the glass."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import ClassVar, Literal

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from console.errors import DbdeckError
from console.model.policy import BreakGlass
from console.present.units import clean
from console.tui.hints import hint
from console.tui.typed_ahead import given_at

Chosen = Literal["look", "back", "broken"]
LOOK_SECONDS = 0.5
_CHOICES = """\
  r  look only: everything can be read, nothing is executed
  w  wait: {action} goes on as soon as the ledger answers
"""
_RISK = """\
It is recorded in a journal on this machine alone, merged later, and reviewed by somebody else."""


class GlassScreen(ModalScreen[Chosen]):
    """`may` is the entry of the policy, or why nobody may; `break_it` raises DbdeckError, the glass whole."""

    DEFAULT_CSS = """
    GlassScreen { align: center middle; }
    GlassScreen > Vertical { width: 96%; max-width: 100; height: auto; max-height: 96%;
                             border: thick $error; background: $surface; padding: 0 1; }
    GlassScreen Static { height: auto; }
    GlassScreen Input, GlassScreen Input:focus, GlassScreen Input.-invalid, GlassScreen Input.-invalid:focus {
        border: none; height: 1; background: $panel; padding: 0 1;
    }
    GlassScreen #why { color: $text-error; min-height: 1; }
    GlassScreen .form { display: none; height: auto; margin-top: 1; }
    GlassScreen.asking .form { display: block; }
    """
    AUTO_FOCUS = ""  # letters choose until somebody asks for the fields
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,r", "look", "Look only", id="glass.look"),
        Binding("w", "wait", "Wait for the ledger", id="glass.wait"),
        Binding("b", "ask", "Break the glass", id="glass.ask"),
        Binding("ctrl+s", "go", "Break it now", id="glass.go"),
    ]

    def __init__(
        self,
        about: tuple[str, str, str],
        may: BreakGlass | str,
        answers: Callable[[], bool],
        break_it: Callable[[str, int], Awaitable[None]],
    ) -> None:
        """`about`: the action, the target's name, what the ledger says."""
        super().__init__()
        self._action, self._target, self._problem = about
        self._may = may
        self._answers = answers
        self._break_it = break_it
        self._waits = self._busy = False
        self._shown_at = 0.0

    def compose(self) -> ComposeResult:
        text = Text("The audit ledger is out of reach: nothing was executed.\n", style="bold")
        text.append(f"{clean(self._problem, 400)}\n\n", style="")
        text.append(_CHOICES.format(action=self._action), style="not bold")
        if isinstance(self._may, str):
            text.append(f"  -  break the glass: {clean(self._may, 300)}", style="not bold dim")
        else:
            text.append(f"  b  BREAK THE GLASS on {self._target}: act without the ledger\n", style="bold red")
            text.append(f"     {_RISK}", style="not bold")
        with Vertical():
            yield Static(text, markup=False)
            with Vertical(classes="form"):
                yield Input(placeholder="why (recorded, and read by who reviews it)", id="reason")
                yield Input(placeholder=f"type {self._target} to go on", id="name")
                yield Input(id="minutes", type="integer")
            yield Static("", id="why", markup=False)

    def on_mount(self) -> None:
        self._shown_at = time.monotonic()
        for entry in self.query(Input):
            entry.cursor_blink = False
        if not isinstance(self._may, str):
            self.query_one("#minutes", Input).value = str(self._may.minutes)
        self.set_interval(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        if self._waits and self._answers():
            self.dismiss("back")

    def action_look(self) -> None:
        if self._busy:
            self._tell("asking the ledger once more …; then this can be left")
        else:
            self.dismiss("look")

    def action_wait(self) -> None:
        if self._busy:
            return
        self._waits = True
        self._tell(hint(self, "waiting for the ledger …; {glass.look}: do not wait"))

    def action_ask(self) -> None:
        if isinstance(self._may, str):
            self._tell(self._may)
            return
        self._waits = False
        self.add_class("asking")
        self._tell(
            hint(
                self,
                f"minutes: {self._may.minutes} at most; Enter on the last line, or {{glass.go}}, breaks it",
            )
        )
        self.query_one("#reason", Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        after = {"reason": "#name", "name": "#minutes"}.get(event.input.id or "")
        if after and event.value.strip():
            self.query_one(after, Input).focus()
        else:
            self.action_go()

    def action_go(self) -> None:
        if isinstance(self._may, str) or not self.has_class("asking") or self._busy:
            return
        reason, name, minutes = (
            self.query_one(one, Input).value.strip() for one in ("#reason", "#name", "#minutes")
        )
        longest = self._may.minutes
        if given_at(self.app) < self._shown_at:
            self._tell("this came after that key: read it, then press it again")
        elif not reason:
            self._refuse("a reason is needed: it goes into the journal", "#reason")
        elif name != self._target:
            self._refuse(f"type the target's name, {self._target}", "#name")
        elif not minutes.isdecimal() or not 1 <= int(minutes) <= longest:
            self._refuse(f"minutes: 1 to {longest}", "#minutes")
        else:
            self._go(reason, int(minutes))

    @work(exclusive=True, group="glass")
    async def _go(self, reason: str, minutes: int) -> None:
        self._busy = True
        self._tell("asking the ledger once more …")
        try:
            await self._break_it(reason, minutes)
        except DbdeckError as error:
            self._busy = False
            self._tell(clean(f"{error.message}. {error.hint}", 600))
        else:
            self.dismiss("broken")

    def _refuse(self, why: str, field: str) -> None:
        self._tell(why)
        self.query_one(field, Input).focus()

    def _tell(self, text: str) -> None:
        self.query_one("#why", Static).update(text)
