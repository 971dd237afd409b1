"""A terminal program under a pty we own: every byte it writes with its time, and the CPU it used.

Nothing of the program is instrumented. Its CPU is the kernel's clock of its process (ns; threads that ended
count, programs that it started do not), which needs no rights. The screen is emulated afterwards, so that
emulating costs nothing while we measure.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyte

COLUMNS, ROWS = 160, 50
_ENVIRONMENT = {
    "TERM": "xterm-256color",
    "COLORTERM": "truecolor",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PAGER": "cat",
}
_CSI = rb"\x1b\["
# What Textual and curses ask of a terminal: modes, attributes, where the cursor is, the size.
_QUESTION = re.compile(_CSI + rb"(?:\?(\d+)\$p|(>?)0?c|(6n)|(\?u)|(18)t)")
# Sequences that pyte does not know and would print.
_UNKNOWN = re.compile(
    rb"\x1b\[\?[\d;]+\$p|\x1b\[[<>=][\d;]*[a-zA-Z]|\x1b\[\?u|\x1b\[[\d;]*t|\x1b\[[\d;]* q|\x1bP[^\x1b]*\x1b\\"
    rb"|\x1b\[\d*:[\d:]*m"
)
_LONGEST_CODE = 24


class Chunk(NamedTuple):
    """One read: seconds since the start, what came, CPU seconds the program had used by then."""

    at: float
    data: bytes
    cpu: float


def cpu_of(pid: int) -> float:
    """CPU seconds of a process, whoever's it is; 0.0 once it is gone (clock_getcpuclockid(3), Linux)."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


class Terminal:
    """One program under a terminal of its own, from exec to close. A context manager."""

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str = "/") -> None:
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.set_blocking(ours, False)
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self._fd = ours
        self.chunks: list[Chunk] = []
        self.start = time.monotonic()
        self.process = subprocess.Popen(
            argv, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, cwd=cwd,
            env={**kept, **_ENVIRONMENT, **(env or {})},
        )  # fmt: skip
        os.close(theirs)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def now(self) -> float:
        """Seconds since exec."""
        return time.monotonic() - self.start

    @property
    def cpu(self) -> float:
        return cpu_of(self.process.pid)

    @property
    def written(self) -> int:
        return sum(len(chunk.data) for chunk in self.chunks)

    @property
    def rss(self) -> int:
        """Resident bytes; 0 once it has ended."""
        try:
            lines = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            return 0
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:"))

    def run(self, seconds: float) -> bool:
        """Record for so long; False when the program ended."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not self._read(left):
                return False
        return True

    def until(self, pattern: str, seconds: float) -> float | None:
        """Record until the screen shows it; the seconds that took, None when it never did."""
        start, screen, fed = time.monotonic(), Screen(), 0
        wanted = re.compile(pattern, re.DOTALL)
        while time.monotonic() - start < seconds:
            for chunk in self.chunks[fed:]:
                screen.feed(chunk.data)
            fed = len(self.chunks)
            if wanted.search(screen.text):
                return time.monotonic() - start
            if not self._read(0.05):
                return None
        return None

    def press(self, key: str) -> None:
        os.write(self._fd, key.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            end = time.monotonic() + 3
            while self.process.poll() is None and time.monotonic() < end:
                self._read(0.05)  # a program that restores its screen must find a reader
            if self.process.poll() is None:
                self.process.kill()
        self.process.wait()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._fd], [], [], max(0.0, seconds))
        if not ready:
            return self.process.poll() is None
        try:
            data = os.read(self._fd, 1 << 20)
        except OSError:
            data = b""
        if data:
            self.chunks.append(Chunk(self.now, data, self.cpu))
            self._answer(data)
        return bool(data)

    def _answer(self, data: bytes) -> None:
        """As a modern terminal does: synchronised output is known, other modes are not."""
        for mode, secondary, cursor, keyboard, size in _QUESTION.findall(data):
            if mode:
                self._reply(b"\x1b[?%s;%d$y" % (mode, 2 if mode == b"2026" else 0))
            elif cursor:
                self._reply(b"\x1b[1;1R")
            elif keyboard:
                self._reply(b"\x1b[?0u")
            elif size:
                self._reply(b"\x1b[8;%d;%dt" % (ROWS, COLUMNS))
            else:
                self._reply(b"\x1b[>1;4000;0c" if secondary else b"\x1b[?62;22c")

    def _reply(self, data: bytes) -> None:
        os.write(self._fd, data)


class Screen:
    """What the terminal shows, fed with what was recorded."""

    def __init__(self) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._held = b""

    def feed(self, data: bytes) -> None:
        data, self._held = self._held + data, b""
        last = data.rfind(b"\x1b")
        whole = rb"\x1b(?:\[[\d;?<>=]*[a-zA-Z]|[^\[\]P])"
        if last >= 0 and len(data) - last < _LONGEST_CODE and not re.match(whole, data[last:]):
            data, self._held = data[:last], data[last:]
        self._stream.feed(_UNKNOWN.sub(b"", data))

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display)

    @property
    def highlight(self) -> tuple[object, ...]:
        """The look of each line: it changes when a cursor moves."""
        cells = self._screen.buffer
        return tuple((cells[y][x].bg, cells[y][x].reverse) for y in range(ROWS) for x in (6, 30, 60))


def replayed(chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, Screen]]:
    """The screen after each chunk: one object, which goes on changing."""
    screen = Screen()
    for chunk in chunks:
        screen.feed(chunk.data)
        yield chunk, screen


def first_shown(chunks: Sequence[Chunk], pattern: str) -> Chunk | None:
    """The chunk with which the screen first showed this."""
    wanted = re.compile(pattern, re.DOTALL)
    return next((chunk for chunk, screen in replayed(chunks) if wanted.search(screen.text)), None)
