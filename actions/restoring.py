"""What a drill hands to whoever restores a backup, and what it gets back."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec

from console.dispatch.action import Advance, Watch
from console.dispatch.enclosure import Enclosure, Kind
from console.errors import Cancelled
from console.model.backups import Backup, DrillRule, Source
from console.model.drills import Area, Check, Outcome, Phase, PhaseName
from console.model.inventory import Baseline
from console.model.target import Target
from console.present.units import size

INODES_SPARE = 1000
_QUIET_SECONDS = 5.0
_NOTHING: Mapping[str, float] = {}
T = TypeVar("T")


class Space(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore will take on the scratch disk; `why` is how that was reckoned."""

    bytes: int
    inodes: int = 0
    why: str = ""


class Site:
    """One drill at work: its rule, its backup, its enclosure, and its clock."""

    def __init__(
        self,
        rule: DrillRule,
        source: Source,
        backup: Backup,
        watch: Watch,
        expected: Mapping[str, float] = _NOTHING,
    ) -> None:
        """`expected`: how many seconds each phase took last time."""
        self.rule = rule
        self.source = source
        self.backup = backup
        self.watch = watch
        self.to_time: datetime | None = None
        self.baseline: Baseline | None = None  # what the copy is compared with, once it is known
        self.phases: list[Phase] = []
        self.checks: list[Check] = []
        self.tools: dict[str, str] = {}
        self._expected = expected
        self._open: PhaseName | None = None
        self._began = 0.0
        self._told = 0.0

    @asynccontextmanager
    async def phase(self, name: PhaseName, size: int | None = None) -> AsyncIterator[None]:
        """Time what happens in it; several stretches of one phase add up in the report."""
        if self._open is name:  # a stretch within itself is not told and counted twice
            yield
            return
        self.watch.tell(f"{name} …")
        self._open = name
        start = self._began = time.monotonic()
        clock = asyncio.create_task(self._by_the_clock(name))
        try:
            yield
        finally:
            self._open = None
            clock.cancel()
            self.phases.append(Phase(name=name, seconds=time.monotonic() - start, bytes=size))

    def advance(self, phase: PhaseName, done: float, total: float | None, unit: str = "") -> None:
        """How far a phase is, with what is left of it by the rate since it began."""
        self._told = time.monotonic()
        spent = self._told - self._began
        left = None if not total or done <= 0 else max(0.0, spent * (total - done) / done)
        why = "" if left is None else "by the rate so far"
        self.watch.advance(Advance(phase=phase, done=done, total=total, unit=unit, eta=left, why=why))

    async def _by_the_clock(self, phase: PhaseName) -> None:
        """Where nobody knows how far a phase is, it is as far as it was after this time when drilled last."""
        expected = self._expected.get(phase)
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            if now - self._told < _QUIET_SECONDS:
                continue
            spent = now - self._began
            eta = None if expected is None else max(0.0, expected - spent)
            total = None if expected is None else max(expected, spent)
            why = "" if expected is None else "as long as last time"
            self.watch.advance(Advance(phase=phase, done=spent, total=total, unit="s", eta=eta, why=why))

    async def unless_stopped(self, work: Awaitable[T]) -> T:
        """The work's result. Raises Cancelled, once the work has ended, where a stop was asked for."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self.watch.stop.wait())
        try:
            await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise Cancelled(f"stopped by {self.watch.stop.by or 'its caller'}")
        finally:
            stop.cancel()
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """The server that a restore ended with, in its enclosure. `target` leads to it, to each of `databases`
    with its `database` replaced. `newest` is the last thing it replayed, where it replays.
    """

    target: Target
    databases: tuple[str, ...]
    newest: datetime | None = None
    newest_from: str = ""
    whole_cluster: bool = True  # roles and the like are in it


class Restorer(Protocol):
    """How the backups of one method are restored. It raises ActionFailed only where the drill itself could
    not go on; what is wrong with the backup is a failed Check.
    """

    kind: Kind

    async def tools(self, site: Site) -> list[Check]:
        """Whether the programs are there, of versions that can read this backup; nothing is written.

        It leaves what it found in `site.tools` (name -> version).
        """
        ...

    async def space(self, site: Site) -> Space: ...

    async def media(self, site: Site, enclosure: Enclosure) -> list[Check]:
        """The backup's own files: complete, with the right checksums."""
        ...

    async def restore(self, site: Site, enclosure: Enclosure) -> Restored | None:
        """A running server with the data in it. None where the backup cannot be restored: `site.checks` got
        the failed check that says why. Its time is in `site.phases`: RESTORE, then RECOVER.
        """
        ...

    async def fence(self, site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:
        """That what was restored reaches nobody, by its own word."""
        ...

    async def integrity(self, site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:
        """What is sound in it: sequences, foreign keys, indexes, heap, collations. May change the copy."""
        ...


async def room(rule: DrillRule, space: Space) -> Check:
    """Whether the scratch disk has room for a restored copy."""
    name = "room for the restored copy"
    base = rule.scratch_folder
    try:
        free = await asyncio.to_thread(shutil.disk_usage, base)
        inodes = (await asyncio.to_thread(os.statvfs, base)).f_favail
    except OSError as error:
        return Check(area=Area.GROUND, name=name, outcome=Outcome.BROKEN, detail=f"{base}: {error.strerror}")
    said = f"{size(space.bytes)} wanted below {base}, {size(free.free)} free ({space.why})"
    outcome = Outcome.PASSED
    if free.free < space.bytes:
        outcome, said = Outcome.BROKEN, f"{said}; `drills.scratch` names another place"
    elif space.inodes and 0 < inodes < space.inodes + INODES_SPARE:
        outcome, said = Outcome.BROKEN, f"{space.inodes} files wanted, {inodes} inodes free"
    return Check(area=Area.GROUND, name=name, outcome=outcome, detail=said)


def host() -> dict[str, Any]:
    """The machine whose times these are."""
    with suppress(OSError, ValueError):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return {"name": socket.gethostname(), "cpus": os.cpu_count(), "memory": memory}
    return {"name": socket.gethostname(), "cpus": os.cpu_count()}
