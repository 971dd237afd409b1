"""What widgets say to those above them."""

from __future__ import annotations

from textual.message import Message


class ActionRequested(Message):
    """A key or a palette entry asks for an action on a subject; arguments as `key=value` would give them."""

    def __init__(self, name: str, arguments: dict[str, object]) -> None:
        super().__init__()
        self.name = name
        self.arguments = arguments


class Told(Message):
    """One line for the status bar; `bad` is drawn as trouble."""

    def __init__(self, text: str, *, bad: bool = False) -> None:
        super().__init__()
        self.text = text
        self.bad = bad
