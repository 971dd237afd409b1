"""A driver that sleeps until a key is pressed, where Textual's wakes ten times a second to look.

Its wakes cost 1 to 1.5 ms of CPU a second, measured by the thread's own clock. Textual 8's
`LinuxDriver.run_input_thread` looks for two things: whether it is to end, which a pipe tells it here, and
whether an escape sequence is not continued, which the parser says the time of.
"""

from __future__ import annotations

import os
import selectors
from codecs import getincrementaldecoder
from inspect import signature
from threading import Event
from typing import Any

from textual._parser import Parser
from textual._time import get_time
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

_READ_BYTES = 4096


def supported() -> bool:
    """Whether Textual's private parts still look as they did when this was written."""
    parser = XTermParser(False)
    return (
        list(signature(LinuxDriver.run_input_thread).parameters) == ["self"]
        and list(signature(Parser.feed).parameters) == ["self", "data"]
        and list(signature(Parser.tick).parameters) == ["self"]
        and getattr(parser, "_timeout_time", 0) is None
    )


class Bell(Event):
    """An event that select(2) hears, too.

    Its pipe stays as long as the process: a driver goes on after it was closed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._heard, self._rung = os.pipe()
        os.set_blocking(self._heard, False)

    def fileno(self) -> int:
        return self._heard

    def set(self) -> None:
        if not self.is_set():
            super().set()
            os.write(self._rung, b"\0")

    def clear(self) -> None:
        if self.is_set():
            os.read(self._heard, 1)
            super().clear()


class PatientDriver(LinuxDriver):
    """Textual's own, but for how it waits."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.exit_event: Bell = Bell()

    def run_input_thread(self) -> None:
        """Read until the bell rings."""
        parser = XTermParser(self._debug)
        decoder = getincrementaldecoder("utf-8")()
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            selector.register(self.exit_event, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                found = selector.select(_patience(parser))
                if any(key.fd == self.fileno for key, _ in found):
                    # Nothing is read where the other end is closed, or the input a file that is at its end.
                    text = decoder.decode(os.read(self.fileno, _READ_BYTES))
                    for event in parser.feed(text) if text else ():
                        self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)


def _patience(parser: XTermParser) -> float | None:
    """Seconds until what was begun is taken for complete; None where nothing is."""
    due: float | None = parser._timeout_time  # noqa: SLF001 - only the parser knows
    return None if due is None else max(0.0, due - get_time())
