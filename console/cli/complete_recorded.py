"""Ids of runs and actions at a Tab: of what this machine recorded, by its journals. No ledger is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.cli import complete

if TYPE_CHECKING:
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

    try:
        found = dict(_ids(complete.journal_folder(services), kind))
    except Exception:  # noqa: BLE001 - a journal that is being written, a folder that is gone
        return []
    words = [one for one in found.items() if one[0].startswith(incomplete)][:NEWEST]
    return [CompletionItem(word, help=said) for word, said in words]


def _ids(folder: Path, kind: str) -> Iterator[tuple[str, str | None]]:
    """The newest first, with what was done where."""
    import json

    paths = sorted(folder.glob("*.ndjson"), key=lambda one: one.stat().st_mtime, reverse=True)
    for path in paths[:NEWEST]:
        with path.open("rb") as file:
            lines = file.read(complete.MOST_BYTES).splitlines()
        rows = [json.loads(line)["row"] for line in lines if line.startswith(_ROW) and line.endswith(b"}")]
        meant = (row for row in reversed(rows) if row["kind"] == kind)
        yield from ((str(row["action_id"]), _said(json.loads(row["body"]))) for row in meant)


def _said(body: dict[str, Any]) -> str | None:
    return f"{body['action']} on {body['target']}" if body.get("action") and body.get("target") else None
