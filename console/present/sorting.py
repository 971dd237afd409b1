"""Lines in the order of one of their columns: by what a cell's text means, and not by its letters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from console.present.table import Column, Line
from console.present.units import UNKNOWN

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_AGE: Final = re.compile(r"[<~]?(\d+(?:\.\d+)?)(ms|s|m|h|d)(\d+)?h?a?")
_FIGURE: Final = re.compile(r"[<>~]?(-?\d+(?:\.\d+)?)\s?([kMGTP]?)(B|%)?(?:/.*)?")
_SCALES: Final = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5}
_BELOW: Final = {"m": 1.0, "h": 60.0, "d": 3600.0}  # what the second figure of an age counts


class Order(NamedTuple):
    """By which column, by its place; `down` is the largest first."""

    column: int
    down: bool


def first_way(columns: Sequence[Column], place: int) -> Order:
    """Figures the largest first, words by their letters."""
    return Order(place, down=columns[place].align == "right")


def clicked(columns: Sequence[Column], before: Order | None, place: int) -> Order | None:
    """Once sorts, again turns it round, and a third time gives the pane's own order back."""
    first = first_way(columns, place)
    if before is None or before.column != place:
        return first
    return Order(place, down=not first.down) if before == first else None


def following(columns: Sequence[Column], before: Order | None) -> Order | None:
    """The next column that has a title; after the last one the pane's own order."""
    start = 0 if before is None else before.column + 1
    place = next((at for at in range(start, len(columns)) if columns[at].title), None)
    return None if place is None else first_way(columns, place)


def ordered(lines: Sequence[Line], order: Order) -> list[Line]:
    """Figures before words, and what is empty or not known last, whichever way; equals stay as they were."""
    told = [line for line in lines if _told(line, order.column)]
    untold = [line for line in lines if not _told(line, order.column)]
    found = sorted(told, key=lambda line: value(line.cells[order.column])[1:], reverse=order.down)
    kinds = [value(line.cells[order.column])[0] for line in found]
    figures = [line for line, kind in zip(found, kinds, strict=True) if kind == 0]
    words = [line for line, kind in zip(found, kinds, strict=True) if kind]
    return [*figures, *words, *untold]


def _told(line: Line, place: int) -> bool:
    return place < len(line.cells) and line.cells[place].strip() not in ("", UNKNOWN)


def value(cell: str) -> tuple[int, float, str]:
    """Figures before words, each in its own order; an age in seconds, a size in bytes."""
    text = cell.strip()
    if found := _AGE.fullmatch(text):
        more = float(found[3] or 0) * _BELOW.get(found[2], 0.0)
        return 0, float(found[1]) * _SECONDS[found[2]] + more, ""
    if found := _FIGURE.fullmatch(text):
        base = 1024 if found[3] == "B" else 1000
        return 0, float(found[1]) * float(base ** _SCALES[found[2]]), ""
    return 1, 0.0, text.casefold()


def marked(columns: Sequence[Column], order: Order) -> tuple[Column, ...]:
    """The header says by which column, and which way."""
    return tuple(
        msgspec.structs.replace(column, title=f"{column.title}{'▼' if order.down else '▲'}")
        if place == order.column
        else column
        for place, column in enumerate(columns)
    )
