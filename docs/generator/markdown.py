"""Tables and headings of the pages that are made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MADE = "<!-- Made by `make docs` from the code: change that, not this. -->"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table, with an empty one behind it; none where there is no row."""
    found = [_row(row) for row in rows]
    return [_row(titles), "|" + "---|" * len(titles), *found, ""] if found else []


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def sentence(text: str) -> str:
    """With its capital and its full stop; what begins with code stays."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', ':')) else '.'}" if text else ""


def anchor(heading: str) -> str:
    """As GitHub makes it: small letters, spaces to -, and nothing but letters, digits, - and _."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def link(heading: str) -> str:
    return f"[`{heading}`](#{anchor(heading)})"


def page(title: str, *parts: Iterable[str]) -> str:
    """The whole text of a page; no two empty lines follow each other."""
    lines = [f"# {title}", "", MADE, "", *(line for part in parts for line in part)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"
