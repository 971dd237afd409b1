"""One thread beside the loop: in order, and no longer than it is wanted."""

from __future__ import annotations

import asyncio
import gc
import threading
import time

import pytest

from console.audit.one_thread import OneThread


async def test_what_is_given_first_is_done_first() -> None:
    thread = OneThread("test")
    done: list[str] = []

    def slow() -> None:
        time.sleep(0.05)
        done.append("told")

    thread.do(slow)
    answer = thread.ask(lambda: done.append("asked"))
    thread.do(lambda: done.append("told again"))
    await answer
    await thread.rest()
    assert done == ["told", "asked", "told again"]


async def test_what_a_call_raises_is_raised_where_it_is_waited_for() -> None:
    thread = OneThread("test")
    with pytest.raises(ZeroDivisionError):
        await thread.ask(lambda: 1 // 0)
    assert await thread.ask(lambda: 1) == 1


async def test_a_call_is_made_though_nobody_waits_any_more() -> None:
    thread, may, done = OneThread("test"), threading.Event(), threading.Event()

    def late() -> None:
        may.wait()
        done.set()

    thread.ask(late).cancel()
    may.set()
    await thread.rest()
    assert done.is_set()


async def test_the_first_of_two_calls_answers_while_the_second_is_under_way() -> None:
    thread, may = OneThread("test"), threading.Event()

    def second() -> int:
        may.wait()
        return 2

    first, then = thread.ask_both(lambda: 1, second)
    assert await first == 1
    assert not then.done()
    may.set()
    assert await then == 2


async def test_where_the_first_of_two_calls_raises_the_second_is_not_made() -> None:
    thread, done = OneThread("test"), threading.Event()
    first, then = thread.ask_both(lambda: 1 // 0, done.set)
    with pytest.raises(ZeroDivisionError):
        await first
    await thread.rest()
    assert (then.cancelled(), done.is_set()) == (True, False)
    made, failed = thread.ask_both(lambda: 1, lambda: 1 // 0)
    assert await made == 1
    with pytest.raises(ZeroDivisionError):
        await failed


async def test_both_calls_are_made_though_nobody_waits_any_more() -> None:
    thread, may, done = OneThread("test"), threading.Event(), threading.Event()
    first, then = thread.ask_both(may.wait, done.set)
    first.cancel()
    may.set()
    await thread.rest()
    assert (then.cancelled(), done.is_set()) == (True, True)


async def test_what_nobody_waits_for_may_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    thread = OneThread("test")
    thread.do(lambda: 1 // 0)
    assert await asyncio.wait_for(thread.ask(lambda: 1), 10) == 1
    assert [one.exc_type for one in told] == [ZeroDivisionError]


async def test_a_thread_that_could_not_begin_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    thread = OneThread("test")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", full)
        with pytest.raises(RuntimeError, match="thread"):
            await thread.ask(lambda: 1)
    assert await asyncio.wait_for(thread.ask(lambda: 1), 10) == 1


async def test_it_ends_with_its_object() -> None:
    thread = OneThread("the one of this test")
    await thread.ask(lambda: None)
    (running,) = (one for one in threading.enumerate() if one.name == "the one of this test")
    del thread
    gc.collect()
    await asyncio.to_thread(running.join, 10)
    assert not running.is_alive()
