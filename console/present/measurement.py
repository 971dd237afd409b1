"""What an exact look at a table or an index costs, and what it found, in words."""

from __future__ import annotations

from console.model.tables import Bloat, Measurement
from console.present.units import clean, size


def cost(found: Measurement) -> list[str]:
    if found.refusal:
        return [f"{clean(found.subject, 200)} cannot be measured here: {clean(found.refusal, 500)}"]
    return [
        f"{clean(found.subject, 200)}: it reads {size(found.bytes)} of it",
        f"by: {clean(found.how, 500)}",
        f"lock: {found.lock}",
    ]


def result(bloat: Bloat) -> list[str]:
    bar = "" if bloat.exact else f", between {size(bloat.low)} and {size(bloat.high)}"
    return [f"wasted: {size(bloat.wasted)} ({bloat.wasted:,} bytes{bar})"]
