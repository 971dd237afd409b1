"""Looks on while jobs run: guards, budget and stop; how far each is, and who stands in its way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from actions import patience
from actions.in_the_way import names_of
from actions.jobs import Job
from actions.limits import Limits, pausing, stopping
from console.dispatch.operator import Operator
from console.errors import DbdeckError
from console.model.progress import Confidence, Progress
from console.present.units import age, span

LOOK_SECONDS = 1.0
CANCEL_SECONDS = 1.0
MISSED_ROUNDS = 5  # looks between two at whether our own sessions are still there
UNSEEN = 2
QUIET_SECONDS = 2.0  # what is done sooner is not worth a line


class Overseer:
    """`halt` is set when what runs must be cancelled and nothing more may begin; `why` says for what."""

    def __init__(self, limits: Limits, operator: Operator) -> None:
        self._limits = limits
        self._operator = operator
        self._watch = operator.watch
        self._running: dict[int, tuple[Job, Operator, float]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._told: dict[int, str] = {}
        self._unseen: dict[int, int] = {}
        self._free = asyncio.Event()
        self._free.set()
        self._paused = ""
        self.halt = asyncio.Event()
        self.why = ""

    @property
    def stopped(self) -> bool:
        return self.halt.is_set()

    def stop(self, why: str) -> None:
        """What runs is cancelled by the server; what became of it is told by its own answer."""
        if self.stopped:
            return
        self.why = why
        self.halt.set()
        self._free.set()
        for session, (_, operator, _) in self._running.items():
            self._ending.add(asyncio.create_task(self._cancel(session, operator)))

    async def _cancel(self, session: int, operator: Operator) -> None:
        """Until it ended: a request may come between two statements, or find no connection."""
        while session in self._running:
            await operator.cancel()
            await self._ended(session)

    async def _ended(self, session: int) -> None:
        end = time.monotonic() + CANCEL_SECONDS
        while session in self._running and time.monotonic() < end:  # noqa: ASYNC110 - brief, and rare
            await asyncio.sleep(0.05)

    @contextmanager
    def running(self, job: Job, operator: Operator) -> Iterator[None]:
        session = operator.session_id
        self._running[session] = job, operator, time.monotonic()
        try:
            yield
        finally:
            self._running.pop(session, None)
            self._told.pop(session, None)

    async def may_begin(self) -> bool:
        """Waits while a guard says so; False when nothing more may begin."""
        await self._free.wait()
        return not self.stopped

    async def pause(self, seconds: float) -> bool:
        """True when it was stopped meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.halt.wait()
        return self.stopped

    # ---- looking ------------------------------------------------------------------------------

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        if self._limits.guarded:
            await self._guard()
        tasks = [asyncio.create_task(one) for one in (self._until_stopped(), self._look())]
        if self._limits.budget is not None:
            tasks.append(asyncio.create_task(self._until_spent(self._limits.budget)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, *self._ending, return_exceptions=True)

    async def _until_stopped(self) -> None:
        await self._watch.stop.wait()
        self.stop(f"it was stopped by {self._watch.stop.by or 'its caller'}")

    async def _until_spent(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.stop(f"its budget of {span(seconds)} was spent")

    async def _look(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._limits.guarded:
                await self._guard()
            await self._report()
            rounds += 1
            if rounds % MISSED_ROUNDS == 0:
                await self._missed()

    async def _missed(self) -> None:
        """Sessions of ours that the server does not have any more, twice in a row: their answers will not
        come, though the wire has not said so.
        """
        for session, (job, operator, _) in list(self._running.items()):
            try:
                gone = await self._operator.engine.session(session) is None
            except DbdeckError:
                return
            self._unseen[session] = self._unseen.get(session, 0) + 1 if gone else 0
            if self._unseen[session] >= UNSEEN and session in self._running:
                self._watch.tell(f"{job.id}: its session {session} is gone on the server")
                operator.abandon()

    async def _guard(self) -> None:
        """A server whose load cannot be read is not worked on further until it can."""
        try:
            load = await self._operator.engine.load()
        except DbdeckError as error:
            self._hold(f"the load cannot be read: {error.message}")
            return
        critical = stopping(load, self._limits)
        if critical:
            self.stop(critical)
            return
        self._hold(pausing(load, self._limits))

    def _hold(self, why: str) -> None:
        if bool(why) != bool(self._paused):
            self._watch.tell(f"waiting: {why}" if why else "going on")
        self._paused = why
        if why and not self.stopped:
            self._free.clear()
        else:
            self._free.set()

    async def _report(self) -> None:
        """A line for each job that takes its time, when it changed."""
        now = time.monotonic()
        slow = {session for session, (_, _, since) in self._running.items() if now - since >= QUIET_SECONDS}
        if not slow:
            return
        try:
            work = (await self._operator.engine.progress()).work
        except DbdeckError:
            return
        for one in work:
            if one.session in slow and one.session in self._running:
                said = f"{self._running[one.session][0].id}: {how_far(one)}"
                if self._told.get(one.session) != said:
                    self._told[one.session] = said
                    self._watch.tell(said)

    async def no_lock(self, job: Job, seconds: float, said: str) -> str:
        """Why the job did not get on within the time, by whom is in its way; else in the server's words."""
        if job.patient:
            found = await self._waited_for(job) or "nobody who is seen any more"
            return f"it waited {span(seconds)} (wait=…) for others to end: {found}"
        return f"no lock was to be had: {await self._in_the_way(job) or said}"

    async def _waited_for(self, job: Job) -> str:
        try:
            return await patience.waited_for(self._operator.engine, job, set(self._running))
        except DbdeckError:
            return ""

    async def _in_the_way(self, job: Job) -> str:
        """Who holds a lock that the job wants, in words; empty when nobody is seen."""
        try:
            return names_of(
                await self._operator.engine.table_locks([(job.schema, job.table or job.name)]), job
            )
        except DbdeckError:
            return ""


def how_far(one: Progress) -> str:
    """`scanning heap, 43 %, 3m left (rough)`; and whom it waits for."""
    said = [one.phase] if one.phase else []
    if one.fraction is not None:
        said.append(f"{one.fraction:.0%}")
    if one.estimate.seconds is not None:
        rough = " (rough)" if one.estimate.confidence is Confidence.ROUGH else ""
        said.append(f"{age(one.estimate.seconds)} left{rough}")
    if one.waits_for:
        said.append(f"waits for session {', '.join(str(number) for number in one.waits_for[:3])}")
    return ", ".join(said) or "running"
