"""Binary logs as files: which there are, and from when to when they go. Their events are not decoded.

Format: MySQL internals, "Binary Log Event" version 4: a magic number, then events with a header of 19 bytes
(time, type, server, length, next position, flags), little-endian. MariaDB has the same.
"""

from __future__ import annotations

import re
import struct
from datetime import UTC, datetime
from pathlib import Path

import msgspec

_MAGIC = b"\xfebin"
_HEADER = struct.Struct("<IBIIIH")
_NUMBERED = re.compile(r"(?P<stem>.+)\.(?P<number>\d{6,})")


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """`last` is the time of its last event; `whole` False: it ends in the middle of one. None of both where
    it is encrypted, or no binary log.
    """

    path: Path
    first: datetime | None = None
    last: datetime | None = None
    whole: bool | None = None


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """The logs from one on, in their order, and the names that are missing between them."""

    logs: tuple[Path, ...] = ()
    missing: tuple[str, ...] = ()


def chain(folder: Path, first: str) -> Chain:
    """From the log named `first` on; of all there are where it is empty. Raises OSError."""
    wanted = _NUMBERED.fullmatch(first)
    found: dict[int, Path] = {}
    stems: set[str] = set()
    for path in folder.iterdir():
        named = _NUMBERED.fullmatch(path.name)
        if named is None or (wanted and named["stem"] != wanted["stem"]):
            continue
        stems.add(named["stem"])
        found[int(named["number"])] = path
    if not found or len(stems) > 1:
        return Chain(missing=(first,) if first else ())
    low = int(wanted["number"]) if wanted else min(found)
    width = len(wanted["number"]) if wanted else 6
    stem = next(iter(stems))
    numbers = range(low, max(found) + 1)
    return Chain(
        logs=tuple(found[number] for number in numbers if number in found),
        missing=tuple(f"{stem}.{number:0{width}d}" for number in numbers if number not in found)
        or (() if low in found else (first,)),
    )


def look(path: Path) -> Log:
    """Its header lines alone are read. Raises OSError."""
    times: list[int] = []
    size = path.stat().st_size
    with path.open("rb", buffering=1 << 16) as file:
        if file.read(4) != _MAGIC:
            return Log(path=path)
        at = 4
        while at + _HEADER.size <= size:
            when, _, _, length, _, _ = _HEADER.unpack(file.read(_HEADER.size))
            if length < _HEADER.size or at + length > size:
                break
            if when:
                times = [times[0] if times else when, when]
            at += length
            file.seek(at)
    return Log(path=path, first=_time(times[:1]), last=_time(times[-1:]), whole=at == size)


def _time(seconds: list[int]) -> datetime | None:
    return datetime.fromtimestamp(seconds[0], UTC) if seconds else None
