"""A page of text over the panes: help, one row in full, the result of a run."""

from __future__ import annotations

from typing import ClassVar

from rich.console import RenderableType
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from console.tui.hints import hint


class TextScreen(ModalScreen[None]):
    """Closed with Esc, Enter or q."""

    DEFAULT_CSS = """
    TextScreen { align: center middle; }
    TextScreen > Vertical { width: 96%; max-width: 120; height: auto; max-height: 96%;
                            border: thick $primary; background: $surface; padding: 0 1; }
    TextScreen VerticalScroll { height: auto; max-height: 80vh; }
    TextScreen.glass VerticalScroll { max-height: 72vh; }
    TextScreen .foot { color: $foreground-muted; height: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "leave", "Close", id="text.close"),
    ]

    def __init__(self, title: str, text: RenderableType) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = self._title
            with VerticalScroll() as scroll:
                scroll.focus()
                yield Static(self._text, markup=False)
            yield Static(hint(self, "{text.close} closes"), classes="foot", markup=False)

    def action_leave(self) -> None:
        self.dismiss(None)
