"""Calls that block, on one thread beside the loop: one after the other, in the order they are given.

Half the way there and back of the default executor, whose threads others may have taken, and an order that
needs nobody to wait: what is given first is done before what is asked next. The thread begins with the first
call and ends with its object. It is a daemon: a call that hangs does not keep the interpreter from ending,
but whoever waits for it waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
_Given: TypeAlias = "SimpleQueue[Callable[[], object] | None]"


class OneThread:
    def __init__(self, name: str) -> None:
        self._name = name
        self._given: _Given = SimpleQueue()
        self._begun = False
        weakref.finalize(self, self._given.put, None)

    def ask(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """What the call returns or raises. It is called even when nobody waits for that any more."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self.do(lambda: _made(loop, call, answer))
        return answer

    def ask_both(
        self, first: Callable[[], object], then: Callable[[], T]
    ) -> tuple[asyncio.Future[object], asyncio.Future[T]]:
        """Of two calls at one go, each answer as soon as it is there: who has the first goes on meanwhile.

        Where the first raises the second is not made. Its answer is cancelled then, and also where nobody
        waits for the first any more.
        """
        loop = asyncio.get_running_loop()
        begun: asyncio.Future[object] = loop.create_future()
        answer: asyncio.Future[T] = loop.create_future()
        begun.add_done_callback(lambda _: None if _has_answered(begun) else answer.cancel())
        self.do(lambda: _made(loop, first, begun) and _made(loop, then, answer))
        return begun, answer

    def do(self, work: Callable[[], object]) -> None:
        """Nobody waits for it: what it raises is told by the thread's hook, and the next call is made all the
        same. Raises RuntimeError where no thread can be started; the next call tries it again.
        """
        if not self._begun:
            threading.Thread(target=_work, args=(self._given,), name=self._name, daemon=True).start()
            self._begun = True
        self._given.put(work)

    async def rest(self) -> None:
        """Until all that was given is done."""
        if self._begun:
            await self.ask(_nothing)


def tell(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *args: object) -> None:
    """From a thread; a loop that is closed wants to know nothing any more."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *args)


def _work(given: _Given) -> None:
    while (work := given.get()) is not None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - who is asked next must be answered
            told = (type(error), error, error.__traceback__, threading.current_thread())
            threading.excepthook(threading.ExceptHookArgs(told))
            del error, told
        del work  # it knows who gave it, and would keep them while the next one is waited for


def _made(loop: asyncio.AbstractEventLoop, call: Callable[[], T], answer: asyncio.Future[T]) -> bool:
    """True where it did not raise."""
    try:
        found = call()
    except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
        tell(loop, _raise, answer, error)
        return False
    tell(loop, _answer, answer, found)
    return True


def _has_answered(answer: asyncio.Future[Any]) -> bool:
    return not answer.cancelled() and answer.exception() is None


def _answer(answer: asyncio.Future[Any], found: Any) -> None:
    if not answer.done():
        answer.set_result(found)


def _raise(answer: asyncio.Future[Any], error: BaseException) -> None:
    if not answer.done():
        # A future refuses a StopIteration.
        odd = isinstance(error, StopIteration)
        answer.set_exception(RuntimeError("the call ended early") if odd else error)


def _nothing() -> None:
    pass
