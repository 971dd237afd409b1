"""Feeds: one read asked again and again, with a deadline, a back-off, and the last good data kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from console.errors import DbdeckError, PrivilegeMissing, ServerSilent
from console.model.instants import steady_now
from console.model.reading import Problem, Reading

T = TypeVar("T")
DEADLINE_SECONDS = 15.0
SLOWEST_SECONDS = 5.0
# When an answer is late: soon where answers come quickly, else after some times what they took lately, and in
# any case when the next one was due.
LATE_SECONDS = 0.9
TIMES = 3
SLACK_SECONDS = 0.5
_A_MOMENT = 0.01  # later than late
BUDGET = 0.2  # the share of the time in which a server, and the line to it, may be at work for one feed
# Between looks for a server that was away. A login that is refused is tried less often: some servers lock the
# account, or let its next tries wait.
AWAY_SECONDS = 2.0
_SLEPT_SECONDS = 2.0  # beyond the deadline: a process that runs is not so late
_AWAY = frozenset({"unreachable", "no_slot", "silent"})
# A grant is given rarely, and asking costs the server a failed statement in its log each time.
PRIVILEGE_SECONDS = 30.0


class Feed(Generic[T]):
    """Polls one read. Never stacked: a poll that runs is the only one.

    `delay` is the seconds to wait before the next poll: the interval while all is well, longer where an
    answer takes long, so that no more than `budget` of the time is spent on asking (but not beyond 5 s, or
    10 s for half of the usual budget), and a little longer with each failure (at most 2 s where the server is
    away, so that it is seen soon when it is back, and 5 s else).
    """

    def __init__(self, read: Callable[[], Awaitable[T]], *, every: float, budget: float = BUDGET) -> None:
        self.budget = budget
        self._read = read
        self._every = every
        self._failures = 0
        self._asked: float | None = None
        self._silent: float | None = None  # when the first poll began that has had no answer since
        self._lately: float | None = None  # seconds that answers took; a slow one is forgotten slowly
        self.overdue: Callable[[], None] = _nothing  # called when an answer becomes late
        self.heard: Callable[[], float] = _never  # when the server answered anybody here; monotonic seconds
        self.reading: Reading[T] = Reading(data=None, taken_at=None, latency_ms=None)
        self.delay = every

    async def poll(self) -> Reading[T]:
        """The next reading; a failure is one with a problem and the last good data."""
        self._asked, asked_at = time.monotonic(), steady_now()
        start = self._asked
        if self._silent is None:
            self._silent = start
        watch = asyncio.get_running_loop().call_later(self.calm + _A_MOMENT, self.overdue)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                data = await self._read()
        except TimeoutError:
            self._failed(ServerSilent(f"no answer in {DEADLINE_SECONDS:g} s"), asked_at)
        except DbdeckError as error:
            self._failed(error, asked_at)
        else:
            self._failures = 0
            self._silent = None
            latency = self.reading.latency_ms
            if _slept(asked_at):
                self.delay = 0.0
            else:
                took = time.monotonic() - start
                self._lately = max(took, 0.8 * (self._lately or 0.0))
                self.delay, latency = max(self._every, self._rest(took)), took * 1000
            # As old as the question: it may have been answered long before it was read.
            self.reading = Reading(data=data, taken_at=asked_at, latency_ms=latency)
        finally:
            watch.cancel()
            self._asked = None
        return self.reading

    def forget(self) -> None:
        """What was read is of another server than the one that answers now."""
        self.reading = Reading(data=None, taken_at=None, latency_ms=None, problem=self.reading.problem)
        self._lately = None

    @property
    def pace(self) -> float:
        """Seconds from one answer to the next, while all is well and the next takes as long."""
        took = (self.reading.latency_ms or 0.0) / 1000
        return max(self._every, self._rest(took)) + took

    def waiting(self) -> float:
        """Seconds the running poll has been waiting for its answer; 0.0 when none runs."""
        return 0.0 if self._asked is None else time.monotonic() - self._asked

    @property
    def patience(self) -> float:
        """Seconds in which an answer is not late."""
        longest = self._every + SLACK_SECONDS
        return longest if self._lately is None else min(longest, max(LATE_SECONDS, TIMES * self._lately))

    @property
    def late(self) -> float:
        """Seconds without an answer while a poll runs, once that is longer than it should be; else 0.0."""
        if self._silent is None or self._unheard() < self.patience:
            return 0.0
        return time.monotonic() - max(self._silent, self.heard())

    @property
    def calm(self) -> float:
        """Seconds from now in which it is not late, whatever comes."""
        return max(0.0, self.patience - self._unheard())

    def _unheard(self) -> float:
        """Seconds in which the running poll has heard nothing; 0.0 when none runs.

        Another read on the same connection that was answered speaks for the server, and whoever refused the
        last question is silent only once this one has waited.
        """
        if self._asked is None or self._silent is None:
            return 0.0
        problem = self.reading.problem
        refused = problem is not None and problem.kind != "silent"
        return max(0.0, time.monotonic() - max(self._asked if refused else self._silent, self.heard()))

    def _rest(self, took: float) -> float:
        return min(SLOWEST_SECONDS * BUDGET / self.budget, took * (1 / self.budget - 1))

    def _failed(self, error: DbdeckError, asked_at: datetime) -> None:
        if _slept(asked_at):  # whose silence it was is not known
            self._silent, self.delay = None, 0.0
            return
        self._failures += 1
        before = self.reading.problem
        began = time.monotonic() - (self._silent or time.monotonic())
        if error.kind not in _AWAY:
            self._silent = None  # that was an answer
        since = before.since if before else steady_now() - timedelta(seconds=began)
        problem = Problem(kind=error.kind, message=error.message, hint=error.hint, since=since)
        self.reading = Reading(
            data=self.reading.data,
            taken_at=self.reading.taken_at,
            latency_ms=self.reading.latency_ms,
            problem=problem,
        )
        longest = AWAY_SECONDS if error.kind in _AWAY else SLOWEST_SECONDS
        patient = isinstance(error, PrivilegeMissing)
        self.delay = PRIVILEGE_SECONDS if patient else min(longest, 0.5 * 2 ** min(self._failures, 5))


def _nothing() -> None: ...


def _never() -> float:
    return float("-inf")


def _slept(asked_at: datetime) -> bool:
    """No poll takes as long while this process runs: it was stopped meanwhile, or the machine slept."""
    return (steady_now() - asked_at).total_seconds() > DEADLINE_SECONDS + _SLEPT_SECONDS
