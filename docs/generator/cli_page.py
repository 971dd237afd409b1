"""docs/reference/cli.md, from click."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from docs.generator.commands import Command, commands, everywhere
from docs.generator.markdown import code, link, table
from docs.generator.markdown import page as made

_PROSE = Path(__file__).resolve().parents[1] / "cli.md"
_INTRO = """Every command with its options, as `--help` tells them. What they do, and what scripts may
rely on, is in [commands](../cli.md)."""


def page() -> str:
    found = list(commands())
    return made(
        "Commands and options", [*_INTRO.splitlines(), ""], _all(found), _exits(), *map(_about, found)
    )


def _all(found: list[Command]) -> Iterator[str]:
    yield from ("## Everywhere", "")
    yield from table(("option", "meaning"), [(code(one.words), one.help) for one in everywhere()])
    yield from ("## Commands", "")
    yield from table(("command", "what it does"), [(link(one.name), one.said[0]) for one in found])


def exits() -> list[tuple[str, str, str]]:
    """(code, meaning, effect), of the table in docs/cli.md, which a guard compares with the code."""
    text = _PROSE.read_text(encoding="utf-8").partition("## Exit codes\n")[2]
    rows = re.findall(r"^\| (\d+) \| (.*) \| (.*) \|$", text, re.MULTILINE)
    return [(code_, meaning, effect) for code_, meaning, effect in rows]


def _exits() -> list[str]:
    return ["## Exit codes", "", *table(("code", "meaning", "effect"), exits())]


def _about(one: Command) -> Iterator[str]:
    yield from (f"### `{one.name}`", "", code(one.usage), "")
    for paragraph in one.said:
        yield from (paragraph, "")
    rows = [(code(option.words), option.help, code(option.default)) for option in one.options]
    yield from table(("option", "meaning", "default"), rows)
