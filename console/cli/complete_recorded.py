"""Ids of runs and actions at a Tab: of what this machine recorded, by its journals. No ledger is asked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from console.cli import complete

if TYPE_CHECKING:
    from pathlib import Path

    from click.shell_completion import CompletionItem

    from console.cli.context import Services

NEWEST = 50  # journals, one a process, and so many ids of them
_ROW = b'{"row":'


def runs(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _completed(context.obj, "run", incomplete)


def actions(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _completed(context.obj, "intent", incomplete)


def _completed(services: Services, kind: str, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    found: dict[str, str | None] = {}
    with contextlib.suppress(Exception):  # whatever the config is, a Tab is answered
        found = dict(_ids(complete.journal_folder(services), kind))
    words = [one for one in found.items() if one[0].startswith(incomplete)][:NEWEST]
    return [CompletionItem(word, help=said) for word, said in words]


def _ids(folder: Path, kind: str) -> Iterator[tuple[str, str | None]]:
    """The newest first, with what was done where. Of a long journal its end is read."""
    paths = [one for one in folder.glob("*.ndjson") if one.is_file()]
    for path in sorted(paths, key=lambda one: one.stat().st_mtime, reverse=True)[:NEWEST]:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - complete.MOST_BYTES))
            lines = file.read(complete.MOST_BYTES).splitlines()
        for line in reversed(lines):
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):  # odd, or cut
                yield from _told(line, kind)


def _told(line: bytes, kind: str) -> Iterator[tuple[str, str | None]]:
    """Nothing that is not an id: a shell acts on what it is given. Raises what an odd line leads to."""
    import json
    from uuid import UUID

    from console.present.units import clean

    if not line.startswith(_ROW):
        return
    row = json.loads(line)["row"]
    if row["kind"] != kind:
        return
    body = json.loads(row["body"])
    action, target = body.get("action"), body.get("target")
    yield str(UUID(row["action_id"])), clean(f"{action} on {target}", 200) if action and target else None
