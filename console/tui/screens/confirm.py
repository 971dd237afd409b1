"""Before an effect: the exact statement, its forecast, and a reason; nothing runs without them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from console.dispatch.action import Approval, Plan
from console.errors import DbdeckError
from console.present import plan as words
from console.present.plan import Said
from console.present.table import Tone
from console.present.units import clean
from console.tui.hints import hint
from console.tui.typed_ahead import given_at

STYLES = {
    Tone.NORMAL: "",
    Tone.MUTED: "dim",
    Tone.GOOD: "green",
    Tone.NOTICE: "bold",
    Tone.WARN: "yellow",
    Tone.BAD: "bold red",
}


_BESIDE = 7  # lines of the dialog beside the plan: frame, reason, name, why, buttons; one more for a ticket


def drawn(said: Said) -> Text:
    """Lines with their tones; server text in them is literal."""
    text = Text()
    for i, (tone, line) in enumerate(said):
        text.append(("\n" if i else "") + line, style=STYLES[tone])
    return text


def failed(name: str, error: DbdeckError) -> Said:
    """An action that ended before its intent."""
    said = [(Tone.BAD, f"{name}: nothing was executed"), (Tone.BAD, clean(error.message))]
    return [*said, (Tone.NOTICE, clean(error.hint))] if error.hint else said


class ConfirmScreen(ModalScreen[Approval | None]):
    """Opens while the plan is being made, and is dismissed with an approval, or None.

    `must_type` gives the target's name where the plan wants it typed, else nothing. When no plan can be
    made the reason is shown here: a dialog that closed by itself would leave the keys to the pane.
    """

    DEFAULT_CSS = """
    ConfirmScreen { align: center middle; }
    ConfirmScreen > Vertical { width: 96%; max-width: 120; height: auto; max-height: 96%;
                               border: thick $warning; background: $surface; padding: 0 1; }
    ConfirmScreen VerticalScroll { height: auto; max-height: 60vh; scrollbar-size-vertical: 1; }
    ConfirmScreen Input, ConfirmScreen Input:focus {
        border: none; height: 1; background: $panel; padding: 0 1;
    }
    ConfirmScreen #reason { margin-top: 1; }
    ConfirmScreen #why { height: 1; color: $text-error; }
    ConfirmScreen Horizontal { height: 1; align-horizontal: right; }
    ConfirmScreen #more { width: 1fr; color: $foreground-muted; }
    ConfirmScreen Button { margin-left: 2; min-width: 14; height: 1; border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Do nothing", id="confirm.leave"),
        Binding("q", "close", "Close what is refused", show=False, id="confirm.close"),
        Binding("ctrl+s", "go", "Run it", id="confirm.go"),
        Binding("pageup", "scroll(-1)", "Read up", show=False, priority=True, id="confirm.up"),
        Binding("pagedown", "scroll(1)", "Read on", show=False, priority=True, id="confirm.down"),
    ]

    def __init__(
        self, name: str, planning: asyncio.Task[Plan], must_type: Callable[[Plan], str], ticket: str = ""
    ) -> None:
        """`ticket` is the environment that wants one, or empty."""
        super().__init__()
        self._wants_ticket = ticket
        self._action = name
        self._planning = planning
        self._wants = must_type
        self._plan: Plan | None = None
        self._must_type = ""
        self._shown_at = 0.0
        self._lacking = "the plan is not there yet: read it first"

    def compose(self) -> ComposeResult:
        with Vertical():
            with VerticalScroll(can_focus=False):
                yield Static(f"{self._action}: planning …", id="plan", markup=False)
            yield Input(placeholder=f"reason (recorded in the {self._place})", id="reason")
            yield Input(placeholder=f"ticket ({self._wants_ticket} wants one)", id="ticket")
            yield Input(id="confirm")
            yield Static("", id="why", markup=False)
            with Horizontal():
                yield Static("", id="more", markup=False)
                yield Button(hint(self, "{confirm.leave}  do nothing"), id="leave", compact=True)
                yield Button("Enter  run it", id="go", variant="error", compact=True)

    def on_mount(self) -> None:
        for entry in self.query(Input):
            entry.cursor_blink = False
        self.query_one("#ticket", Input).display = bool(self._wants_ticket)
        self.query_one("#confirm", Input).display = False
        self.query_one("#reason", Input).focus()
        self._await_plan()

    def on_resize(self) -> None:
        """The plan gets what the fields and buttons leave of the screen: they are always in view."""
        beside = _BESIDE + bool(self._wants_ticket)
        self.query_one(VerticalScroll).styles.max_height = max(2, self._room * 96 // 100 - beside)
        self.call_after_refresh(self._tell_of_more)

    @property
    def _room(self) -> int:
        """Lines within the frame of a break-glass, which comes when this has been laid out already."""
        return self.app.size.height - (2 if self._broken else 0)

    @property
    def _broken(self) -> bool:
        return self.app.desk.glass.left is not None  # type: ignore[attr-defined]

    @property
    def _place(self) -> str:
        """Where the reason goes: the ledger has it only when somebody merged the journal."""
        return "journal of the break-glass alone" if self._broken else "audit ledger"

    def _tell_of_more(self) -> None:
        more = self.query_one(VerticalScroll).max_scroll_y
        self.query_one("#more", Static).update("PgUp, PgDn: there is more" if more else "")

    @work
    async def _await_plan(self) -> None:
        await asyncio.wait([self._planning])
        if not self.is_attached or self._planning.cancelled():
            return
        self.query_one("#why", Static).update("")
        error = self._planning.exception()
        if isinstance(error, DbdeckError):
            self._show_failure(error)
        elif error is not None:
            raise error
        else:
            self._show_plan(self._planning.result())

    def _show_failure(self, error: DbdeckError) -> None:
        self._lacking = hint(self, "there is no plan: nothing can be run; {confirm.leave} leaves")
        self.query_one("#reason", Input).placeholder = hint(
            self, "no reason is needed: {confirm.leave} leaves"
        )
        self.query_one("#go", Button).display = False
        self.query_one("#plan", Static).update(drawn(failed(self._action, error)))

    def _show_plan(self, plan: Plan) -> None:
        self._plan = plan
        self._must_type = self._wants(plan)
        self.query_one("#plan", Static).update(drawn(words.describe(plan)))
        typed = self.query_one("#confirm", Input)
        typed.placeholder = f"type {self._must_type} to go on"
        typed.display = bool(self._must_type)
        self._shown_at = time.monotonic()
        self.call_after_refresh(self._tell_of_more)
        if plan.refusals:
            self._close_for_good()

    def _close_for_good(self) -> None:
        self.query_one("#why", Static).update("refused; nothing can be run here")
        for widget in (*self.query(Input), self.query_one("#go", Button)):
            widget.disabled = True
        self.query_one("#leave", Button).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """To the next field that is to be filled; from the last one it runs."""
        after = [one for one in self.query(Input) if one.display and not one.value.strip()]
        if after and event.value.strip() and event.input.id != "confirm":
            after[0].focus()
        else:
            self.action_go()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.action_go() if event.button.id == "go" else self.action_leave()

    def action_scroll(self, pages: int) -> None:
        """The plan may be longer than the screen, and the cursor is in the reason."""
        box = self.query_one(VerticalScroll)
        box.scroll_relative(y=pages * max(1, box.size.height - 1), animate=False)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_close(self) -> None:
        """Only where nothing can be typed any more: a reason may begin with that letter."""
        if self._plan is not None and self._plan.refusals:
            self.dismiss(None)

    def action_go(self) -> None:
        reason = self.query_one("#reason", Input).value.strip()
        ticket = self.query_one("#ticket", Input).value.strip()
        typed = self.query_one("#confirm", Input).value.strip() if self._must_type else ""
        if self._plan is None:
            self._refuse(self._lacking, "#reason")
        elif self._plan.refusals:
            return
        elif given_at(self.app) < self._shown_at:
            why = "the plan came after that key: read it, then press it again"
            self.query_one("#why", Static).update(why)
        elif not reason:
            self._refuse(f"a reason is needed: it goes into the {self._place}", "#reason")
        elif self._wants_ticket and not ticket:
            self._refuse(f"{self._wants_ticket} wants a ticket", "#ticket")
        elif typed != self._must_type:
            self._refuse(f"type the target's name, {self._must_type}, to run this in prod", "#confirm")
        else:
            self.dismiss(Approval(reason=reason, ticket=ticket, confirm=typed))

    def _refuse(self, why: str, field: str) -> None:
        self.query_one("#why", Static).update(why)
        self.query_one(field, Input).focus()
