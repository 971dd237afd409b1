"""Work that reports its progress as cells, as a sentence, and as rows of a document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from console.model.progress import Confidence, Progress, ProgressReport
from console.present.table import Column, Line, Tone
from console.present.units import UNKNOWN, age, clean, count, size

COLUMNS = (
    Column(title="session", width=8, align="right", whole=True),
    Column(title="command", width=14),
    Column(title="for", width=6, align="right"),
    Column(title="done", width=17),
    Column(title="left", width=7, align="right"),
    Column(title="rate", width=10, align="right", drop=3),
    Column(title="waits for", width=10, drop=1),
    Column(title="phase", width=24, drop=2),
    Column(title="object", width=20, grow=True, names=True),
)
_BAR = 10


def lines(report: ProgressReport) -> list[Line]:
    return [_line(one) for one in report.work]


def _line(one: Progress) -> Line:
    return Line(
        key=one.key,
        cells=(
            str(one.session),
            one.command.lower() + ("!" if one.wraparound else ""),
            age(one.seconds),
            bar(one.fraction),
            left(one),
            rate(one),
            ", ".join(str(number) for number in one.waits_for[:3]),
            clean(one.phase, 100),
            clean(one.object or one.query or "", 300),
        ),
        tone=Tone.WARN if one.waits_for else Tone.MUTED if one.automatic else Tone.NORMAL,
    )


def bar(fraction: float | None) -> str:
    """`######---- 61%`, in ASCII: it is read on every terminal."""
    if fraction is None:
        return UNKNOWN
    full = int(fraction * _BAR)
    return f"{'#' * full}{'-' * (_BAR - full)} {fraction:4.0%}"


def left(one: Progress) -> str:
    """`~` before what is only a rough guess."""
    seconds = one.estimate.seconds
    if seconds is None:
        return UNKNOWN
    return f"{'~' if one.estimate.confidence is Confidence.ROUGH else ''}{age(seconds)}"


def rate(one: Progress) -> str:
    value = one.estimate.rate
    if value is None:
        return ""
    if one.unit == "bytes":
        return f"{size(value)}/s"
    return f"{count(value)}/s"


def summary(report: ProgressReport) -> str:
    if not report.work:
        return "nothing reports progress now"
    waiting = sum(1 for one in report.work if one.waits_for)
    said = f"{len(report.work)} at work"
    return f"{said}, {waiting} waiting for others" if waiting else said


def details(report: ProgressReport, one: Progress) -> list[tuple[str, str]]:
    waits = ", ".join(f"session {number}" for number in one.waits_for)
    pairs = [
        ("session", f"{one.session} {clean(one.user or '')}".strip()),
        ("command", _command(one)),
        ("object", clean(f"{one.object} in {one.database}" if one.database else one.object, 300)),
        ("phase", clean(one.phase, 200)),
        ("done", _done(one)),
        ("left", f"{left(one)} ({one.estimate.confidence})" if one.estimate.seconds is not None else ""),
        ("waits for", f"{waits}: f leads to the lock tree" if waits else ""),
        *((clean(name, 20), clean(value, 200)) for name, value in one.details.items()),
        ("statement", clean(one.query or "", 1000)),
    ]
    notes = [("unknown", clean(note, 500)) for note in report.notes]
    return [(label, value) for label, value in pairs if value] + notes


def _command(one: Progress) -> str:
    who = "by autovacuum" if one.automatic else ""
    must = "against wraparound: it must not be ended" if one.wraparound else ""
    rounds = f"index pass {one.rounds}: its memory is too small" if (one.rounds or 0) > 1 else ""
    return ", ".join(word for word in (one.command, who, must, rounds) if word)


def _done(one: Progress) -> str:
    if one.done is None:
        return ""
    of = f" of {one.total:,}" if one.total else ""
    share = f" ({one.fraction:.0%})" if one.fraction is not None else ""
    return f"{one.done:,}{of} {one.unit}{share}"


def document(report: ProgressReport) -> list[dict[str, Any]]:
    """Rows of `show progress --json`; null is unknown."""
    return [
        {
            "session": {"id": one.session, "started_at": one.started_at},
            "fraction": one.fraction,
            "rate": one.estimate.rate,
            "seconds_left": one.estimate.seconds,
            "confidence": one.estimate.confidence,
            **{name: value for name, value in msgspec.structs.asdict(one).items() if name not in _OTHER},
        }
        for one in report.work
    ]


_OTHER = ("session", "started_at", "estimate")


def beside(report: ProgressReport) -> dict[str, Any]:
    return {"notes": list(report.notes)}


def notes(report: ProgressReport) -> Iterable[str]:
    return report.notes
