"""The theme of our own: dark, few colours, roots and trouble stand out; every theme of Textual works too."""

from __future__ import annotations

from textual.theme import Theme

DBDECK = Theme(
    name="dbdeck",
    primary="#4f8fba",
    secondary="#73bed3",
    accent="#a8ca58",
    foreground="#d6dde3",
    background="#10161c",
    surface="#17202a",
    panel="#22303c",
    success="#75a743",
    warning="#de9e41",
    error="#cf573c",
    dark=True,
)
