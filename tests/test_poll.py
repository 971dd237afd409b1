"""Feeds: the last good data is kept, trouble has a beginning, and nothing is asked twice at once."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta

import pytest

from console import poll
from console.errors import DbdeckError, LoginRefused, PrivilegeMissing, Unreachable
from console.model.instants import steady_now
from console.poll import AWAY_SECONDS, PRIVILEGE_SECONDS, SLOWEST_SECONDS, Feed


class Source:
    """Answers 1, 2, 3 …, or fails as it is told."""

    def __init__(self) -> None:
        self.count = 0
        self.fail: Exception | None = None
        self.hang = False
        self.takes = 0.0  # seconds

    async def read(self) -> int:
        if self.hang:
            await asyncio.Event().wait()
        await asyncio.sleep(self.takes)
        if self.fail is not None:
            raise self.fail
        self.count += 1
        return self.count


async def test_a_failure_keeps_the_last_data_and_says_since_when() -> None:
    source = Source()
    feed: Feed[int] = Feed(source.read, every=2.0)
    good = await feed.poll()
    source.fail = Unreachable("gone", "look")
    first, second = await feed.poll(), await feed.poll()
    assert (good.data, first.data, second.data) == (1, 1, 1)
    assert first.taken_at == good.taken_at
    assert first.problem is not None
    assert second.problem is not None
    assert first.problem.since == second.problem.since
    assert (first.stale, good.stale) == (True, False)
    source.fail = None
    assert (await feed.poll()).problem is None


@pytest.mark.parametrize(("budget", "delay"), [(0.2, 0.1), (0.05, 0.38), (0.01, 1.98), (1.0, 0.1)])
async def test_what_takes_long_is_asked_less_often(budget: float, delay: float) -> None:
    async def slowly() -> int:
        await asyncio.sleep(0.02)
        return 1

    feed: Feed[int] = Feed(slowly, every=0.1, budget=budget)
    await feed.poll()
    assert feed.delay == pytest.approx(delay, rel=1.0)
    assert feed.delay >= delay


@pytest.mark.parametrize(("budget", "delay"), [(0.2, 0.04), (0.1, 0.08)])
async def test_but_not_beyond_what_is_still_fresh(
    monkeypatch: pytest.MonkeyPatch, budget: float, delay: float
) -> None:
    async def slowly() -> int:
        await asyncio.sleep(0.02)
        return 1

    monkeypatch.setattr(poll, "SLOWEST_SECONDS", 0.04)
    feed: Feed[int] = Feed(slowly, every=0.01, budget=budget)
    await feed.poll()
    assert feed.delay == pytest.approx(delay)


@pytest.mark.parametrize(
    ("error", "longest"), [(Unreachable("gone"), AWAY_SECONDS), (LoginRefused("no"), SLOWEST_SECONDS)]
)
async def test_it_backs_off_and_comes_back_to_its_interval(error: DbdeckError, longest: float) -> None:
    source = Source()
    feed: Feed[int] = Feed(source.read, every=2.0)
    source.fail = error
    delays = []
    for _ in range(6):
        await feed.poll()
        delays.append(feed.delay)
    assert delays == sorted(delays)
    assert delays[-1] == longest
    source.fail = None
    await feed.poll()
    assert feed.delay == 2.0


async def test_a_missing_privilege_is_not_asked_for_again_and_again() -> None:
    source = Source()
    source.fail = PrivilegeMissing("no", "GRANT it")
    feed: Feed[int] = Feed(source.read, every=2.0)
    reading = await feed.poll()
    assert feed.delay == PRIVILEGE_SECONDS
    assert reading.problem is not None
    assert reading.problem.hint == "GRANT it"


async def test_a_read_that_hangs_ends_at_the_deadline_and_is_late_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poll, "DEADLINE_SECONDS", 0.3)
    monkeypatch.setattr(poll, "SLACK_SECONDS", 0.05)
    source = Source()
    source.hang = True
    feed: Feed[int] = Feed(source.read, every=0.05)
    task = asyncio.create_task(feed.poll())
    await asyncio.sleep(0.2)
    assert feed.late > 0.1
    reading = await task
    assert reading.problem is not None
    assert reading.problem.kind == "silent"
    assert (feed.late, feed.waiting()) == (0.0, 0.0)
    again = asyncio.create_task(feed.poll())
    await asyncio.sleep(0.1)
    assert feed.late > 0.35, "the silence began with the first poll that had no answer"
    await again


async def test_until_when_it_cannot_be_late_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll, "DEADLINE_SECONDS", 0.3)
    source = Source()
    feed: Feed[int] = Feed(source.read, every=2.0)
    await feed.poll()
    assert feed.calm == poll.LATE_SECONDS, "nobody waits for an answer, and they come quickly"
    source.hang = True
    task = asyncio.create_task(feed.poll())
    await asyncio.sleep(0.1)
    assert feed.late == 0.0
    assert 0.0 < feed.calm <= poll.LATE_SECONDS - 0.1
    await task


async def test_it_says_itself_that_an_answer_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll, "DEADLINE_SECONDS", 0.6)
    monkeypatch.setattr(poll, "LATE_SECONDS", 0.2)
    source = Source()
    feed: Feed[int] = Feed(source.read, every=2.0)
    said: list[float] = []
    feed.overdue = lambda: said.append(feed.late)
    await feed.poll()
    assert said == [], "the answer came"
    source.hang = True
    await feed.poll()
    assert len(said) == 1
    assert said[0] >= 0.2, "it is late by then"


async def test_what_takes_long_by_itself_is_late_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll, "LATE_SECONDS", 0.0)
    source = Source()
    feed: Feed[int] = Feed(source.read, every=2.0)
    assert feed.patience == 2.0 + poll.SLACK_SECONDS, "not known yet"
    await feed.poll()
    quick = feed.patience
    source.takes = 0.2
    await feed.poll()
    slow = feed.patience
    assert poll.TIMES * 0.2 <= slow <= 2.0 + poll.SLACK_SECONDS
    source.takes = 0.0
    await feed.poll()
    assert quick < feed.patience < slow, "one quick answer does not make all of them quick"
    source.takes = 1.0
    await feed.poll()
    assert feed.patience == 2.0 + poll.SLACK_SECONDS


@pytest.mark.parametrize("fails", [False, True])
async def test_what_was_asked_before_this_process_was_stopped_is_neither_new_nor_silence(
    monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Its answer lay there unread, or its deadlines passed while nobody could read it."""
    asleep = timedelta()

    def now() -> datetime:
        return steady_now() + asleep

    class Stopped(Source):
        async def read(self) -> int:
            nonlocal asleep
            asleep += timedelta(minutes=10) if self.count else timedelta()
            return await super().read()

    monkeypatch.setattr(poll, "steady_now", now)
    source = Stopped()
    feed: Feed[int] = Feed(source.read, every=2.0)
    await feed.poll()
    source.fail = Unreachable("no answer", "") if fails else None
    seen = await feed.poll()
    assert (seen.data, seen.problem) == (1 if fails else 2, None)
    assert seen.taken_at is not None
    assert now() - seen.taken_at >= timedelta(minutes=10), "it is of then"
    assert feed.delay == 0.0, "and asked again at once"
    assert feed.pace < 10, "no later reading is taken for fresh because this one took long"


@pytest.mark.parametrize("error", [PrivilegeMissing("no", "GRANT it"), Unreachable("refused", "look")])
async def test_who_refused_is_silent_only_once_the_next_question_waits(error: DbdeckError) -> None:
    source = Source()
    feed: Feed[int] = Feed(source.read, every=0.1)
    source.takes = 0.05
    await feed.poll()
    source.fail = error
    await feed.poll()
    await asyncio.sleep(poll.SLACK_SECONDS + 0.2)
    said: list[float] = []
    feed.overdue = lambda: said.append(feed.late)
    asked = asyncio.create_task(feed.poll())
    await asyncio.sleep(0.02)
    assert feed.late == 0.0, "it will refuse that, too"
    await asked
    assert said == []
    source.hang = True
    asked = asyncio.create_task(feed.poll())
    await asyncio.sleep(0.1 + poll.SLACK_SECONDS + 0.1)
    assert feed.late > 0.1 + poll.SLACK_SECONDS, "now it does not answer"
    asked.cancel()


async def test_an_answer_to_somebody_else_on_the_same_line_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A view's read of many statements goes before: the server answers all the time."""
    monkeypatch.setattr(poll, "LATE_SECONDS", 0.2)
    source = Source()
    feed: Feed[int] = Feed(source.read, every=5.0)
    await feed.poll()
    source.hang = True
    asked = asyncio.create_task(feed.poll())
    await asyncio.sleep(0.25)
    heard = time.monotonic()
    assert feed.late > 0.2
    feed.heard = lambda: heard
    assert feed.late == 0.0
    assert 0.0 < feed.calm <= 0.2
    await asyncio.sleep(0.25)
    assert 0.2 < feed.late < 0.45, "and is silent since then"
    asked.cancel()


async def test_an_answer_is_as_old_as_its_question() -> None:
    source = Source()
    source.takes = 0.2
    feed: Feed[int] = Feed(source.read, every=2.0)
    before = steady_now()
    seen = await feed.poll()
    assert seen.taken_at is not None
    assert before <= seen.taken_at < before + timedelta(seconds=0.15)
