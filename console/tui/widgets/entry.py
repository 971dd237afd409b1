"""A field of one line for texts that may have several: what is in it is whole, and all of it is seen."""

from __future__ import annotations

import re
from typing import Final

from rich.text import Text
from textual import events
from textual.widgets import Input

from console.present.units import visible

_LINE_ENDS: Final = re.compile("\r\n?")


class Entry(Input):
    """Textual draws what stands before the first line end, and takes the first line of what is pasted: a name
    with a line end looked like another one, or became another one.
    """

    @property
    def _value(self) -> Text:
        return Text(visible(self.value), no_wrap=True, overflow="ignore", end="")

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        text = _LINE_ENDS.sub("\n", event.text).rstrip("\n")  # a line is copied with its end
        self.replace(text, *self.selection)
