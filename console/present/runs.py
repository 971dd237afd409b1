"""Runs of runbooks in words: one line an event, and the tree before a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

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
    return Tone.MUTED, f"{event.step}: begun{again}"


def _acted(event: Acted) -> tuple[Tone, str]:
    word = {"applied": "done", "no_op": "nothing changed", "none": "not done", "unknown": "OUTCOME UNKNOWN"}[
        event.effect
    ]
    return _STATES[event.state], _warned(f"{event.step}: {word}: {event.summary}", event.warnings)


def _observed(event: Observed) -> tuple[Tone, str]:
    return _STATES[event.state], _warned(f"{event.step}: {event.summary}", event.warnings)


def _warned(text: str, warnings: Iterable[str]) -> str:
    return "\n".join((text, *(f"  warning: {one}" for one in warnings)))


def _decided(event: Decided) -> tuple[Tone, str]:
    text = f" ({event.text})" if event.text and event.text != event.decision else ""
    return Tone.NOTICE, f"{event.step}: {event.by} says {event.decision}{text}"


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


def tree(lines: Iterable[Line]) -> list[tuple[Tone, str]]:
    """The outline, indented; below an action what it would send."""
    said: list[tuple[Tone, str]] = []
    for one in lines:
        indent = "  " * one.depth
        said.append((_KNOWN[one.known], f"{indent}{clean(one.step)} [{one.kind}] {clean(one.text, 400)}"))
        said += [(Tone.MUTED, f"{indent}    {clean_block(statement)}") for statement in one.statements]
    return said
