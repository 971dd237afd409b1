"""Keys of steps: `each[0].act~undo` takes act back for the first item; what a call runs comes after a `/`."""

from __future__ import annotations

from collections.abc import Mapping

from console.runbook.document import Call, Document, Step, walk


def level_of(key: str) -> str:
    """What the keys of its list begin with: everything up to the last `.`, `/` or `~`."""
    return key[: max(key.rfind(mark) for mark in "./~") + 1]


def step_of(documents: Mapping[str, Document], runbook: str, key: str) -> Step | None:
    """The step of a key, through the calls before it; None where the documents have it not."""
    *calls, last = key.split("/")
    document = documents.get(runbook)
    for one in calls:
        caller = _by_id(document, one)
        document = documents.get(caller.runbook) if isinstance(caller, Call) else None
    return _by_id(document, last)


def _by_id(document: Document | None, key: str) -> Step | None:
    own = key[len(level_of(key)) :]
    steps = walk(document.steps) if document is not None else ()
    return next((step for step in steps if step.id == own), None)
