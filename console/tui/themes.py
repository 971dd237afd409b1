"""The themes of our own: few colours, roots and trouble stand out; every theme of Textual works too."""

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

DBDECK_LIGHT = Theme(
    name="dbdeck-light",
    primary="#1f6391",
    secondary="#2a7a8c",
    accent="#4d6b10",
    foreground="#1c252d",
    background="#f7f9fa",
    surface="#eceff2",
    panel="#d9e0e6",
    success="#3d6e14",
    warning="#8a5300",
    error="#b02a17",
    dark=False,
)
OWN = (DBDECK, DBDECK_LIGHT)
