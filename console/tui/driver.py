"""A driver that sleeps until a key is pressed, where Textual's wakes ten times a second to look, and that
begins anew after SIGCONT only what it has ended.

Its wakes cost 1 to 1.5 ms of CPU a second, measured by the thread's own clock. Textual 8's
`LinuxDriver.run_input_thread` looks for two things: whether it is to end, which a pipe tells it here, and
whether an escape sequence is not continued, which the parser says the time of.

SIGCONT comes after SIGTSTP, for which the terminal is left first. It also comes after SIGSTOP, for
which nobody leaves anything, and with each SIGHUP of a terminal that goes away. Textual's driver then starts
a second thread that reads keys; at the end one of the two stays, and the process with it.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
from codecs import getincrementaldecoder
from contextlib import suppress
from inspect import signature
from threading import Event
from typing import Any

from textual._parser import Parser
from textual._time import get_time
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

from console.tui.terminal import hung_up

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
        self._going_on = False

    def _sigtstp_application(self, *_: object) -> None:
        """All of the group stops, as by a terminal itself: a shell that waits for the `make` in front of us
        has its turn, too. The kernel stops nobody whom no shell could let go on.
        """
        if self._auto_restart:
            self.suspend_application_mode()
            self._must_signal_resume = True
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(0, signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._sigtstp_application)
        self._sigcont_application()  # which is not sent where nothing was stopped

    def _sigcont_application(self, *_: object) -> None:
        """In the loop, and not here: a signal comes in the middle of anything, with any lock held."""
        if self._going_on:
            return
        self._going_on = True
        with suppress(RuntimeError):  # the loop is closed: nothing is to go on
            self._loop.call_soon_threadsafe(self._go_on)

    def _go_on(self) -> None:
        """A shell may have changed the terminal and written on it while we were stopped."""
        self._going_on = False
        if hung_up(sys.__stdin__) or not self._auto_restart:
            return
        if self._key_thread is not None and self._key_thread.is_alive():
            self.suspend_application_mode()
            self._must_signal_resume = True
        self.resume_application_mode()

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
