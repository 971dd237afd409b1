"""Runs the jobs of a plan: side by side, in short tries for locks, within limits, stopped at any moment."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack

import msgspec

from actions import jobs as results
from actions.jobs import Done, End, Job, finish_of, jobs_of
from actions.ladder import Rung, rungs
from actions.limits import Limits, planned
from actions.overseer import Overseer
from actions.session_proof import PartlyRefused
from actions.words import counted
from console.dispatch.action import Plan, Result
from console.dispatch.operator import Operator
from console.engine.port import Row, Statement
from console.errors import ActionFailed, Cancelled, DbdeckError, LockTimeout, OutcomeUnknown, Unreachable
from console.present.units import span

BATCH = 64  # statements recorded with one durable write


async def perform(plan: Plan, operator: Operator) -> Result:
    """Raises ActionFailed where nothing was done, PartlyRefused where some of it was not."""
    jobs = jobs_of(plan)
    if not jobs:
        return Result(matched=False)
    work = Work(jobs, planned(plan), operator)
    await work.run(finish_of(plan))
    operator.evidence.update(results.results(work.done))
    return work.result()


class Work:
    """The queue of one run. Every object is recorded before its statement is sent."""

    def __init__(self, jobs: Sequence[Job], limits: Limits, operator: Operator) -> None:
        self._jobs = jobs
        self._queue = deque(enumerate(jobs))
        self._declared = 0  # so many of them, from the first on, are recorded
        self._declaring = asyncio.Lock()
        self._busy: set[str] = set()
        self._freed = asyncio.Event()
        self._limits = limits
        self._operator = operator
        self._chance = random.Random()  # noqa: S311 - jitter
        self._overseer = Overseer(limits, operator)
        self.done: list[Done] = []

    async def run(self, finish: Statement | None = None) -> None:
        async with AsyncExitStack() as stack, self._overseer.watching():
            lanes = [self._operator]
            lanes += [lane async for lane in self._others(stack)]
            await asyncio.gather(*(self._lane(lane) for lane in lanes))
        self.done += [Done.of(job, End.NOT_BEGUN) for _, job in self._queue]
        if finish is not None and not self._overseer.stopped:
            await self._finish(finish)

    async def _finish(self, statement: Statement) -> None:
        """What follows all jobs takes nothing back of them when it fails."""
        try:
            await self._operator.execute(statement)
        except (ActionFailed, OutcomeUnknown) as error:
            self._operator.evidence["finish"] = f"{statement.shown}: {error.message}"
            self._operator.watch.tell(f"{statement.shown}: {error.message}")

    async def _others(self, stack: AsyncExitStack) -> AsyncIterator[Operator]:
        """As many more connections as are wanted and to be had."""
        for place in range(2, min(self._limits.lanes, len(self._jobs)) + 1):
            try:
                yield await stack.enter_async_context(self._operator.beside())
            except (Unreachable, OSError) as error:
                self._operator.watch.tell(f"{place - 1} connections instead of {self._limits.lanes}: {error}")
                return

    async def _lane(self, operator: Operator) -> None:
        """One connection's share. One that was lost ends its lane; the others go on."""
        while await self._overseer.may_begin() and (taken := await self._next()) is not None:
            place, job = taken
            try:
                await self._declare(place)
                done = await self._attempts(operator, job)
            except ActionFailed as error:  # not recorded, and so not sent
                self._queue.appendleft(taken)
                self._overseer.stop(error.message)
                return
            finally:
                self._busy.discard(job.on)
                self._freed.set()
            self.done.append(done)
            if len(self._jobs) > 1 and done.end is not End.DONE:
                self._operator.watch.tell(f"{done.id}: {done.end}: {done.note}")
            if done.end is End.UNKNOWN:
                return

    async def _next(self) -> tuple[int, Job] | None:
        """The first whose table nobody works on: two rebuilds of one table would wait for each other."""
        while self._queue and not self._overseer.stopped:
            for at, (place, job) in enumerate(self._queue):
                if job.on not in self._busy:
                    del self._queue[at]
                    self._busy.add(job.on)
                    return place, job
            self._freed.clear()
            await self._freed.wait()
        return None

    async def _declare(self, place: int) -> None:
        """Many with one durable write: an object is recorded before it is worked on, not just before."""
        async with self._declaring:
            if place < self._declared:
                return
            batch = self._jobs[self._declared : max(place + 1, self._declared + BATCH)]
            await self._operator.declare([one.statement for one in batch])
            self._declared += len(batch)

    # ---- one job ------------------------------------------------------------------------------

    async def _attempts(self, operator: Operator, job: Job) -> Done:
        """Only a lock that was not to be had is tried for again."""
        steps: Iterable[Rung] = rungs(self._limits.lock, self._limits.tries, self._chance)
        most = self._limits.tries
        if job.patient:
            steps, most = (Rung(self._limits.wait, 0.0),), 1
        done = Done.of(job, End.NOT_BEGUN)
        for tries, step in enumerate(steps, start=1):
            start = time.monotonic()
            done, locked = await self._try(operator, job, step)
            done = msgspec.structs.replace(done, seconds=round(time.monotonic() - start, 3), tries=tries)
            if not locked or tries == most:
                return done
            if not await self._again(done, step):
                why = f"{self._overseer.why} ({done.note})"
                return msgspec.structs.replace(done, end=End.CANCELLED, note=why)
        return done

    async def _try(self, operator: Operator, job: Job, step: Rung) -> tuple[Done, bool]:
        """What came of it, and whether it was a lock that was not to be had."""
        error: DbdeckError | None = None
        try:
            note = await self._send(operator, job, step)
            end = End.FAILED if note else End.DONE
        except (ActionFailed, OutcomeUnknown) as caught:
            error, note, end = caught, caught.message, _ends(caught)
        locked = isinstance(error, LockTimeout)
        if locked:
            note = await self._overseer.no_lock(job, step.wait, note)
        if self._overseer.stopped and end in (End.FAILED, End.CANCELLED):
            # MySQL and MariaDB answer with a row where a statement was cancelled in its midst, too.
            end, note = End.CANCELLED, f"{self._overseer.why} ({note})" if locked else self._overseer.why
        return Done.of(job, end, note=note, hint=error.hint if error else ""), locked

    async def _send(self, operator: Operator, job: Job, step: Rung) -> str:
        """What the server said against it in its answer; empty where it did it."""
        if self._overseer.stopped:
            raise Cancelled(self._overseer.why)
        statement = msgspec.structs.replace(job.statement, lock_seconds=step.wait)
        with self._overseer.running(job, operator):
            return objection(await operator.send(statement))

    async def _again(self, done: Done, step: Rung) -> bool:
        """Pause between two tries; False when it is over."""
        self._operator.watch.tell(
            f"{done.id}: try {done.tries} of {self._limits.tries}: {done.note}; again in {span(step.pause)}"
        )
        return not await self._overseer.pause(step.pause)

    # ---- the end ------------------------------------------------------------------------------

    def result(self) -> Result:
        """Raises what may be said of a run that did not do all of it."""
        left = [one for one in self.done if one.end is not End.DONE]
        if not left:
            return Result(matched=True)
        first = next((one for one in left if one.note), left[0])
        because = first.note or self._overseer.why
        message = f"{first.verb} {first.subject}: {first.end}: {because}" if because else str(first.end)
        hint = next((one.hint for one in left if one.hint), "")
        if any(one.end is End.UNKNOWN for one in left):
            raise OutcomeUnknown(message, hint)
        if len(left) == len(self.done):
            hint = hint or ("`dbdeck apply --resume {id}` tries again" if len(left) > 1 else "")
            kind = Cancelled if all(one.end is not End.FAILED for one in left) else ActionFailed
            raise kind(message, hint)
        done = len(self.done) - len(left)
        told = f"{counted(done, 'object')} of {len(self.done)} done, {len(left)} not; {message}"
        raise PartlyRefused(told, hint or "`dbdeck apply --resume {id}` does the rest")


def _ends(error: DbdeckError) -> End:
    if isinstance(error, OutcomeUnknown):
        return End.UNKNOWN
    return End.CANCELLED if isinstance(error, Cancelled) else End.FAILED


def objection(rows: Sequence[Row]) -> str:
    """What a server's answer says against what it was told to do.

    PostgreSQL gives warnings (level, text): it skips what it may not touch with one. MySQL and MariaDB
    answer with rows (table, operation, kind, text), also where they did nothing (manual 15.7.3.1).
    """
    said = [str(row[-1]) for row in rows if len(row) >= 2 and str(row[-2]).lower() in ("warning", "error")]
    return " ".join("; ".join(said).split())
