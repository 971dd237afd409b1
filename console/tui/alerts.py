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
