"""Runs the jobs of a plan: side by side, in short tries for locks, within limits, stopped at any moment."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack

import msgspec

from actions import jobs as results
from actions.jobs import Done, End, Job, finish_of, jobs_of, settle_of
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

BATCH = 64  # statements recorded with the first durable write; each later one takes twice as many
MOST = 512  # up to so many


async def perform(plan: Plan, operator: Operator) -> Result:
    """Raises ActionFailed where nothing was done, PartlyRefused where some of it was not."""
    jobs = jobs_of(plan)
    if not jobs:
        return Result(matched=False)
    work = Work(jobs, planned(plan), operator)
    await work.run(finish_of(plan))
    await work.settle(settle_of(plan))
    operator.evidence.update(results.results(work.done))
    return work.result()


class Work:
    """The queue of one run. Every object is recorded before its statement is sent."""

    def __init__(self, jobs: Sequence[Job], limits: Limits, operator: Operator) -> None:
        self._jobs = jobs
        self._queue = deque(enumerate(jobs))
        self._declared = 0  # so many of them, from the first on, are recorded
        self._batch = BATCH
        self._declaring: asyncio.Task[None] | None = None
        self._busy: set[str] = set()
        self._freed = asyncio.Event()
        self._limits = limits
        self._operator = operator
        self._chance = random.Random()  # noqa: S311 - jitter
        self._overseer = Overseer(limits, operator)
        self.done: list[Done] = []

    async def run(self, finish: Statement | None = None) -> None:
        async with AsyncExitStack() as stack, self._overseer.watching():
            lanes = [self._operator, *await self._others(stack)]
            await asyncio.gather(*(self._lane(lane) for lane in lanes))
            if self._declaring is not None:  # for objects that nobody came to any more
                await asyncio.gather(self._declaring, return_exceptions=True)
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

    async def settle(self, statement: Statement | None) -> None:
        """What was done without waiting for the disk is on it from here on, or is not told as sure."""
        if statement is None or not any(one.end is End.DONE for one in self.done):
            return
        try:
            await self._operator.execute(statement)
        except (ActionFailed, OutcomeUnknown) as error:
            said = f"not known to be on the server's disk, a crash of it might take it back: {error.message}"
            self._operator.evidence[results.UNSETTLED] = said
            self._operator.watch.tell(said)

    async def _others(self, stack: AsyncExitStack) -> list[Operator]:
        """As many more connections as are wanted and to be had."""
        more = min(self._limits.lanes, len(self._jobs)) - 1
        opening = (stack.enter_async_context(self._operator.beside()) for _ in range(more))
        found = await asyncio.gather(*opening, return_exceptions=True)
        lanes = [one for one in found if isinstance(one, Operator)]
        for error in (one for one in found if isinstance(one, BaseException)):
            if not isinstance(error, (Unreachable, OSError)):
                raise error
            said = f"{1 + len(lanes)} connections instead of {self._limits.lanes}: {error}"
            self._operator.watch.tell(said)
            break
        return lanes

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
        """Many with one durable write: an object is recorded before it is worked on, not just before.

        The next ones are recorded while these are worked on. Raises ActionFailed where they cannot be.
        """
        while place >= self._declared:
            await asyncio.shield(self._ahead())
        if self._declared - place < BATCH and self._declared < len(self._jobs):
            self._ahead()

    def _ahead(self) -> asyncio.Task[None]:
        """One that failed stays: nothing that was not recorded can be sent by asking again."""
        if self._declaring is None:
            self._declaring = asyncio.create_task(self._record())
        return self._declaring

    async def _record(self) -> None:
        batch = self._jobs[self._declared : self._declared + self._batch]
        await self._operator.declare([one.statement for one in batch])
        self._declared += len(batch)
        self._batch = min(MOST, self._batch * 2)
        self._declaring = None

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


_ANSWERED = 4  # columns of an answer about a table


def objection(rows: Sequence[Row]) -> str:
    """What a server's answer says against what it was told to do.

    PostgreSQL gives warnings (level, text): it skips what it may not touch with one. MySQL and MariaDB
    answer with rows (table, operation, kind, text), also where they did nothing (manual 15.7.3.1): the last
    is a status, or a note that the table's engine cannot do it.
    """
    said = [str(row[-1]) for row in rows if len(row) >= 2 and str(row[-2]).lower() in ("warning", "error")]
    if not said and rows and len(rows[-1]) == _ANSWERED and str(rows[-1][-2]).lower() == "note":
        said = [str(rows[-1][-1])]
    return " ".join("; ".join(said).split())
