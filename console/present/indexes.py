"""What is wrong with indexes as cells, as a sentence, and as rows of a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from console.model.indexes import IndexFinding, IndexHealth, Severity
from console.present.table import Column, Line, Tone
from console.present.tables import wasted
from console.present.units import UNKNOWN, clean, count, size

COLUMNS = (
    Column(title="finding", width=20),
    Column(title="size", width=7, align="right", drop=2),
    Column(title="scans", width=6, align="right", drop=4),
    Column(title="table", width=20, names=True),
    Column(title="index or constraint", width=22),
    Column(title="why", width=24, drop=3),
    Column(title="what mends it", width=14, grow=True),
)
_TONES = {
    Severity.BAD: Tone.BAD,
    Severity.WARN: Tone.WARN,
    Severity.NOTICE: Tone.NORMAL,
    Severity.INFO: Tone.MUTED,
}


def lines(health: IndexHealth) -> list[Line]:
    return [_line(one) for one in health.findings]


def _line(one: IndexFinding) -> Line:
    return Line(
        key=one.key,
        cells=(
            str(one.finding),
            size(one.bytes) if one.bytes is not None else "",
            count(one.scans) if one.scans is not None else "",
            clean(f"{one.schema}.{one.table}", 200),
            clean(one.name, 200),
            clean(one.why, 300),
            clean(one.remedy, 400),
        ),
        tone=_TONES[one.severity],
    )


def summary(health: IndexHealth) -> str:
    if not health.findings:
        return f"nothing is wrong with {_indexes(health.looked_at)}"
    counted = Counter(str(one.finding) for one in health.findings)
    said = ", ".join(f"{number} {name}" for name, number in counted.most_common())
    return f"{_indexes(health.looked_at)}, {size(health.bytes)}: {said}"


def _indexes(number: int) -> str:
    return f"{number} index{'' if number == 1 else 'es'}"


def details(health: IndexHealth, one: IndexFinding) -> list[tuple[str, str]]:
    pairs = [
        ("finding", f"{one.finding}: {clean(one.why, 500)}" if one.why else str(one.finding)),
        ("on", clean(f"{one.schema}.{one.table}" + (f", {one.name}" if one.name else ""), 300)),
        ("definition", clean(one.definition, 500)),
        ("size", size(one.bytes) if one.bytes is not None else ""),
        ("bloat", f"{wasted(one.bloat)} ({_bar(one)})" if one.bloat else ""),
        ("scans", _scans(one)),
        ("beside", clean(one.with_, 300)),
        ("session", str(one.session) if one.session is not None else ""),
        ("mends it", clean(one.remedy, 500)),
    ]
    notes = [("unknown", clean(note, 500)) for note in health.notes]
    return [(label, value) for label, value in pairs if value] + notes


def _bar(one: IndexFinding) -> str:
    bloat = one.bloat
    return f"between {size(bloat.low)} and {size(bloat.high)}" if bloat else UNKNOWN


def _scans(one: IndexFinding) -> str:
    if one.scans is None:
        return ""
    since = f" since {one.since:%Y-%m-%d %H:%M} UTC" if one.since else " since an unknown time"
    last = f", the last {one.last_scan:%Y-%m-%d %H:%M} UTC" if one.last_scan else ""
    return f"{one.scans:,}{since}{last}"


def document(health: IndexHealth) -> list[dict[str, Any]]:
    """Rows of `show indexes --json`, the worst first; null is unknown."""
    return [
        {
            **{name: value for name, value in msgspec.structs.asdict(one).items() if name not in _OTHER},
            "severity": one.severity.name.lower(),
            "with": one.with_ or None,
        }
        for one in health.findings
    ]


_OTHER = ("number", "with_", "severity")


def beside(health: IndexHealth) -> dict[str, Any]:
    return {
        "looked_at": health.looked_at,
        "bytes": health.bytes,
        "since": health.since,
        "notes": list(health.notes),
    }


def notes(health: IndexHealth) -> Iterable[str]:
    return health.notes
