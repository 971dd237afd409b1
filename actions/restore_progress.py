"""How far pg_restore is: what it says with -v, weighed by the sizes of the data in the archive.

It has no progress of its own, up to version 18. In the middle of a large table, the place where a process
reads the archive tells how far that is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from actions.restoring import Site
from console.backups.pg_archive import Archive, Entry
from console.model.drills import PhaseName

T = TypeVar("T")

LOOK_SECONDS = 1.0
_INDEX_SHARE = 0.5  # of the data's weight; measured for pgbench tables: indexes take half as long as COPY
_SMALL = 4096
_LATE = ("INDEX", "CONSTRAINT", "FK CONSTRAINT", "MATERIALIZED VIEW DATA", "REFRESH")
_ITEM = re.compile(r"(processing|launching|finished) item (\d+) ")


class Progress:
    """`done` of `total` bytes; what has no data in the archive counts as much as it is likely to take."""

    def __init__(self, archive: Archive) -> None:
        data = {one.number: one.bytes or 0 for one in archive.entries if one.bytes}
        late = [one.number for one in archive.entries if one.kind in _LATE]
        share = int(sum(data.values()) * _INDEX_SHARE / len(late)) if late else 0
        self._weight = (
            {one.number: _SMALL for one in archive.entries} | dict.fromkeys(late, share + _SMALL) | data
        )
        self._entries = {one.number: one for one in archive.entries}
        self._finished: set[int] = set()
        self._running: set[int] = set()
        self._now = -1

    @property
    def total(self) -> int:
        return sum(self._weight.values())

    def hear(self, line: str) -> None:
        found = _ITEM.search(line)
        if found is None:
            return
        number = int(found[2])
        if found[1] == "finished":
            self._running.discard(number)
            self._finished.add(number)
        elif found[1] == "launching":
            self._running.add(number)
        else:  # one after the other: the last one has ended
            self._finished.update({self._now} - {-1})
            self._now = number

    def done(self, places: Iterable[tuple[Path, int]]) -> int:
        """`places`: which file is read up to where."""
        whole = sum(self._weight.get(number, 0) for number in self._finished)
        reached = [_reached(one, places) for one in self._at_work()]
        return min(self.total, whole + sum(reached))

    def _at_work(self) -> list[Entry]:
        return [self._entries[one] for one in {*self._running, self._now} if one in self._entries]


def _reached(entry: Entry, places: Iterable[tuple[Path, int]]) -> int:
    """How much of an item's data was read."""
    if not entry.bytes:
        return 0
    if entry.offset is None:
        found = [at for path, at in places if path.name.split(".dat")[0] == entry.file.split(".dat")[0]]
    else:
        found = [at - entry.offset for _, at in places if entry.offset <= at <= entry.offset + entry.bytes]
    return min(entry.bytes, max(found, default=0))


def places_in(root: Path) -> list[tuple[Path, int]]:
    """The files at or below `root` that are being read, and up to where; by Linux's /proc."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for one in os.scandir(process / "fd"):
                place = Path(one.path).readlink()
                if place == root or root in place.parents:
                    found.append((place, _position(process / "fdinfo" / one.name)))
    return found


def _position(path: Path) -> int:
    first = path.read_text().split("\n", 1)[0]
    return int(first.split()[1])


@asynccontextmanager
async def looking(look: Callable[[], None]) -> AsyncIterator[None]:
    """`look` each second while the block lasts, off the loop."""

    async def again() -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(look)

    task = asyncio.create_task(again())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def filling(site: Site, folders: Sequence[Path], total: int | None, work: Awaitable[T]) -> T:
    """The work's result; meanwhile how much of `total` bytes lies in the folders."""

    def look() -> None:
        site.advance(PhaseName.RESTORE, sum(map(bytes_in, folders)), total, "B")

    async with looking(look):
        return await site.unless_stopped(work)


def bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_size
    return total
