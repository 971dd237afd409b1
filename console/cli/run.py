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

    def __init__(self, number: signal.Signals, then: str = "") -> None:
        super().__init__(f"ended by {number.name}; cancelled cleanly{then}")
        self.code = _ENDS[number]


def interrupted(cancelled: asyncio.CancelledError) -> Interrupted | None:
    """An action that a signal cancelled before its intent; None when no signal did."""
    name = str(cancelled.args[0]) if cancelled.args else ""
    then = "; nothing was executed"
    return next((Interrupted(number, then) for number in _ENDS if number.name == name), None)


def run(main: Coroutine[Any, Any, int]) -> int:
    """The exit code of `main`. Raises DbdeckError, and Interrupted when a signal cancelled it."""
    return asyncio.run(_guarded(main))


async def _guarded(main: Coroutine[Any, Any, int]) -> int:
    task = asyncio.ensure_future(main)
    ended: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        ended.append(number)
        task.cancel(msg=number.name)

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
