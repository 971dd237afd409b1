"""The last door to the terminal: whatever a widget was given to show, no character of it moves a cursor.

Panes and dialogs clean what they show, each by itself. A text that one of them forgot, of a row that somebody
forged or of a server's message, comes by here as well.
"""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter


class Harmless(LineFilter):
    """In place of what does not print as many blanks as Textual counts cells for it, mostly none."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002 - Textual's
        if all(one.text.isprintable() or one.control for one in segments):
            return segments
        return [one if one.control else Segment(printable(one.text), one.style) for one in segments]


def printable(text: str) -> str:
    if text.isprintable():
        return text
    kept = "".join(char if char.isprintable() else " " * cell_len(char) for char in text)
    return set_cell_size(kept, cell_len(text))  # what was joined may stand apart now
