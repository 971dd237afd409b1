"""The top of a run's screen: what runs where by whom, and what is being waited for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from console.model.target import Target
from console.present.run_map import Spot
from console.present.units import age, clean
from console.runbook.document import Acting, ActionStep, WaitUntil
from console.runbook.events import Begun, Decided
from console.runbook.functions import seconds_of
from console.runbook.history import Recorded
from console.runbook.state import Run
from console.runbook.steps import Ask
from console.runbook.values import ExpressionError


def title(run: Run, target: Target | None, runner: str, began: datetime, now: datetime) -> str:
    begins = run.started
    where = f"{str(target.environment).upper()} · {target.name}" if target is not None else begins.target
    return clean(f"{where} · {begins.runbook} · {runner}, since {age((now - began).total_seconds())}", 300)


def freshness(state: str, events: Sequence[Recorded], now: datetime) -> str:
    return f"{state} · {age((now - events[-1].at).total_seconds())} ago"


def _not_begun(key: str, events: Sequence[Recorded], now: datetime) -> str:
    """Of an action: whether somebody said yes already, and it is the server that is waited for."""
    newest = events[-1] if events else None
    if newest is not None and isinstance(newest.event, Decided):
        said = newest.event
        if (said.step, said.question) == (key, "action"):
            waited = age((now - newest.at).total_seconds())
            return f"{key}: {said.by} said {said.decision} {waited} ago; it begins when the server answers"
    return f"{key} is being planned, or waits for a yes where it runs"


def clock(
    spot: Spot | None,
    events: Sequence[Recorded],
    looked: Mapping[str, str],
    now: datetime,
    *,
    asked: Ask | None,
    over: bool,
) -> str:
    """What is under way, for how long, and how much of its time is left; what a step that waits saw last."""
    if asked is not None:
        waited = age((now - events[-1].at).total_seconds()) if events else "0s"
        return f"asked {waited} ago: nothing happens before it is answered"
    if spot is None or spot.step is None or over:
        return ""
    if spot.state.state == "new" and isinstance(spot.step, ActionStep):
        return _not_begun(spot.key, events, now)
    begun = [one.at for one in events if isinstance(one.event, Begun) and one.event.step == spot.key]
    if spot.state.state != "begun" or not begun:
        return ""
    passed = (now - begun[-1]).total_seconds()
    said = f"{spot.key}: {age(passed)}"
    if isinstance(spot.step, Acting):
        left = _seconds(spot.step.timeout) - passed
        said += (
            f", {age(left)} left of {spot.step.timeout}" if left > 0 else f", beyond its {spot.step.timeout}"
        )
    if isinstance(spot.step, WaitUntil):
        last = looked.get(spot.key, "what it saw last is known where it runs")
        said += f" · waits until {spot.step.until}: {last}"
    return clean(said, 500)


def _seconds(length: str) -> float:
    try:
        return seconds_of(length)
    except ExpressionError:
        return 0.0
