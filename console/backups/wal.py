"""Archives of WAL segments: what is in them, what is missing in the middle, and how far they go."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

SEGMENT_BYTES = 16 << 20
_SEGMENT = re.compile(
    r"^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(?:-[0-9a-f]{40})?(?:\.(?:gz|lz4|zst|bz2|xz))?$"
)
_LSN = re.compile(r"^([0-9A-F]{1,8})/([0-9A-F]{1,8})$", re.IGNORECASE)
# How a file of an archive gets to where the server wants it, by its ending.
FETCH = {"": "cp --", ".gz": "gzip -dc", ".zst": "zstd -dcq", ".lz4": "lz4 -dcq"}


class Segment(NamedTuple):
    """`number` counts segments from the beginning of all WAL; timelines share the numbers."""

    timeline: int
    number: int

    def name(self, size: int = SEGMENT_BYTES) -> str:
        per_log = (1 << 32) // size
        return f"{self.timeline:08X}{self.number // per_log:08X}{self.number % per_log:08X}"


def segment(name: str, size: int = SEGMENT_BYTES) -> Segment | None:
    """None for what is no whole segment: history files, labels of backups, partial ones."""
    found = _SEGMENT.match(name)
    if found is None:
        return None
    timeline, log, part = (int(one, 16) for one in found.groups())
    return Segment(timeline, log * ((1 << 32) // size) + part)


def position(lsn: str) -> int:
    """Bytes from the beginning of all WAL. Raises ValueError."""
    found = _LSN.match(lsn)
    if found is None:
        raise ValueError(f"{lsn!r} is no position in WAL")
    return (int(found[1], 16) << 32) + int(found[2], 16)


class Span(NamedTuple):
    """What an archive holds from a backup's first segment on. `last` None: nothing of it."""

    first: Segment
    last: Segment | None
    missing: tuple[Segment, ...]

    @property
    def segments(self) -> int:
        """Segments that a recovery to the end reads."""
        return 0 if self.last is None else max(0, self.last.number - self.first.number + 1)


def span(first: Segment, found: Iterable[Segment], own: Iterable[Segment] = ()) -> Span:
    """`found` are in the archive, `own` came with the backup. The newest timeline counts: older ones may
    have gone on by themselves after it branched off.
    """
    archived = [one for one in found if one.timeline >= first.timeline and one.number >= first.number]
    newest = max((one.timeline for one in archived), default=first.timeline)
    last = max((one for one in archived if one.timeline == newest), key=lambda one: one.number, default=None)
    if last is None:
        return Span(first, None, ())
    there = {one.number for one in (*archived, *own)}
    numbers = range(first.number, last.number + 1)
    return Span(first, last, tuple(Segment(newest, one) for one in numbers if one not in there))


def names_in(folder: Path) -> list[str]:
    """Of all files, also in the folders that some archives have for each log. Raises OSError."""
    return [path.name for path in folder.rglob("*") if not path.is_dir()]
