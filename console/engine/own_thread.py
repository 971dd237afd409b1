"""Calls into a file system that may hang, as NFS does: on a thread of their own, at most one a target.

The default executor has few threads, which the journal of the ledger needs: each that hangs is one less.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")
LOOK_AGAIN_SECONDS: Final = 0.02
_at_work: dict[str, threading.Thread] = {}  # by target; a hanging call cannot be ended, only be left alone


async def on_own_thread(target: str, call: Callable[[], T], *, seconds: float) -> T:
    """What the call returns or raises. Raises TimeoutError where it has not ended in time, or an earlier one
    of the same target has not: then nothing is called.
    """
    until = time.monotonic() + seconds
    while (earlier := _at_work.get(target)) is not None and earlier.is_alive():
        if time.monotonic() >= until:
            raise TimeoutError
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def work() -> None:
        try:
            told: Callable[[], None] = _result(answer, call())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            # A Future refuses a StopIteration.
            odd = isinstance(error, StopIteration)
            told = _failure(answer, RuntimeError("the look ended early") if odd else error)
        with contextlib.suppress(RuntimeError):  # nobody waits any more, and the loop is closed
            loop.call_soon_threadsafe(told)

    thread = threading.Thread(target=work, name=f"files of {target}", daemon=True)
    _at_work[target] = thread
    thread.start()
    async with asyncio.timeout(max(0.0, until - time.monotonic())):
        return await answer


def _result(answer: asyncio.Future[Any], found: Any) -> Callable[[], None]:
    return lambda: None if answer.done() else answer.set_result(found)


def _failure(answer: asyncio.Future[Any], error: BaseException) -> Callable[[], None]:
    return lambda: None if answer.done() else answer.set_exception(error)
