"""Run a coroutine as a command: signals become cancellation, and errors become exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any

from console.errors import DbdeckError, Exit

_ENDS = {
    signal.SIGINT: Exit.INTERRUPTED,
    signal.SIGTERM: Exit.TERMINATED,
    signal.SIGHUP: Exit.TERMINATED,
}


class Interrupted(DbdeckError):
    """A signal ended the run before any effect."""

    kind = "interrupted"

    def __init__(self, code: Exit) -> None:
        super().__init__("ended by a signal; cancelled cleanly")
        self.code = code


def run(main: Coroutine[Any, Any, int]) -> int:
    """The exit code of `main`. Raises DbdeckError, and Interrupted when a signal cancelled it."""
    return asyncio.run(_guarded(main))


async def _guarded(main: Coroutine[Any, Any, int]) -> int:
    task = asyncio.ensure_future(main)
    ended: list[Exit] = []

    def end(number: signal.Signals) -> None:
        ended.append(_ENDS[number])
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in _ENDS:
        with contextlib.suppress(NotImplementedError, ValueError):
            loop.add_signal_handler(number, end, number)
    try:
        return await task
    except asyncio.CancelledError:
        if ended:
            raise Interrupted(ended[0]) from None
        raise
