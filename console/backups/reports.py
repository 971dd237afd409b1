"""Reports of earlier drills, as they lie on this machine; what they found over time is plotted by them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from console.model.drill_history import DrillRecord
from console.model.drills import Verdict

MOST = 200


class _Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a plot takes of one."""

    id: str
    source: str
    started_at: str
    verdict: Verdict
    rto_seconds: float | None = None
    rpo_seconds: float | None = None


def earlier(folder: Path, source: str) -> list[DrillRecord]:
    """Of this source, the oldest first; a file that cannot be read is left out."""
    found = [one for path in _newest(folder, source) if (one := _read(path, source)) is not None]
    return sorted(found, key=lambda one: one.started_at)


def _newest(folder: Path, source: str) -> Iterator[Path]:
    """Their names begin with the time."""
    yield from sorted(folder.glob(f"*-{source}-*.json"), reverse=True)[:MOST]


def _read(path: Path, source: str) -> DrillRecord | None:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Report)
        if found.source != source:
            return None
        values = {**msgspec.structs.asdict(found), "backup": "", "method": "", "seconds": 0.0}
        return msgspec.convert(values, DrillRecord)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return None
