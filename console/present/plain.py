"""What a terminal that is not of UTF-8 is shown: the same text cell by cell, in characters that it has."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Final
from unicodedata import category, east_asian_width

FORCED: Final = "DBDECK_ASCII"  # for fonts, recorders and screen readers that lack what the locale promises
_ONES: Final = "…·╰┄►▶■─━│┃▲▼→←↑↓✗✓●○◉↻▁▂▃▄▅▆▇█≥≤"
_OTHERS: Final = "~.`.>>#-=||^v><^vxv*o@@_.-=+*#@><"
_GLYPHS: Final = dict(zip(_ONES, _OTHERS, strict=True))


def codec_of(environment: Mapping[str, str], encoding: str) -> str | None:
    """The codec of a terminal that is not of UTF-8; None where it is. DBDECK_ASCII asks for ASCII.

    The locale is asked before Python, which writes UTF-8 in the locale C whatever the terminal is.
    """
    if environment.get(FORCED, "0") not in ("", "0"):
        return "ascii"
    name = next((environment[one] for one in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(one)), "")
    if name in ("C", "POSIX"):
        return "ascii"
    said = name.partition(".")[2].partition("@")[0] or encoding
    try:
        found = codecs.lookup(said).name
    except LookupError:
        return "ascii"
    return None if found.startswith("utf") else found


class Plain(dict[int, str]):
    """For `str.translate`: each character as itself, or as what stands for it in as many cells."""

    def __init__(self, codec: str) -> None:
        super().__init__()
        self._codec = codec

    def __missing__(self, code: int) -> str:
        char = chr(code)
        found = self[code] = char if code < 0x80 else self._stands_for(char)
        return found

    def _stands_for(self, char: str) -> str:
        if char in _GLYPHS:
            return _GLYPHS[char]
        if 0x2500 <= ord(char) <= 0x257F:
            return "+"  # corners and crossings of frames
        if 0x2580 <= ord(char) <= 0x259F:
            return "#"
        try:
            char.encode(self._codec)
        except UnicodeEncodeError:
            return _blank(char)
        return char


def _blank(char: str) -> str:
    if category(char) in ("Mn", "Me", "Cf"):
        return ""
    return "??" if east_asian_width(char) in "WF" else "?"
