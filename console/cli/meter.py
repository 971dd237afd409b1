"""What is said on stderr while an action runs; never the end of a run: nobody may be listening any more."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time

from console.cli import output
from console.dispatch.action import Advance
from console.present.advance import told
from console.present.units import clean

_TERMINAL_SECONDS = 1.0
_OTHERS_SECONDS = 30.0


def tell_progress(text: str) -> None:
    with contextlib.suppress(OSError):
        output.note(f"dbdeck: {clean(text)}")


class Meter:
    """How far a phase is: each second on a terminal, on one line; else seldom, on lines of their own."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._every = _TERMINAL_SECONDS if self._terminal else _OTHERS_SECONDS
        self._told = time.monotonic()

    def __call__(self, seen: Advance) -> None:
        now = time.monotonic()
        if now - self._told < self._every:
            return
        self._told = now
        if not self._terminal:
            tell_progress(told(seen))
            return
        with contextlib.suppress(OSError):
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\x1b[K{clean(told(seen), width)}\r")
            sys.stderr.flush()
