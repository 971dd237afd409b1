"""What a run asks now: the text, its choices on digits, and the field for what has to be typed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Input, Static

from console.present import asking
from console.present.asking import Choice
from console.present.plan import Said
from console.runbook.steps import Ask
from console.tui.hints import hint
from console.tui.screens.confirm import drawn
from console.tui.typed_ahead import given_at

_ARMED_SECONDS: Final = 0.4


class Question(Vertical):
    """Nothing is answered by a key that came sooner than a person can have read: it was meant for
    something else.
    """

    DEFAULT_CSS = """
    Question { height: auto; max-height: 60%; border-top: heavy $warning; background: $surface;
               padding: 0 1; }
    Question VerticalScroll { height: auto; max-height: 10; scrollbar-size-vertical: 1; }
    Question Input, Question Input:focus { border: none; height: 1; background: $panel; padding: 0 1; }
    Question .choices { height: auto; text-style: bold; }
    Question .wrong { height: auto; color: $text-error; display: none; }
    """

    class Answered(Message):
        def __init__(self, ask: Ask, decision: str, text: str) -> None:
            super().__init__()
            self.ask = ask
            self.decision = decision
            self.text = text

    def __init__(self) -> None:
        super().__init__(id="run-question")
        self.ask: Ask | None = None
        self._choices: Sequence[Choice] = ()
        self._drawn_at = 0.0
        self._spans: list[tuple[int, int, int]] = []

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            yield Static("", classes="text", markup=False)
        yield Input(id="run-typed")
        yield Static("", classes="wrong", markup=False)
        yield Static("", classes="choices", markup=False)

    def on_mount(self) -> None:
        self.query_one(Input).cursor_blink = False
        self.display = False

    @property
    def typing(self) -> bool:
        return self.query_one(Input).has_focus

    def show(self, ask: Ask | None, said: Said, choices: Sequence[Choice]) -> None:
        """Draws a question once; None where nothing is asked."""
        if ask is self.ask:
            return
        self.ask = ask
        self.display = ask is not None
        if ask is None:
            return
        self._choices = choices
        self._drawn_at = time.monotonic()
        self.border_title = f" {asking.title(ask)} "
        self.query_one(".text", Static).update(drawn(said))
        self.query_one(VerticalScroll).scroll_home(animate=False)
        entry = self.query_one(Input)
        entry.value, entry.placeholder = "", asking.wants_text(ask)
        entry.display = bool(entry.placeholder) and bool(choices)
        self._tell("")
        self._draw_choices(entry.display)
        self.call_after_refresh(self._tell_of_more)
        if entry.display:
            entry.focus()

    def _draw_choices(self, typed: bool) -> None:
        text, self._spans = "", []
        for n, choice in enumerate(self._choices, 1):
            key = "Enter" if typed and n == 1 else str(n)
            start = len(text)
            text += f"{key} {choice.label}   "
            self._spans.append((start, len(text), n))
        self.query_one(".choices", Static).update(
            text + (hint(self, "({run.leave} first, for the keys)") if typed else "")
        )

    def read_on(self, step: int) -> None:
        """The text may be longer than its place: most of its height up or down."""
        box = self.query_one(VerticalScroll)
        box.scroll_relative(y=step * max(1, box.size.height - 1), animate=False)

    def _tell_of_more(self) -> None:
        self.border_subtitle = (
            hint(self, " {run.read-on} {run.read-up}: there is more ")
            if self.query_one(VerticalScroll).max_scroll_y
            else ""
        )

    def choose(self, number: int, at: float | None = None) -> None:
        """The choice on a digit; `at` is when it was pressed."""
        if self.ask is None or not 0 < number <= len(self._choices):
            return
        if (given_at(self.app) if at is None else at) - self._drawn_at < _ARMED_SECONDS:
            self._tell("that was quick: read it, then press the key again")
            return
        decision, typed = self._choices[number - 1].decision, self.query_one(Input).value
        wrong = asking.fault(self.ask, decision, typed)
        if wrong:
            self._tell(wrong)
            self.query_one(Input).focus()
            return
        self.post_message(self.Answered(self.ask, decision, typed if decision not in ("no", "stop") else ""))

    def _tell(self, wrong: str) -> None:
        line = self.query_one(".wrong", Static)
        line.update(wrong)
        line.display = bool(wrong)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.choose(1)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()

    def on_click(self, event: events.Click) -> None:
        choices = self.query_one(".choices", Static)
        if event.widget is choices:
            for start, stop, number in self._spans:
                if start <= event.x < stop:
                    self.choose(number, event.time)
