"""Says that a ledger which is waited for has not answered yet: until it is given up, nobody knows why nothing
happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

FIRST_SECONDS = 2.0
EVERY_SECONDS = 5.0
_LATE_SECONDS: Final = 1.0  # a timer that comes later: this process was stopped, and nobody was silent

Tell = Callable[[str], None]


class Silence:
    """Of `what`; those who hear of it."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._heard_by: list[Tell] = []

    @contextmanager
    def heard_by(self, tell: Tell) -> Iterator[None]:
        self._heard_by.append(tell)
        try:
            yield
        finally:
            self._heard_by.remove(tell)

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """The block waits for an answer."""
        waiting = _Waiting(self._say)
        try:
            yield
        finally:
            waiting.end()

    def _say(self, seconds: float) -> None:
        for tell in tuple(self._heard_by):
            tell(f"{self._what} has not answered for {seconds:.0f} s, or the disk of the journal; waiting")


class _Waiting:
    def __init__(self, say: Callable[[float], None]) -> None:
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._wait(FIRST_SECONDS)

    def _wait(self, seconds: float) -> None:
        self._due = self._loop.time() + seconds
        self._timer = self._loop.call_later(seconds, self._over)

    def _over(self) -> None:
        now = self._loop.time()
        if now - self._due > _LATE_SECONDS:
            self._began = now
            self._wait(FIRST_SECONDS)
            return
        self._say(now - self._began)
        self._wait(EVERY_SECONDS)

    def end(self) -> None:
        self._timer.cancel()
