"""Files that somebody names: opened or refused at once. What is no file may never answer, or never end."""

from __future__ import annotations

import errno
import io
import os
import select
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

# A writer that waits in its own open() for a reader is there within milliseconds of ours.
WRITER_SECONDS: Final = 1.0
MOST_LINE: Final = 1 << 28


def open_named(name: str | Path, *, pipes: bool = True) -> IO[bytes]:
    """A file; with `pipes` also what comes by one that has a writer, such as the <(…) of a shell.

    Raises OSError for what is not there or may not be read, and, without waiting for it, for a pipe that
    nobody writes to, a device, a socket and a folder.
    """
    path = Path(name)
    _refuse(path, path.stat().st_mode, pipes=pipes)  # a device may do something when it is opened
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        _refuse(path, mode, pipes=pipes)
        first = _first(descriptor, path) if stat.S_ISFIFO(mode) else None
        os.set_blocking(descriptor, True)
        if first is None:
            return os.fdopen(descriptor, "rb")
        return io.BufferedReader(_Pipe(descriptor, first))
    except BaseException:
        os.close(descriptor)
        raise


def read_named(name: str | Path, *, pipes: bool = True, most: int | None = None) -> bytes:
    """All of it. Raises OSError as `open_named`, and for what is longer than `most` bytes."""
    with open_named(name, pipes=pipes) as file:
        if most is None:
            return file.read()
        found = file.read(most + 1)
    if len(found) > most:
        raise OSError(errno.EFBIG, f"it is longer than {most >> 20} MB", str(name))
    return found


def lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """With their ends. Raises OSError for one that is longer than a line of ours can be: a file with a hole
    has no end of it.
    """
    while line := file.readline(MOST_LINE):
        if len(line) == MOST_LINE and not line.endswith(b"\n"):
            raise OSError(errno.EFBIG, f"it has a line longer than {MOST_LINE >> 20} MB")
        yield line


def refuse_no_file(name: str | Path) -> None:
    """Before somebody else opens it, who would wait. It is not opened: closing a file drops this process's
    locks on it, which SQLite relies on. Raises OSError.
    """
    _refuse(Path(name), Path(name).stat().st_mode, pipes=False)


def _refuse(path: Path, mode: int, *, pipes: bool) -> None:
    if stat.S_ISREG(mode) or (pipes and stat.S_ISFIFO(mode)):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    raise OSError(errno.EINVAL, f"it is {kinds.get(stat.S_IFMT(mode), 'a device')}, and no file", str(path))


def _first(descriptor: int, path: Path) -> bytes:
    """What it gives first; nothing yet where its writer takes its time. Raises OSError where it has none."""
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    ready.poll(WRITER_SECONDS * 1000)
    try:
        first = os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return b""
    if not first:
        raise OSError(errno.EPIPE, "it is a pipe that nobody writes to", str(path))
    return first


class _Pipe(io.RawIOBase):
    """What was read already, then the rest."""

    def __init__(self, descriptor: int, first: bytes) -> None:
        super().__init__()
        self._file = os.fdopen(descriptor, "rb", buffering=0)
        self._first = first

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def readinto(self, buffer: Any) -> int:
        if not self._first:
            return self._file.readinto(buffer) or 0
        taken = min(len(buffer), len(self._first))
        buffer[:taken], self._first = self._first[:taken], self._first[taken:]
        return taken

    def close(self) -> None:
        self._file.close()
        super().close()
