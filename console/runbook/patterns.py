"""Patterns of params: only such as no text can keep busy for long."""

from __future__ import annotations

import re
from typing import Final

_PIECE = re.compile(
    r"(?P<escaped>\\.)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<open>\((?:\?:)?)|(?P<close>\))|(?P<way>\|)"
    r"|(?P<repeat>[*+]|\{\d*,?\d*\})|(?P<other>.)",
    re.DOTALL,
)
MOST_REPEATS: Final = 4
LONGEST_MATCHED: Final = 200  # characters of a text that a pattern is tried on


def too_wild(pattern: str) -> str:
    """Why a pattern could take for ever on some text; empty where it cannot: it repeats nothing that repeats
    or branches, and not much.
    """
    pieces = list(_PIECE.finditer(pattern))
    if any(piece.lastgroup == "escaped" and piece[0][1].isdigit() for piece in pieces):
        return "refers to a group, which is not allowed"
    signs = "".join(piece[0] for piece in pieces if piece.lastgroup not in ("set", "escaped"))
    if re.search(r"\((?=\?(?!:))", signs):
        return "has a group that begins with (?, and only (?: is allowed"
    if sum(piece.lastgroup == "repeat" for piece in pieces) > MOST_REPEATS:
        return f"repeats more than {MOST_REPEATS} times"
    return "repeats what itself repeats or branches" if _repeats_repeats(pieces) else ""


def _repeats_repeats(pieces: list[re.Match[str]]) -> bool:
    """Whether a group that holds a repeat or a branch is repeated."""
    inside = [False]  # of each open group, whether it holds one
    closed = False  # whether a group that does was closed just now
    for piece in pieces:
        kind = piece.lastgroup
        if kind == "repeat" and closed:
            return True
        if kind in ("repeat", "way"):
            inside[-1] = True
        if kind == "open":
            inside.append(False)
        closed = kind == "close" and len(inside) > 1 and inside.pop()
        inside[-1] = inside[-1] or closed
    return False
