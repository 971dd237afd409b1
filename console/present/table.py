"""What a table is before anybody draws it: plain text, alignment and tone. No Rich, no Textual."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar, overload

import msgspec

T = TypeVar("T")


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
    the highest `drop` vanish first; 0 never does. Cells with `names` hold `schema.name`: where there is no
    room for both it is the schema that is cut. A `whole` one holds numbers that stand for something: of them
    nothing is cut where lines are printed, and a screen asks `led_by`.
    """

    title: str
    width: int
    least: int = 0
    align: Literal["left", "right"] = "left"
    grow: bool = False
    drop: int = 0
    names: bool = False
    whole: bool = False


def narrowest(column: Column) -> int:
    return column.least or column.width


def led_by(columns: Sequence[Column], largest: int, beside: int = 0) -> tuple[Column, ...]:
    """The same with room in the first for the largest number of its cells and what stands `beside` it: two
    sessions of which the ends are cut look like one.
    """
    first, *others = columns
    needed = len(str(largest)) + beside
    return (msgspec.structs.replace(first, width=max(first.width, needed)), *others)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One row: `key` identifies the subject across refreshes, `cells` are sanitised text.

    `tone` colours the whole line; `tones` maps a column's index to a tone of its own.
    """

    key: str
    cells: tuple[str, ...]
    tone: Tone = Tone.NORMAL
    tones: dict[int, Tone] = {}


class Lines(Sequence[Line], Generic[T]):
    """A line for each item, made when it is looked at: of thousands, a screen shows some dozens."""

    def __init__(self, items: Sequence[T], made: Callable[[T], Line]) -> None:
        self._items = items
        self._made = made
        self._lines: dict[int, Line] = {}

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, place: int) -> Line: ...
    @overload
    def __getitem__(self, place: slice) -> list[Line]: ...
    def __getitem__(self, place: int | slice) -> Line | list[Line]:
        if isinstance(place, slice):
            return [self[at] for at in range(*place.indices(len(self)))]
        at = range(len(self))[place]
        if at not in self._lines:
            self._lines[at] = self._made(self._items[at])
        return self._lines[at]

    def __iter__(self) -> Iterator[Line]:
        return map(self.__getitem__, range(len(self)))

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]
