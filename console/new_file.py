"""Files that hold what others should not read, and files that others must not have written."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shlex
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from console.errors import ConfigError, UsageError
from console.named_file import open_named

MOST_BYTES = 16 << 20  # of what is read as a whole: a device has no end
# A reader that waits in its own open() for a writer is there at once; one that a shell starts soon.
READER_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.01


def write_new(name: str | Path, data: str | bytes, mode: int = 0o600) -> None:
    """Only where there is nothing yet. Raises UsageError."""
    path = Path(name).expanduser()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode("utf-8", "backslashreplace"))
    except FileExistsError:
        raise UsageError(f"{path} is there already; nothing was written", "name a new file") from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; nothing was written") from None


def write_over(name: str | Path, data: bytes) -> None:
    """As `written_over`, of what is there already."""
    with written_over(name) as file:
        file.write(data)


@contextlib.contextmanager
def written_over(name: str | Path) -> Iterator[IO[bytes]]:
    """A new file, its owner's alone, put in the place of one that may be there at the end of the block; never
    into what a link leads to, nor into one that others have open. A pipe that somebody reads, or a terminal,
    is written to at the end. After an exception nothing was written. Raises UsageError.
    """
    path = Path(name).expanduser()
    try:
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            with kept() as beside_it:
                yield beside_it
                beside_it.seek(0)
                with _open_no_file(path) as file:
                    file.writelines(beside_it)
            return
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; nothing was written") from None


def kept() -> IO[bytes]:
    """A file without a name, for what is to be written elsewhere as a whole. Raises UsageError."""
    from tempfile import TemporaryFile

    try:
        return TemporaryFile()
    except OSError as error:
        raise UsageError(
            f"no temporary file can be made: {error.strerror or error}; nothing was written",
            "TMPDIR names a folder that can be written to",
        ) from None


def _open_no_file(path: Path) -> IO[bytes]:
    """Raises OSError, and does not wait for a reader that a pipe never gets."""
    until = time.monotonic() + READER_SECONDS
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            break
        except OSError as error:
            if error.errno != errno.ENXIO or not path.is_fifo():
                raise
            if time.monotonic() >= until:
                raise OSError(errno.ENXIO, "it is a pipe that nobody reads", str(path)) from None
            time.sleep(_PAUSE_SECONDS)
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "wb")


def write_again(path: Path, before: str, after: str) -> None:
    """The new text in the place of the one that was read, with its owner and mode; a link is followed.

    Raises UsageError where somebody else changed it meanwhile.
    """
    real = path.resolve()
    try:
        was = real.stat()
        mine = was.st_uid == os.geteuid() and was.st_gid in {os.getegid(), *os.getgroups()}
        if os.geteuid() != 0 and not mine:
            raise UsageError(f"{path} belongs to somebody else; nothing was written", "do it as its owner")
        if real.read_bytes() != before.encode():
            raise UsageError(f"{path} was changed meanwhile; nothing was written", "do it again")
        write_over(real, after.encode())
        os.chown(real, was.st_uid, was.st_gid)
        real.chmod(stat.S_IMODE(was.st_mode))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; nothing was written") from None


def read_trusted(path: Path, what: str) -> str:
    """The text of a file that says what dbdeck does. Raises ConfigError where everybody may write it or put
    another one in its place, and where it cannot be read or is longer than MOST_BYTES.
    """
    try:
        with open_named(path) as file:
            _refuse_anybodys(path, what, os.fstat(file.fileno()).st_mode)
            text = file.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise ConfigError(f"cannot read {what}{path}: it is longer than {MOST_BYTES >> 20} MB")
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"cannot read {what}{path}: it is not UTF-8") from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"cannot read {what}{path}: {error.strerror}") from None


def _refuse_anybodys(path: Path, what: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        return  # a pipe has the writer that was given to it
    if mode & stat.S_IWOTH:
        raise ConfigError(
            f"everybody may write {what}{path}, which says what dbdeck does; it was not read",
            f"chmod o-w {shlex.quote(str(path))}",
        )
    for one in {path.parent, path.resolve().parent}:
        folder = one.stat().st_mode
        if folder & stat.S_IWOTH and not folder & stat.S_ISVTX:
            raise ConfigError(
                f"everybody may put another file in the place of {what}{path}; it was not read",
                f"chmod o-w {shlex.quote(str(one))}",
            )
