"""Figures and server strings as short text that any terminal can show safely."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Final, Literal
from unicodedata import category, east_asian_width

UNKNOWN: Final = "?"
ELLIPSIS: Final = "…"
REPLACEMENT: Final = "\ufffd"

_LINE_LIMIT: Final = 4_000
_BLOCK_LIMIT: Final = 100_000
_TAB: Final = "    "

# Bidirectional controls reorder what is beside them, so they are shown; other format characters only hide.
_BIDI: Final = frozenset({0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)})
# These count as printable for Python, yet draw nothing or change the width of the character before them.
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_BLANKS: Final = re.compile("[ \t-\r\x85\u2028\u2029]+")
# What every terminal draws one cell wide, the frames of text interfaces included.
_NARROW: Final = re.compile("[ -~\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u052f…─-▟■-◉]*")
_PART: Final = r'(?:"(?:[^"]|"")+"|[^\W\d][^\s".(),]*)'
_NAMED: Final = re.compile(rf"({_PART})\.{_PART}")
_LINE_ENDS: Final = re.compile("\r\n?|[\v\f\x85\u2028\u2029]")


class _Visible:
    """What `str.translate` asks for each character: itself, or what stands for it on a screen."""

    def __getitem__(self, code: int) -> int | str | None:
        if code < 0x20:
            return 0x2400 + code  # the control pictures: ESC becomes ␛
        if code == 0x7F:
            return 0x2421
        return self._by_category(code)

    def _by_category(self, code: int) -> int | str | None:
        kind = category(chr(code))
        if kind == "Cf":
            return REPLACEMENT if code in _BIDI else None
        if kind[0] == "C":
            return REPLACEMENT
        return " " if kind[0] == "Z" else code


class _VisibleBlock(_Visible):
    """The same for text of several lines."""

    def __getitem__(self, code: int) -> int | str | None:
        return code if code == 0x0A else super().__getitem__(code)


_VISIBLE: Final = _Visible()
_VISIBLE_BLOCK: Final = _VisibleBlock()


def counted(number: int, noun: str) -> str:
    """`1 session`, `3 sessions`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def clean(text: str, limit: int = _LINE_LIMIT) -> str:
    """Make a server's string one line that cannot move a terminal's cursor, colour it or hide in it.

    The cut at `limit` comes first: a statement of 100 kB costs no more than its beginning.
    """
    text = _cut(text, limit)
    if not text.isprintable():
        text = _BLANKS.sub(_one_blank, text).translate(_VISIBLE)
    return text if text.isascii() else _INVISIBLE.sub("", text)


def visible(text: str) -> str:
    """Character by character, as long as it was: what draws nothing, or elsewhere, has a picture instead."""
    if text.isprintable() and not _INVISIBLE.search(text):
        return text
    return "".join(one if one.isprintable() and not _INVISIBLE.match(one) else _picture(one) for one in text)


def _picture(char: str) -> str:
    if char in "\x85\u2028\u2029":
        return "\u2424"  # a line end: ␤
    found = _VISIBLE[ord(char)]
    if isinstance(found, int) and found != ord(char):
        return chr(found)  # a control character
    return found if isinstance(found, str) else REPLACEMENT


def clean_block(text: str, limit: int = _BLOCK_LIMIT) -> str:
    """Do what `clean` does and keep the line ends (as `\\n`), for a statement shown as a whole."""
    text = _LINE_ENDS.sub("\n", _cut(text, limit)).replace("\t", _TAB).translate(_VISIBLE_BLOCK)
    return _cut(text if text.isascii() else _INVISIBLE.sub("", text), limit)


def harmless(text: str) -> str:
    """Do what `clean_block` does, cutting nothing; quick where there is nothing to do, as in most lines."""
    if text.isprintable() and (text.isascii() or not _INVISIBLE.search(text)):
        return text
    return clean_block(text, sys.maxsize)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(0, limit - 1)] + ELLIPSIS[:limit]


def _one_blank(run: re.Match[str]) -> str:
    """Keep plain spaces as they are; a line end with the indentation around it is one space."""
    return run[0] if not run[0].strip(" ") else " "


def age(seconds: float | None) -> str:
    """Say how long, coarsely: what rarely changes is rarely drawn again (3s, 4m07, 12m, 1h02, 3d04h)."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02d}h" if days < 100 else f"{days}d"
    if hours:
        return f"{hours}h{minutes:02d}"
    if minutes:
        return f"{minutes}m{rest:02d}" if minutes < 10 else f"{minutes}m"
    return f"{rest}s"


def span(seconds: float | None) -> str:
    """Say how long something takes or may take, finely where it is short: 40ms, 1.5s, then as `age`."""
    if seconds is None or not math.isfinite(seconds) or seconds >= 10 or seconds <= 0:
        return age(seconds)
    if seconds < 0.9995:
        return f"{max(1, round(seconds * 1000))}ms"
    return f"{seconds:.1f}".removesuffix(".0") + "s"


def waited(seconds: float, number: int, unclocked: int) -> str:
    """The sum of what `number` sessions waited; of `unclocked` of them nobody knows how long that was."""
    if unclocked and unclocked == number:
        return "an unknown time of waiting"
    return f"{'at least ' if unclocked else ''}{age(seconds)} of waiting"


def count(number: float | None) -> str:
    """Give a number exactly up to four digits, then rounded: 9999, 10k, 1.2M."""
    if number is None or not math.isfinite(number):
        return UNKNOWN
    return f"{number:.0f}" if abs(number) < 10_000 else _scaled(number, 1000, ("", "k", "M", "G", "T"))


def size(number: float | None) -> str:
    """Give bytes the way PostgreSQL does, in powers of 1024: 812 B, 1.2 kB, 34 MB."""
    if number is None or not math.isfinite(number):
        return UNKNOWN
    return _scaled(number, 1024, (" B", " kB", " MB", " GB", " TB", " PB"))


def _scaled(number: float, base: int, units: Sequence[str]) -> str:
    scaled, step = float(number), 0
    # What would round up to the base belongs to the next unit: 1023.9 kB is 1.0 MB.
    while abs(scaled) >= base - 0.5 and step < len(units) - 1:
        scaled, step = scaled / base, step + 1
    decimals = 1 if step and abs(scaled) < 9.95 else 0
    return f"{scaled:.{decimals}f}{units[step]}"


def cell_width(text: str) -> int:
    """Count the terminal cells that a cleaned string takes."""
    return len(text) if is_narrow(text) else sum(map(_char_width, text))


def is_narrow(text: str) -> bool:
    """Whether each character surely takes one cell, on whatever terminal."""
    return _NARROW.fullmatch(text) is not None


def _char_width(char: str) -> int:
    if east_asian_width(char) in "WF":
        return 2
    return 0 if category(char) in ("Mn", "Me") else 1


def clip(text: str, width: int) -> str:
    """Cut a string to at most `width` cells; an ellipsis says that there was more."""
    if width <= 0:
        return ""
    if text.isascii():
        return text if len(text) <= width else text[: width - 1] + ELLIPSIS
    kept = 0
    for index, used in enumerate(_positions(text)):
        if used > width:
            return text[:kept] + ELLIPSIS
        if used < width:
            kept = index + 1
    return text


def with_name(text: str, width: int) -> str:
    """Cut the schema of the first `schema.name` in a text by as much as the name lacks in `width` cells."""
    found = _NAMED.search(text)
    if found is None:
        return text
    over = cell_width(text[: found.end()]) + (found.end() < len(text)) - width
    schema = found[1]
    if over <= 0 or len(schema) < 3:
        return text
    kept = schema[: max(1, len(schema) - over - 1)]
    return f"{text[: found.start()]}{kept}{ELLIPSIS}{text[found.end(1) :]}"


def skip(text: str, cells: int) -> str:
    """Leave out the first `cells` cells; half a wide character becomes a space."""
    if cells <= 0:
        return text
    if text.isascii():
        return text[cells:]
    for index, used in enumerate(_positions(text)):
        if used >= cells:
            return " " * (used - cells) + text[index + 1 :]
    return ""


def _positions(text: str) -> Iterator[int]:
    """Yield, for each character, how many cells are taken once it is drawn."""
    used = 0
    for char in text:
        used += _char_width(char)
        yield used


def pad(text: str, width: int, align: Literal["left", "right"] = "left") -> str:
    """Make a string exactly `width` cells wide."""
    text = clip(text, width)
    blank = " " * (width - (len(text) if text.isascii() else cell_width(text)))
    return text + blank if align == "left" else blank + text
