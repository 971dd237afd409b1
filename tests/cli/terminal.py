"""A command at a terminal of its own: what is typed there, and what is shown."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

from tests.command import Command
from tests.guards.sources import ROOT

SECONDS = 30.0


class Terminal:
    """The other end of a pseudo-terminal that is the command's controlling one."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self.process = process
        self.shown = ""

    def expect(self, text: str) -> None:
        """Wait until it was shown, after what was expected before."""
        until = time.monotonic() + SECONDS
        while text not in self.shown:
            assert time.monotonic() < until, f"{text!r} was not shown, but {self.shown!r}"
            self._read()
        self.shown = self.shown.partition(text)[2]

    def _read(self) -> None:
        if select.select([self._descriptor], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):  # the command has ended
                self.shown += os.read(self._descriptor, 4096).decode()

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def end(self) -> tuple[int, str]:
        """Exit code, and all that was shown since."""
        until = time.monotonic() + SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < until, f"it did not end; it showed {self.shown!r}"
            self._read()
        self._read()
        return self.process.returncode, self.shown

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._descriptor)[3] & termios.ECHO)


@contextlib.contextmanager
def at_terminal(command: Command, *words: str, stdin: Path | None = None) -> Iterator[Terminal]:
    """stdin is the terminal, or a file; stdout and stderr are the terminal."""
    ours, theirs = os.openpty()

    def take() -> None:
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    given = stdin.open("rb") if stdin else None
    process = subprocess.Popen(
        [sys.executable, "-m", "console", "--config", str(command.config), *words],
        stdin=given or theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=take,  # noqa: PLW1509 - no other way makes it the controlling one; no thread runs here
        cwd=ROOT,
    )
    terminal = Terminal(ours, process)
    try:
        yield terminal
    finally:
        process.kill()
        process.wait()
        for descriptor in (ours, theirs):
            os.close(descriptor)
        if given:
            given.close()
