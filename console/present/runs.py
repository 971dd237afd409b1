"""Runs of runbooks in words: one line an event, and the tree before a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from console.errors import DbdeckError
from console.present import plan
from console.present.table import Column, Line, Tone
from console.present.units import age, clean, clean_block
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
    Remarked,
    Resumed,
    RollingBack,
    Skipped,
    Started,
)
from console.runbook.history import Recalled
from console.runbook.outline import Line as Branching
from console.runbook.state import Run
from console.runbook.steps import Ask

_STATES = {
    "done": Tone.GOOD, "failed": Tone.BAD, "unknown": Tone.WARN, "not_begun": Tone.NOTICE,
}  # fmt: skip
_RESULTS = {"ok": Tone.GOOD, "rolled_back": Tone.NOTICE, "escalate": Tone.WARN, "stopped": Tone.WARN}
_KNOWN = {"now": Tone.NORMAL, "run time": Tone.NOTICE, "never": Tone.MUTED, "": Tone.NORMAL}


def line(event: Event) -> tuple[Tone, str]:
    """What happened, for people."""
    return _LINES[type(event)](_cleaned(event))


def _cleaned(event: Event) -> Event:
    """Whoever may append to the ledger wrote its texts: none may look like a line of ours."""
    texts = {
        name: plan.indented(value)
        for name in event.__struct_fields__
        if isinstance(value := getattr(event, name), str)
    }
    return msgspec.structs.replace(event, **texts)


def _begun(event: Begun) -> tuple[Tone, str]:
    again = f", attempt {event.attempt}" if event.attempt > 1 else ""
    of = f" on {clean(str(event.given['target']))}" if not event.acts and event.given.get("target") else ""
    return Tone.MUTED, f"{event.step}: begun{of}{again}"


def _acted(event: Acted) -> tuple[Tone, str]:
    word = {"applied": "done", "no_op": "nothing changed", "none": "not done", "unknown": "OUTCOME UNKNOWN"}[
        event.effect
    ]
    return _STATES[event.state], _warned(f"{event.step}: {word}: {event.summary}", event.warnings)


def _observed(event: Observed) -> tuple[Tone, str]:
    return _STATES[event.state], _warned(f"{event.step}: {event.summary}", event.warnings)


def _warned(text: str, warnings: Iterable[str]) -> str:
    return "\n".join((text, *(f"  warning: {clean(one, 2000)}" for one in warnings)))


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
    Remarked: lambda event: (Tone.NOTICE, f"note of {event.by}: {event.text}"),
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


def asked(ask: Ask) -> list[tuple[Tone, str]]:
    """A question, before it is answered: of an action the exact statements, and what would come of them."""
    if ask.plan is not None:
        return plan.describe(ask.plan)
    return [(Tone.NOTICE, one) for one in clean_block(ask.text).splitlines()]


def tree(lines: Iterable[Branching]) -> list[tuple[Tone, str]]:
    """The outline, indented; below an action what it would send."""
    said: list[tuple[Tone, str]] = []
    for one in lines:
        indent = "  " * one.depth
        said.append((_KNOWN[one.known], f"{indent}{clean(one.step)} [{one.kind}] {clean(one.text, 400)}"))
        said += [(Tone.MUTED, f"{indent}    {clean_block(statement)}") for statement in one.statements]
        said += (
            [(Tone.BAD, f"{indent}    policy, as it is now: {clean(one.policy, 400)}")] if one.policy else []
        )
    return said


# ---- the newest runs -----------------------------------------------------------------------------

COLUMNS: Final = (
    Column(title="state", width=15, least=10),
    Column(title="runbook", width=24, least=16),
    Column(title="target", width=14, least=8),
    Column(title="by", width=20, least=8, drop=2),
    Column(title="began (UTC)", width=16, drop=3),
    Column(title="last", width=6, align="right"),
    Column(title="result", width=20, grow=True),
)


def state(recalled: Recalled) -> str:
    """What became of a run, in a word or two."""
    if recalled.run.ended is not None:
        return recalled.run.ended.result.replace("_", " ")
    return "outcome unknown" if recalled.run.unsettled else "not ended"


def result_tone(recalled: Recalled) -> Tone:
    if recalled.run.ended is None:
        return Tone.BAD if recalled.run.unsettled else Tone.NOTICE
    return _RESULTS.get(recalled.run.ended.result, Tone.BAD)


def newest(runs: Iterable[Recalled]) -> list[Recalled]:
    """Those that have not ended first, each kind with the newest first."""
    return sorted(runs, key=lambda one: one.run.ended is not None)


def lines(runs: Iterable[Recalled], live: Mapping[str, str], now: datetime) -> list[Line]:
    """`live` says of runs of this console what they are at."""
    return [_run(one, live, now) for one in runs]


def _run(one: Recalled, live: Mapping[str, str], now: datetime) -> Line:
    begins, ended = one.run.started, one.run.ended
    last = one.events[-1]
    told = ended.text if ended is not None else line(last.event)[1]
    cells = (
        live.get(begins.run, state(one)),
        clean(begins.runbook, 200),
        clean(begins.target),
        clean(begins.by),
        f"{one.events[0].at:%Y-%m-%d %H:%M}",
        age((now - last.at).total_seconds()),
        clean(told, 500),
    )
    return Line(key=begins.run, cells=cells, tones={0: result_tone(one)})


def details(one: Recalled) -> list[tuple[str, str]]:
    begins = one.run.started
    pairs = [("run", begins.run), ("reason", clean(begins.reason, 500))]
    pairs += [("ticket", clean(begins.ticket))] if begins.ticket else []
    pairs.append(("params", clean(", ".join(f"{k}={v}" for k, v in begins.params.items()), 500) or "none"))
    pairs.append(("effects", ", ".join(one.run.effects) or "none stands"))
    for recorded in reversed(one.events[-4:]):
        pairs.append((f"{recorded.at:%H:%M:%S}", clean(line(recorded.event)[1], 300)))
    return pairs


def rows(runs: Iterable[Recalled]) -> list[dict[str, Any]]:
    """As `dbdeck runbook status --json` has them."""
    return [
        {
            "run": one.run.started.run,
            "began": one.events[0].at,
            "runbook": one.run.started.runbook,
            "target": one.run.started.target,
            "by": one.run.started.by,
            "state": state(one),
            "events": len(one.events),
        }
        for one in runs
    ]


def summary(runs: Iterable[Recalled]) -> str:
    found = list(runs)
    left = sum(one.run.ended is None for one in found)
    if not found:
        return "no run yet"
    whole = "one run" if len(found) == 1 else f"the newest {len(found)} runs"
    return whole + (f", {left} not ended" if left else "")
