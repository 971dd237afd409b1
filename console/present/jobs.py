"""The jobs of this console as cells and as rows of a document."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from console.model.jobs import Job, JobState
from console.present.table import Column, Line, Tone
from console.present.units import age, clean, span

COLUMNS: Final = (
    Column(title="started", width=8),
    Column(title="state", width=10),
    Column(title="took", width=6, align="right"),
    Column(title="done", width=5, align="right", drop=2),
    Column(title="left", width=6, align="right", drop=1),
    Column(title="target", width=12, least=8, drop=3),
    Column(title="job", width=20, least=14),
    Column(title="what it says", width=24, grow=True),
)
EMPTY: Final = "Nothing was started in this console yet."
# A mark and a word beside the colour.
_STATES: Final = {
    JobState.RUNNING: ("► running", Tone.NOTICE),
    JobState.DONE: ("● done", Tone.GOOD),
    JobState.PARTLY: ("◐ partly", Tone.WARN),
    JobState.NOT_DONE: ("■ not done", Tone.BAD),
    JobState.UNKNOWN: ("? unknown", Tone.WARN),
}


def newest_first(jobs: Sequence[Job]) -> tuple[Job, ...]:
    """What runs stands above what has ended."""
    return tuple(sorted(jobs, key=lambda one: (one.state is JobState.RUNNING, one.number), reverse=True))


def lines(jobs: Sequence[Job], now: datetime) -> list[Line]:
    return [_line(one, now) for one in jobs]


def _line(one: Job, now: datetime) -> Line:
    word, tone = _STATES[one.state]
    running = one.state is JobState.RUNNING
    seconds = (now - one.started_at).total_seconds() if one.seconds is None else one.seconds
    return Line(
        key=str(one.number),
        cells=(
            f"{one.started_at.astimezone():%H:%M:%S}",
            word,
            age(seconds // 10 * 10) if running else span(seconds),
            "" if one.share is None or not running else f"{one.share:.0%}",
            "" if one.eta is None or not running else age(one.eta),
            clean(one.target, 60),
            clean(one.name, 60),
            clean(one.said, 300),
        ),
        tones={1: tone},
    )


def details(one: Job) -> str:
    head = f"{one.name} on {one.target}, started {one.started_at:%Y-%m-%d %H:%M:%S} UTC"
    told = one.result or ((one.said,) if one.said else ())
    return "\n".join([head, *(clean(line, 2000) for line in told)])


def summary(jobs: Sequence[Job]) -> str:
    running = sum(1 for one in jobs if one.state is JobState.RUNNING)
    return f"{running} running, {len(jobs) - running} ended in this console"


def title(jobs: Sequence[Job]) -> str:
    """For the terminal's title: what runs now, or nothing."""
    running = [one for one in jobs if one.state is JobState.RUNNING]
    if not running:
        return ""
    one = running[-1]
    share = "" if one.share is None else f" {one.share:.0%}"
    more = f" and {len(running) - 1} more" if len(running) > 1 else ""
    return clean(f"{one.name}{share}{more}", 100)


def document(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "target": one.target,
            "started_at": one.started_at,
            "ended_at": one.ended_at,
            "state": one.state,
            "share": one.share,
            "eta_seconds": one.eta,
            "said": one.said,
            "result": list(one.result),
            "run": one.run or None,
        }
        for one in jobs
    ]
