"""Before a plan: the arguments of an action as `key=value` words, checked as they are given."""

from __future__ import annotations

import shlex
from typing import Any, ClassVar

import msgspec
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from console.dispatch.action import Action
from console.dispatch.registry import parse_args, words
from console.errors import UsageError
from console.model.target import EngineKind
from console.present.actions import beforehand
from console.present.units import clean
from console.tui.hints import hint
from console.tui.widgets.entry import Entry

_LONGEST = 300  # of what is wrong with what may be a whole file: the entry stays in view


class ArgumentsScreen(ModalScreen[dict[str, object] | None]):
    """Dismissed with the arguments, or None. Nothing is planned before they are understood."""

    DEFAULT_CSS = """
    ArgumentsScreen { align: center middle; }
    ArgumentsScreen > Vertical { width: 96%; max-width: 120; height: auto; max-height: 96%;
                                 border: thick $primary; background: $surface; padding: 0 1; }
    ArgumentsScreen Input, ArgumentsScreen Input:focus {
        border: none; height: 1; background: $panel; padding: 0 1; margin-top: 1;
    }
    ArgumentsScreen .head { max-height: 40vh; }
    ArgumentsScreen #wrong { height: auto; color: $text-error; }
    ArgumentsScreen .facts { color: $foreground-muted; height: auto; }
    ArgumentsScreen .foot { color: $foreground-muted; height: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Do nothing", id="arguments.leave"),
    ]

    def __init__(
        self, action: Action[Any], given: dict[str, object], engine: EngineKind, flavor: str = ""
    ) -> None:
        super().__init__()
        self._action = action
        self._engine = engine
        self._flavor = flavor
        self._given = given

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = self._action.name
            yield Static(Text(f"{self._action.summary}\n{takes(self._action)}"), classes="head", markup=False)
            written = " ".join(_word(key, value) for key, value in self._given.items())
            yield Entry(written, id="arguments", select_on_focus=False)
            yield Static("", id="wrong", markup=False)
            yield Static(
                hint(self, "Enter plans it, nothing is executed yet; {arguments.leave} leaves"),
                classes="foot",
                markup=False,
            )
            # Last, so that on a small screen they are cut off, and not the entry.
            told = beforehand(self._action, self._engine, self._flavor)
            yield Static("\n".join(told), classes="facts", markup=False)

    def on_mount(self) -> None:
        entry = self.query_one(Input)
        entry.cursor_blink = False
        entry.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        try:
            given = words(event.value)
            parse_args(self._action, given)
        except UsageError as error:
            told = (clean(part, _LONGEST) for part in (error.message, error.hint) if part)
            self.query_one("#wrong", Static).update("\n".join(told))
        else:
            self.dismiss(given)

    def action_leave(self) -> None:
        self.dismiss(None)


def takes(action: Action[Any]) -> str:
    """The arguments in one line: required ones bare, the others with their defaults."""
    said = []
    for field in msgspec.structs.fields(action.Args):
        if field.required:
            said.append(field.encode_name)
        else:
            default = field.default if field.default is not msgspec.NODEFAULT else ""
            shown = f"={_spoken(default)}" if default not in ("", (), None, False) else ""
            said.append(f"[{field.encode_name}{shown}]")
    return f"takes: {' '.join(said)}"


def _spoken(default: object) -> str:
    """As it is typed."""
    return "true" if default is True else str(default)


def _word(key: str, value: object) -> str:
    """As `words` reads it back, whatever is in it."""
    return shlex.quote(f"{key}={value}")
