"""How the terminal calls: its bell, or a notification of the desktop it runs on."""

from __future__ import annotations

from typing import Any

from textual.app import App

from console.config import Alert
from console.present.units import clean


def call(app: App[Any], how: Alert, text: str) -> None:
    """Once for each new trouble. The text is cleaned: it stands inside an escape sequence."""
    if how is Alert.SCREEN:
        return
    if how is Alert.NOTIFICATION:
        notify(app, text)
    app.bell()


def notify(app: App[Any], text: str) -> None:
    """OSC 9, which iTerm2, WezTerm, kitty, foot and Windows Terminal show; others ignore it."""
    driver = app._driver  # noqa: SLF001 - Textual has no way to send an escape sequence of one's own
    if driver is not None:
        driver.write(f"\x1b]9;{clean(text, 200)}\x1b\\")


class Title:
    """The terminal's title while something runs. What it was before is kept by the terminal (XTWINOPS 22 and
    23 of xterm) and put back; a terminal that cannot do that keeps our last one. Nothing is written while
    nothing changes.
    """

    def __init__(self) -> None:
        self._said = ""

    def say(self, app: App[Any], text: str) -> None:
        """Empty puts the title from before back."""
        text = clean(text, 100)
        driver = app._driver  # noqa: SLF001 - Textual has no way to send an escape sequence of one's own
        if text == self._said or driver is None:
            return
        if not self._said:
            driver.write("\x1b[22;2t")
        driver.write(f"\x1b]2;dbdeck: {text}\x1b\\" if text else "\x1b[23;2t")
        self._said = text
