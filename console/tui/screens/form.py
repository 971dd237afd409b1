"""A form: named fields with help, each checked where it stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from console.tui.hints import hint
from console.tui.widgets.entry import Entry


def _fine(_: str) -> str:
    return ""


class Field(NamedTuple):
    """`check` says what is wrong with a text; empty where nothing is."""

    name: str
    label: str
    value: str = ""
    check: Callable[[str], str] = _fine


class FormScreen(ModalScreen[dict[str, str] | None]):
    """Dismissed with the texts by name, or None. Enter leads from field to field, from the last one on."""

    DEFAULT_CSS = """
    FormScreen { align: center middle; }
    FormScreen > Vertical { width: 96%; max-width: 120; height: auto; max-height: 96%;
                            border: thick $primary; background: $surface; padding: 0 1; }
    FormScreen VerticalScroll { height: auto; max-height: 80vh; scrollbar-size-vertical: 1; }
    FormScreen Input, FormScreen Input:focus {
        border: none; height: 1; background: $panel; padding: 0 1;
    }
    FormScreen .label { height: auto; color: $foreground-muted; }
    FormScreen .wrong { height: auto; color: $text-error; display: none; }
    FormScreen .foot { color: $foreground-muted; height: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", id="form.leave"),
        Binding("ctrl+s", "go", "Go on", priority=True, id="form.go"),
    ]

    def __init__(self, title: str, about: str, fields: Sequence[Field], goes_on: str) -> None:
        """`goes_on` says what comes of it: `shows the plan; nothing is started yet`."""
        super().__init__()
        self._title = title
        self._about = about
        self._fields = {field.name: field for field in fields}
        self._goes_on = goes_on

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = self._title
            with VerticalScroll(can_focus=False):
                if self._about:
                    yield Static(self._about, markup=False)
                for field in self._fields.values():
                    yield Static(field.label, classes="label", markup=False)
                    yield Entry(field.value, id=f"field-{field.name}", select_on_focus=False)
                    yield Static("", id=f"wrong-{field.name}", classes="wrong", markup=False)
            keys = hint(self, "({form.go} at once); {form.leave} leaves")
            foot = f"Enter: the next field, then {self._goes_on} {keys}"
            yield Static(foot, classes="foot", markup=False)

    def on_mount(self) -> None:
        for entry in self.query(Input):
            entry.cursor_blink = False
        self._empty_one().focus()

    def _empty_one(self) -> Input:
        """Where somebody has to write: the first field that is not right as it is."""
        for name, field in self._fields.items():
            if field.check(field.value):
                return self._entry(name)
        return self._entry(next(iter(self._fields)))

    def _entry(self, name: str) -> Input:
        return self.query_one(f"#field-{name}", Input)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        names = list(self._fields)
        name = (event.input.id or "").removeprefix("field-")
        if not self._right(name):
            return
        place = names.index(name) + 1
        if place < len(names):
            self._entry(names[place]).focus()
        else:
            self.action_go()

    def _right(self, name: str) -> bool:
        why = self._fields[name].check(self._entry(name).value.strip())
        wrong = self.query_one(f"#wrong-{name}", Static)
        wrong.update(why)
        wrong.display = bool(why)
        return not why

    def action_go(self) -> None:
        wrong = [name for name in self._fields if not self._right(name)]
        if wrong:
            self._entry(wrong[0]).focus()
            return
        self.dismiss({name: self._entry(name).value.strip() for name in self._fields})

    def action_leave(self) -> None:
        self.dismiss(None)
