"""The server's error log as a local file: the deadlocks in it, read on from where it was left."""

from __future__ import annotations

import os
import re
import stat
import threading
from pathlib import Path

import msgspec

from console.engine.mysql.deadlock_text import Reader, Report

LOOK_BACK = 8 << 20
_MOST_AT_ONCE = 16 << 20
_CHUNK = 1 << 18
_LONGEST_LINE = 1 << 20

# MariaDB: `2026-11-21 14:09:25 8 [Note] InnoDB: …` in local time. MySQL: `2026-11-21T14:16:17.914118Z 0
# [Note] [MY-012468] [InnoDB] …`, with an offset under log_timestamps = SYSTEM.
_LINE = re.compile(
    r"(\d{4}-\d\d-\d\d(?: [ \d]\d:\d\d:\d\d|T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))) \S+ \[\w+\]"
    r"(?: \[MY-\d+\])?(?: \[\w+\])? ?(?:InnoDB: ?)?(.*)$"
)
_ANNOUNCED = "Transactions deadlock detected"
_STARTED = re.compile(r"[Ss]tarting (?:MariaDB \S+ .*)?as process \d+")


class Logged(msgspec.Struct, frozen=True):
    """A deadlock of the log. `near` is the time of the line before it, where it has no time itself;
    `run` counts the starts of the server that were read before it.
    """

    report: Report
    near: str | None
    run: int


class LogReader:
    """Lines of the log -> deadlocks, in whatever portions the bytes come."""

    def __init__(self) -> None:
        self._reader = Reader(bare=True)
        self._rest = b""
        self._near: str | None = None
        self.run = 0

    def feed(self, data: bytes) -> list[Logged]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            self._rest = b""
        return [found for line in lines if (found := self._take(line.decode("utf-8", "replace")))]

    def cut(self) -> None:
        """What follows does not continue what was read."""
        self._rest = b""
        self._reader.reset()

    def _take(self, line: str) -> Logged | None:
        line = line.rstrip("\r")
        if (marked := _LINE.match(line)) is None:
            report = self._reader.take(line)
        else:
            report = self._marked(*marked.groups())
        return None if report is None else Logged(report, self._near, self.run)

    def _marked(self, at: str, text: str) -> Report | None:
        """A line of the log itself: part of a deadlock, or another thread's, between its lines."""
        self._near = at
        if text.startswith(_ANNOUNCED):
            self._reader.reset(at)
        elif _STARTED.search(text):
            self.run += 1
            self._reader.reset()
        elif text.lstrip().startswith("***"):
            return self._reader.take(text)
        return None


class LogFile:
    """The file at `path`, followed through rotation. Its calls block: give them a thread."""

    def __init__(self, path: str, *, look_back: int = LOOK_BACK) -> None:
        self._path = Path(path)
        self._look_back = look_back
        self._busy = threading.Lock()
        self._open: int | None = None
        self._found: list[Logged] = []
        self._log = LogReader()

    @property
    def run(self) -> int:
        """The run of the server that wrote last."""
        return self._log.run

    def look(self) -> list[Logged]:
        """What came since the last look; of a first look, what the last bytes of the file hold.

        Raises OSError. A caller that goes away loses nothing: the next one gets it.
        """
        with self._busy:
            if self._open is None:
                self._start()
            self._read_on()
            if self._replaced():
                self._leave()
                self._open = open_log(self._path)
                self._log.cut()
                self._read_on()
            found, self._found = self._found, []
            return found

    def close(self) -> None:
        with self._busy:
            self._leave()

    def _start(self) -> None:
        self._open = open_log(self._path)
        size = os.fstat(self._open).st_size
        if size > self._look_back:
            os.lseek(self._open, size - self._look_back, os.SEEK_SET)
            self._log.feed(b"\0")  # the first line is not whole: it is none

    def _leave(self) -> None:
        if self._open is not None:
            os.close(self._open)
        self._open = None

    def _read_on(self) -> None:
        if self._open is None:
            return
        if os.fstat(self._open).st_size < os.lseek(self._open, 0, os.SEEK_CUR):
            os.lseek(self._open, 0, os.SEEK_SET)  # emptied in place
            self._log.cut()
        left = _MOST_AT_ONCE
        while left > 0 and (data := os.read(self._open, _CHUNK)):
            left -= len(data)
            self._found += self._log.feed(data)

    def _replaced(self) -> bool:
        """Whether the path names another file by now; while it names none, the old one is kept."""
        if self._open is None:
            return False
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False
        old = os.fstat(self._open)
        return (now.st_dev, now.st_ino) != (old.st_dev, old.st_ino)


def open_log(path: Path) -> int:
    """A named pipe is not waited for, and refused with everything else that is no file."""
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise OSError(0, "it is not a regular file", str(path))
    return opened
