"""Tables and headings of our documents."""

from __future__ import annotations

import re
from collections.abc import Iterator

CODE = re.compile(r"`([^`]+)`")
_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_RULE = re.compile(r"[\s|:-]+")


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n", text, re.MULTILINE)
    assert found, f"there is no heading {heading!r}"
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(text: str) -> Iterator[list[str]]:
    """Cells of every table row below its header; a `\\|` is no border."""
    below = False
    for line in text.splitlines():
        if not line.startswith("|"):
            below = False
        elif _RULE.fullmatch(line):
            below = True
        elif below:
            yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def codes(cell: str) -> tuple[str, ...]:
    """What a cell shows in code."""
    return tuple(CODE.findall(cell))


def commands(text: str, program: str) -> Iterator[list[str]]:
    """Words of each command line that the text shows, in a block or in a sentence."""
    prose = _BLOCK.sub("", text)
    shown = [line for block in _BLOCK.findall(text) for line in block.splitlines()]
    for line in (*shown, *CODE.findall(prose)):
        words = line.partition("#")[0].split()
        if words[:1] == [program]:
            yield words
