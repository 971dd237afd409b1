"""Runs of runbooks in words: one line an event, and the tree before a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from console.errors import DbdeckError
from console.present.table import Tone
from console.present.units import clean, clean_block
from console.runbook.events import (
    Acted,
    Begun,
    Chosen,
    Closed,
    Decided,
    Ended,
    Event,
    HandedOver,
    Noted,
    Observed,
    Opened,
    Resumed,
    RollingBack,
    Skipped,
    Started,
)
from console.runbook.outline import Line
from console.runbook.state import Run
from console.runbook.steps import Ask

_STATES = {
    "done": Tone.GOOD, "failed": Tone.BAD, "unknown": Tone.WARN, "not_begun": Tone.NOTICE,
}  # fmt: skip
_RESULTS = {"ok": Tone.GOOD, "rolled_back": Tone.NOTICE, "escalate": Tone.WARN, "stopped": Tone.WARN}
_KNOWN = {"now": Tone.NORMAL, "run time": Tone.NOTICE, "never": Tone.MUTED, "": Tone.NORMAL}


def line(event: Event) -> tuple[Tone, str]:
    """What happened, for people."""
    tone, text = _LINES[type(event)](event)
    return tone, clean_block(text)


def _begun(event: Begun) -> tuple[Tone, str]:
    again = f", attempt {event.attempt}" if event.attempt > 1 else ""
    of = f" on {event.given.get('target')}" if not event.acts and event.given.get("target") else ""
    return Tone.MUTED, f"{event.step}: begun{of}{again}"


def _acted(event: Acted) -> tuple[Tone, str]:
    word = {"applied": "done", "no_op": "nothing to do", "none": "not done", "unknown": "OUTCOME UNKNOWN"}[
        event.effect
    ]
    return _STATES[event.state], _warned(f"{event.step}: {word}: {event.summary}", event.warnings)


def _observed(event: Observed) -> tuple[Tone, str]:
    return _STATES[event.state], _warned(f"{event.step}: {event.summary}", event.warnings)


def _warned(text: str, warnings: Iterable[str]) -> str:
    return "\n".join((text, *(f"  warning: {one}" for one in warnings)))


def _decided(event: Decided) -> tuple[Tone, str]:
    text = f" ({event.text})" if event.text and event.text != event.decision else ""
    of = f"{event.step}: " if event.step else ""
    return Tone.NOTICE, f"{of}{event.by} says {event.decision}{text}"


_LINES: Mapping[type, Callable[[Any], tuple[Tone, str]]] = {
    Started: lambda event: (
        Tone.NOTICE,
        f"run {event.run} of {event.runbook} on {event.target} by {event.by}",
    ),
    Begun: _begun,
    Skipped: lambda event: (Tone.MUTED, f"{event.step}: left out, {event.why}"),
    Noted: lambda event: (Tone.NORMAL, f"{event.step}: {event.text}"),
    Chosen: lambda event: (Tone.NOTICE, f"{event.step}: takes the way {event.choice}"),
    Opened: lambda event: (
        Tone.NOTICE,
        f"{event.step}: begun" + (f", {len(event.items)} items" if event.items else ""),
    ),
    Closed: lambda event: (Tone.GOOD, f"{event.step}: {event.text}"),
    Observed: _observed,
    Acted: _acted,
    Decided: _decided,
    HandedOver: lambda event: (Tone.NOTICE, f"handed over by {event.by} to {event.to}: {event.text}"),
    Resumed: lambda event: (Tone.NOTICE, f"resumed by {event.by}"),
    RollingBack: lambda event: (Tone.WARN, f"taking back what was done: {event.why}"),
    Ended: lambda event: (_RESULTS.get(event.result, Tone.BAD), f"ended as {event.result}: {event.text}"),
}


def concluded(run: Run, waiting: Ask | None, code: int) -> dict[str, Any]:
    """The document that says what became of a run so far."""
    return {
        "schema": "dbdeck/runbook-run/1",
        "run": run.started.run,
        "runbook": run.started.runbook,
        "target": run.started.target,
        "result": run.ended.result if run.ended else None,
        "text": run.ended.text if run.ended else "",
        "effects": list(run.effects),
        "waiting": msgspec.to_builtins(waiting) if waiting else None,
        "exit": code,
        "error": None,
    }


def refused(
    runbook: str | None, target: str | None, run: str | None, code: int, error: DbdeckError
) -> dict[str, Any]:
    """The same document where nothing was run: why not."""
    return {
        "schema": "dbdeck/runbook-run/1",
        "run": run,
        "runbook": runbook,
        "target": target,
        "result": None,
        "text": "",
        "effects": [],
        "waiting": None,
        "exit": code,
        "error": {"kind": error.kind, "message": error.message, "hint": error.hint},
    }


def tree(lines: Iterable[Line]) -> list[tuple[Tone, str]]:
    """The outline, indented; below an action what it would send."""
    said: list[tuple[Tone, str]] = []
    for one in lines:
        indent = "  " * one.depth
        said.append((_KNOWN[one.known], f"{indent}{clean(one.step)} [{one.kind}] {clean(one.text, 400)}"))
        said += [(Tone.MUTED, f"{indent}    {clean_block(statement)}") for statement in one.statements]
    return said
