"""What the pages quote is what the code says: messages, lines of code, and the runbook that is shown."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from console.present.reads import READS
from console.runbook.lint import Catalogue, lint
from console.runbook.loader import Library, parse
from tests.guards.markdown import codes, rows
from tests.guards.sources import modules, read, strings
from tests.runbook.documents import TODAY, registry

_FROM = re.compile(r"^From \[`([^`]+)`\]\([^)]*\):", re.MULTILINE)
_FENCE = re.compile(r"^```(?:python|sql)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@cache
def _said() -> str:
    """Every text of the code, with what is filled in shown as …."""
    found = []
    for source in modules().values():
        tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = [one.value if isinstance(one, ast.Constant) else "…" for one in node.values]
                found.append("".join(str(one) for one in parts))
        found += [text for _, text in strings(tree)]
    return "\n".join(found)


def fragments(message: str) -> list[str]:
    """The literal parts of a message that is quoted with … for what differs."""
    return [part.strip() for part in re.split("…", message) if len(part.strip()) > 3]


def messages() -> Iterator[str]:
    for row in rows(read("docs/troubleshooting.md")):
        yield from (one for one in codes(row[0]) if not one.startswith("audit "))


@pytest.mark.parametrize("message", messages())
def test_a_message_that_is_explained_is_one_of_ours(message: str) -> None:
    assert fragments(message)
    assert [part for part in fragments(message) if part not in _said()] == []


def quoted() -> Iterator[tuple[str, str]]:
    """(file, line) of every line that docs/extending.md quotes."""
    _, *parts = _FROM.split(read("docs/extending.md"))
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        for block in _FENCE.findall(text.partition("\n## ")[0]):
            yield from ((name, line) for line in block.splitlines() if line.strip() not in ("", "…"))


def test_the_lines_that_are_quoted_stand_in_their_files() -> None:
    lines = list(quoted())
    assert len(lines) > 50
    assert [(name, line) for name, line in lines if line not in read(name).splitlines()] == []


def test_the_runbook_that_is_shown_is_sound() -> None:
    text = re.search(r"^```yaml\n(apiVersion.*?)^```", read("docs/extending.md"), re.MULTILINE | re.DOTALL)
    assert text
    loaded = parse(text[1], "docs/extending.md")
    assert lint(loaded, Library([loaded]), Catalogue(registry(), frozenset(READS)), TODAY) == []
