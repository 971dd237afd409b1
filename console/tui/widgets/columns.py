"""How a table's columns share a width, and the text of one line in them. No Textual here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from console.present.table import Column, Line, narrowest
from console.present.units import clean, clip, pad, skip, with_name

GAP: Final = 1
_SHORT: Final = 40


class Slot(NamedTuple):
    """A column that is shown: at which place its cells are in a line, and the width it got."""

    at: int
    column: Column
    width: int


class Run(NamedTuple):
    """A stretch of a line in one tone."""

    tone: str
    text: str


def fit(columns: Sequence[Column], width: int) -> tuple[Slot, ...]:
    """Drop columns until the others have room; what is left widens those that shrank, then the growing
    one.
    """
    kept = [Slot(index, column, narrowest(column)) for index, column in enumerate(columns)]
    while _needed(kept) > width and (droppable := [slot for slot in kept if slot.column.drop]):
        # Of equals the rightmost goes: identity stands left.
        kept.remove(max(droppable, key=lambda slot: (slot.column.drop, slot.at)))
    for place, slot in enumerate(kept):
        more = min(slot.column.width - slot.width, width - _needed(kept))
        if more > 0:
            kept[place] = slot._replace(width=slot.width + more)
    grower = next((place for place, slot in enumerate(kept) if slot.column.grow), None)
    if grower is not None:
        slot = kept[grower]
        kept[grower] = slot._replace(width=max(1, slot.width + width - _needed(kept)))
    return tuple(kept)


def _needed(slots: Sequence[Slot]) -> int:
    return sum(slot.width + GAP for slot in slots) - GAP if slots else 0


def runs(line: Line, slots: Sequence[Slot], shift: int) -> Iterator[Run]:
    """Lay a line out in its slots; neighbours of one tone are one run.

    `shift` moves the text of the growing column to the left.
    """
    tone: str = line.tone
    pieces: list[str] = []
    for slot in slots:
        here = line.tones.get(slot.at, line.tone)
        if here is not tone:
            yield Run(tone, "".join(pieces))
            tone, pieces = here, []
        text = line.cells[slot.at] if slot.at < len(line.cells) else ""
        pieces.append(cell(text, slot, shift) + (" " * GAP if slot is not slots[-1] else ""))
    yield Run(tone, "".join(pieces))


def cell(text: str, slot: Slot, shift: int) -> str:
    """Give one cell exactly its width. A line that was not cleaned before is cleaned here."""
    shift = shift if slot.column.grow else 0
    # Nothing beyond this can be seen, and a statement may have 100 kB.
    text = text[: (shift + slot.width) * 4 + 4]
    lay = _laid if shift or len(text) > _SHORT else _kept
    return lay(text, slot.width, slot.column.align, shift, slot.column.names and not shift)


def _laid(text: str, width: int, align: Literal["left", "right"], shift: int, names: bool) -> str:
    if not text.isprintable():
        text = clean(text)
    if names:
        text = with_name(text, width)
    return pad(skip(text, shift), width, align)


# All but the ages stay as they are from one reading to the next. Statements are not kept: they are long, and
# may hold what should be gone with them.
_kept = lru_cache(4096)(_laid)


def titles(slots: Sequence[Slot], shift: int) -> str:
    """Lay out the header; a shifted column says by how much."""
    named = (
        (f"{slot.column.title} +{shift}" if shift and slot.column.grow else slot.column.title, slot)
        for slot in slots
    )
    return (" " * GAP).join(
        pad(clip(title, slot.width), slot.width, slot.column.align) for title, slot in named
    )
