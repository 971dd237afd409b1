"""Before an effect: the exact statement, its forecast, and a reason; nothing runs without them."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from console.dispatch.action import Approval, Plan
from console.present import plan as words
from console.present.plan import Said
from console.present.table import Tone

STYLES = {
    Tone.NORMAL: "",
    Tone.MUTED: "dim",
    Tone.GOOD: "green",
    Tone.NOTICE: "bold",
    Tone.WARN: "yellow",
    Tone.BAD: "bold red",
}


def drawn(said: Said) -> Text:
    """Lines with their tones; server text in them is literal."""
    text = Text()
    for i, (tone, line) in enumerate(said):
        text.append(("\n" if i else "") + line, style=STYLES[tone])
    return text


class ConfirmScreen(ModalScreen[Approval | None]):
    """Dismissed with an approval, or None. `must_type` is the target's name where it must be typed."""

    DEFAULT_CSS = """
    ConfirmScreen { align: center middle; }
    ConfirmScreen > Vertical { width: 96%; max-width: 120; height: auto; max-height: 96%;
                               border: thick $warning; background: $surface; padding: 0 1; }
    ConfirmScreen VerticalScroll { height: auto; max-height: 60vh; }
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
        Binding("ctrl+s", "go", "Run it", id="confirm.go"),
        Binding("pageup", "scroll(-1)", "Read up", show=False, priority=True, id="confirm.up"),
        Binding("pagedown", "scroll(1)", "Read on", show=False, priority=True, id="confirm.down"),
    ]

    def __init__(self, plan: Plan, must_type: str = "") -> None:
        super().__init__()
        self._plan = plan
        self._must_type = must_type

    def compose(self) -> ComposeResult:
        with Vertical():
            with VerticalScroll(can_focus=False):
                yield Static(drawn(words.describe(self._plan)), markup=False)
            yield Input(placeholder="reason (recorded in the audit ledger)", id="reason")
            if self._must_type:
                yield Input(placeholder=f"type {self._must_type} to go on", id="confirm")
            yield Static("", id="why", markup=False)
            with Horizontal():
                yield Static("PgDn reads on", id="more", markup=False)
                yield Button("Esc  do nothing", id="leave", compact=True)
                yield Button("Enter  run it", id="go", variant="error", compact=True)

    def on_mount(self) -> None:
        for entry in self.query(Input):
            entry.cursor_blink = False
        if self._plan.refusals:
            self.query_one("#why", Static).update("refused; nothing can be run here")
            for widget in (*self.query(Input), self.query_one("#go", Button)):
                widget.disabled = True
            self.query_one("#leave", Button).focus()
        else:
            self.query_one("#reason", Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "reason" and self._must_type and event.value.strip():
            self.query_one("#confirm", Input).focus()
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

    def action_go(self) -> None:
        reason = self.query_one("#reason", Input).value.strip()
        typed = self.query_one("#confirm", Input).value.strip() if self._must_type else ""
        if self._plan.refusals:
            return
        if not reason:
            self._refuse("a reason is needed: it goes into the ledger", "#reason")
        elif typed != self._must_type:
            self._refuse(f"type the target's name, {self._must_type}, to run this in prod", "#confirm")
        else:
            self.dismiss(Approval(reason=reason, confirm=typed))

    def _refuse(self, why: str, field: str) -> None:
        self.query_one("#why", Static).update(why)
        self.query_one(field, Input).focus()
