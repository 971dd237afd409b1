"""All targets side by side: each polled by itself, with an age and a failure of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from console.engine.port import Engine
from console.errors import DbdeckError
from console.model.backup_board import DrillBoard
from console.model.instants import steady_now
from console.model.overview import Outlook, Pulse, Rates, Standing, Track, by_trouble
from console.model.reading import Reading
from console.model.target import Target
from console.poll import BUDGET, Feed

OUTLOOK_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 1.0
_SLACK_SECONDS: Final = 0.5
_LEDGER_SECONDS: Final = 3.0
_OLD_SECONDS: Final = 5.0
_CATALOG: Final = {"postgres": ("pg_catalog", "pg_class"), "mysql": ("mysql", "db")}  # lies with the data
Open = Callable[[Target], Awaitable[Engine]]
Drills = Callable[[Target], Awaitable[DrillBoard]]
Judge = Callable[[Standing], Standing]


class _Look:
    """One target. Its slow part is read after its first pulse, and on the same connection."""

    def __init__(self, target: Target, open_: Open, drills: Drills, every: float, budget: float) -> None:
        self.target = target
        self._open = open_
        self._drills = drills
        self._every = every
        self._track = Track()
        self._pulse: Feed[Pulse] = Feed(self._read_pulse, every=every, budget=budget)
        self._outlook: Feed[Outlook] = Feed(self._read_outlook, every=OUTLOOK_SECONDS)
        self._began: float | None = None  # when the first look began that has had no answer since
        self._ended = {"pulse": -1e9, "outlook": -1e9}
        self.running: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """What is due, unless it runs already: a target that does not answer is never asked twice."""
        if self._due("pulse", self._pulse):
            self._run("pulse", self._pulse)
        answered = self._pulse.reading.data is not None and not self._pulse.reading.stale
        if answered and self._due("outlook", self._outlook):
            self._run("outlook", self._outlook)

    def _due(self, name: str, feed: Feed[Any]) -> bool:
        waited = time.monotonic() - self._ended[name]
        return not feed.waiting() and waited >= feed.delay * 0.8

    def _run(self, name: str, feed: Feed[Any]) -> None:
        if name == "pulse" and self._began is None:
            self._began = time.monotonic()
        task = asyncio.create_task(self._poll(name, feed))
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    async def _poll(self, name: str, feed: Feed[Any]) -> None:
        try:
            await feed.poll()
        finally:
            self._ended[name] = time.monotonic()
        pulse = self._pulse.reading
        if name == "pulse" and pulse.data is not None and not pulse.stale:
            self._began = None
            self._track.add(pulse.data, time.monotonic())

    async def _read_pulse(self) -> Pulse:
        return await (await self._open(self.target)).pulse()

    async def _read_outlook(self) -> Outlook:
        """What one of its parts does not tell is told as not known; the others stay."""
        engine = await self._open(self.target)
        found, unknown = Outlook(), []
        try:
            found = await engine.numbers()
        except DbdeckError as error:
            unknown.append(f"transaction numbers: {error.message}")
        try:
            found = msgspec.structs.replace(found, slots=await engine.slots())
        except DbdeckError as error:
            unknown.append(f"replication slots: {error.message}")
        try:
            disk = await engine.disk(*_CATALOG["mysql" if self.target.engine == "mysql" else "postgres"])
        except DbdeckError as error:
            unknown.append(f"disk: {error.message}")
        else:
            used = None if disk.free is None or not disk.size else 1 - disk.free / disk.size
            found = msgspec.structs.replace(found, disk=disk.place, disk_used=used)
            unknown += [f"disk: {disk.why}"] if disk.why else []
        try:  # the ledger answers for these: it may hang while the server does not
            async with asyncio.timeout(_LEDGER_SECONDS):
                overdue, why = await self._overdue()
        except TimeoutError:
            overdue, why = (), f"drills: the ledger did not answer in {_LEDGER_SECONDS:g} s"
        except DbdeckError as error:
            overdue, why = (), f"drills: {error.message}"
        unknown += [why] if why else []
        return msgspec.structs.replace(found, overdue=overdue, unknown=tuple(unknown))

    async def _overdue(self) -> tuple[tuple[str, ...], str]:
        if not self.target.drills.sources:
            return (), ""
        board = await self._drills(self.target)
        if board.problem:
            return (), board.problem  # no proof that is known is not an overdue one
        return tuple(one.source for one in board.states if one.overdue is not None), ""

    def standing(self) -> Standing:
        reading, target, silent = self._pulse.reading, self.target, self._silent()
        outlived = not silent and reading.problem is None and self._outlived(reading)
        return Standing(
            name=target.name,
            engine=target.engine,
            environment=target.environment,
            address=target.address,
            source=target.labels.get("replica_of", ""),
            pulse=None if outlived else reading.data,
            taken_at=None if outlived else reading.taken_at,
            problem=reading.problem,
            silent=silent,
            outlook=self._outlook_now(),
            rates=Rates() if outlived else self._track.rates,
            series=self._track.series(),
        )

    def _outlook_now(self) -> Outlook:
        """Where the last look failed, what an earlier one saw is told with that."""
        reading = self._outlook.reading
        found = reading.data or Outlook()
        if reading.problem is None:
            return found
        why = f"numbers, slots, disk and drills, read anew: {reading.problem.message}"
        return msgspec.structs.replace(found, unknown=(*found.unknown, why))

    def _outlived(self, reading: Reading[Pulse]) -> bool:
        """From before a time in which nobody looked: no answer is late yet, and that one is not now."""
        if reading.taken_at is None:
            return False
        oldest = max(_OLD_SECONDS, 2 * self._every + _SLACK_SECONDS) + (reading.latency_ms or 0.0) / 1000
        return (steady_now() - reading.taken_at).total_seconds() > oldest

    def _silent(self) -> float:
        """Seconds without an answer, once that is longer than it should be, or the last look failed."""
        problem = self._pulse.reading.problem
        if problem is not None and problem.since is not None:
            return max(0.0, (steady_now() - problem.since).total_seconds())
        silent = 0.0 if self._began is None else time.monotonic() - self._began
        return silent if silent > self._every + _SLACK_SECONDS else 0.0


class Overview:
    """Holds the last minutes of every target, whichever of them is open. `judge` says what is wrong."""

    def __init__(
        self,
        targets: Sequence[Target],
        open_: Open,
        drills: Drills,
        judge: Judge,
        *,
        every: float,
        budget: float = BUDGET,
    ) -> None:
        self._looks = [_Look(target, open_, drills, every, budget) for target in targets]
        self._judge = judge

    async def look(self, patience: float = PATIENCE_SECONDS) -> tuple[Standing, ...]:
        """Ask whom it is time to ask, wait at most `patience` seconds for all, and tell what is known: who
        has not answered yet does not keep the others.
        """
        for one in self._looks:
            one.start()
        running = [task for one in self._looks for task in one.running]
        if running:
            done, _ = await asyncio.wait(running, timeout=patience)
            for task in done:
                if not task.cancelled():  # by `close`
                    task.result()
        return self.now()

    def now(self) -> tuple[Standing, ...]:
        return by_trouble([self._judge(one.standing()) for one in self._looks])

    async def aclose(self) -> None:
        running = [task for one in self._looks for task in one.running]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
