"""What a table is before anybody draws it: plain text, alignment and tone. No Rich, no Textual."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec


class Tone(StrEnum):
    """What a cell says about itself; the TUI and the CLI choose the colour."""

    NORMAL = "normal"
    MUTED = "muted"
    GOOD = "good"
    NOTICE = "notice"
    WARN = "warn"
    BAD = "bad"


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """`width` is in terminal cells without the gap; the one with `grow` takes what is left.

    When the terminal is narrow columns shrink to their `least` width, where they have one; then those with
    the highest `drop` vanish first; 0 never does.
    """

    title: str
    width: int
    least: int = 0
    align: Literal["left", "right"] = "left"
    grow: bool = False
    drop: int = 0


def narrowest(column: Column) -> int:
    return column.least or column.width


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One row: `key` identifies the subject across refreshes, `cells` are sanitised text.

    `tone` colours the whole line; `tones` maps a column's index to a tone of its own.
    """

    key: str
    cells: tuple[str, ...]
    tone: Tone = Tone.NORMAL
    tones: dict[int, Tone] = {}
