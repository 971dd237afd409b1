"""JSON that stays on its line, whatever a text in it holds. Pure."""

from __future__ import annotations

_BASIC = 0x10000  # from here on JSON writes a character as two halves


def one_line(json: str) -> str:
    """The same JSON with every character escaped that does not print: it leaves DEL, the C1 controls, U+2028
    and marks of direction as they are, which terminals obey and readers of lines take for an end.
    """
    if json.isprintable():
        return json
    return "".join(char if char.isprintable() else _escaped(ord(char)) for char in json)


def _escaped(point: int) -> str:
    if point < _BASIC:
        return f"\\u{point:04x}"
    above = point - _BASIC
    return f"\\u{0xD800 + (above >> 10):04x}\\u{0xDC00 + (above & 0x3FF):04x}"
