"""Files that hold secrets: read without following links, and changed as a whole or not at all.

A change is written beside the file, put on the disk and renamed over it, with the owner, the mode and the
attributes of the old one; the folder is locked meanwhile, and a file that somebody else changed is read anew.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shlex
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from console.errors import ActionFailed, OutcomeUnknown
from console.secret_store import within

SECONDS = 15.0
LOCK_SECONDS = 5.0
LARGEST = 4 << 20
_TRIES = 3
_NEW = 0o600
Change = Callable[[str | None], str]
T = TypeVar("T")


class Sight(NamedTuple):
    """What is seen of a file. `fault` is why it would be neither read nor written, `remedy` mends that."""

    there: bool = False
    mode: int = 0
    fault: str = ""
    remedy: str = ""


async def read(path: Path) -> str | None:
    """Its text; None where there is no such file. Raises ActionFailed where it cannot or must not be read.

    Bytes that are no UTF-8 survive a `rewrite_file` as they are.
    """
    try:
        return await within(SECONDS, lambda: _read(path))
    except TimeoutError:
        raise ActionFailed(
            f"no answer from the disk of {path} within {SECONDS:g} s; it was not read"
        ) from None


async def rewrite_file(path: Path, change: Change) -> None:
    """`change` gets the text, None where there is no file, and gives the new one; what it raises ends this.

    Raises ActionFailed where the file is as it was, OutcomeUnknown where no answer came in time.
    """
    try:
        await within(SECONDS, lambda: _rewrite(path, change))
    except TimeoutError:
        raise OutcomeUnknown(
            f"no answer from the disk of {path} within {SECONDS:g} s: it may have been changed or not",
            "look at it when the disk answers again",
        ) from None


async def save(path: Path, text: str) -> None:
    """A file of our own, as a whole, readable by its owner alone; its folder is made where there is none.

    Raises ActionFailed where it was not written.
    """

    def write() -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        try:
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _NEW), "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.rename(path)
        finally:
            beside.unlink(missing_ok=True)

    try:
        await within(SECONDS, write)
    except TimeoutError:
        raise ActionFailed(f"no answer from the disk of {path} within {SECONDS:g} s") from None
    except OSError as error:
        raise ActionFailed(f"{path} was not written: {error.strerror}") from None


async def look(path: Path) -> Sight:
    """What a plan tells of it. Raises nothing for what is seen."""
    try:
        return await within(SECONDS, lambda: _look(path))
    except TimeoutError:
        return Sight(fault="its disk does not answer")
    except ActionFailed as error:
        return Sight(there=True, fault=error.message, remedy=error.hint)


# ---- on the disk ---------------------------------------------------------------------------------


def _look(path: Path) -> Sight:
    with _folder(path) as folder, _opened(path, folder) as descriptor:
        if not os.access(path.parent, os.W_OK | os.X_OK):
            fault = f"{path.parent} may not be written in, and a file is replaced as a whole"
            return Sight(descriptor is not None, 0, fault, f"run dbdeck as the owner of {path.parent}")
        if descriptor is None:
            return Sight()
        return Sight(there=True, mode=stat.S_IMODE(os.fstat(descriptor).st_mode))


def _read(path: Path) -> str | None:
    with _folder(path) as folder, _opened(path, folder) as descriptor:
        return None if descriptor is None else _text(path, descriptor)


def _rewrite(path: Path, change: Change) -> None:
    with _folder(path) as folder, _locked(path, folder):
        _sweep(path, folder)
        for _ in range(_TRIES):
            with _opened(path, folder) as descriptor:
                before = None if descriptor is None else os.fstat(descriptor)
                new = change(None if descriptor is None else _text(path, descriptor))
                if _replace(path, folder, descriptor, before, new):
                    return
        raise ActionFailed(
            f"{path} is changed by somebody else again and again; it was not changed by dbdeck"
        )


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    """All goes by this descriptor: what is renamed meanwhile leads nowhere else."""
    try:
        descriptor = _descend(_straight(path))
    except OSError as error:
        raise _failed(path, f"{path.parent}: {error.strerror}") from None
    try:
        mode = os.fstat(descriptor).st_mode
        if mode & 0o022 and not mode & stat.S_ISVTX:
            raise ActionFailed(
                f"{path.parent} has mode {stat.S_IMODE(mode):04o}: others may replace {path.name} in it; "
                "it was left alone",
                f"chmod go-w {shlex.quote(str(path.parent))}",
            )
        yield descriptor
    finally:
        os.close(descriptor)


def _straight(path: Path) -> Path:
    """Its folder without links. One that neither root nor we made may lead anywhere tomorrow."""
    for one in path.parents:
        if one.is_symlink() and one.lstat().st_uid not in (0, os.geteuid()):
            raise _failed(path, f"{one} is another user's symbolic link, which is not followed")
    return path.parent.resolve()


def _descend(folder: Path) -> int:
    """Raises OSError where a link has come into the way since."""
    here = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    parts = folder.parts[1:]
    for number, part in enumerate(parts, 1):
        how = os.O_PATH if number < len(parts) else os.O_RDONLY
        try:
            below = os.open(part, how | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
        finally:
            os.close(here)
        here = below
    return here


@contextmanager
def _opened(path: Path, folder: int) -> Iterator[int | None]:
    """The file itself, never what a link leads to; None where there is none. Raises ActionFailed."""
    always = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path.name, always, dir_fd=folder)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        link = error.errno == errno.ELOOP
        why = "it is a symbolic link, and none is followed" if link else error.strerror or str(error)
        raise _failed(path, why, "write the path of the file itself" if link else "") from None
    try:
        _refuse_odd(path, os.fstat(descriptor))
        yield descriptor
    finally:
        os.close(descriptor)


def _refuse_odd(path: Path, found: os.stat_result) -> None:
    mode, quoted = stat.S_IMODE(found.st_mode), shlex.quote(str(path))
    if not stat.S_ISREG(found.st_mode):
        raise _failed(path, "it is no regular file")
    if mode & 0o077:
        raise _failed(path, f"it has mode {mode:04o}: others may use it", f"chmod 0600 {quoted}")
    if os.geteuid() not in (0, found.st_uid):
        raise _failed(path, f"it belongs to another user (uid {found.st_uid})", "run dbdeck as its owner")
    if found.st_nlink > 1:
        raise _failed(path, "it has another name (a hard link), under which it would stay as it is")
    if found.st_size > LARGEST:
        raise _failed(path, f"it has {found.st_size} bytes, and more than {LARGEST} are not read")


def _text(path: Path, descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(os.dup(descriptor), "rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise _failed(path, f"more than {LARGEST} bytes are not read")
    return data.decode("utf-8", "surrogateescape")


@contextmanager
def _locked(path: Path, folder: int) -> Iterator[None]:
    """The lock is on the folder: one on the file would be on what a rename puts away."""
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= until:
                raise _failed(path, f"another program holds the lock of {path.parent}", "try again") from None
            time.sleep(0.02)
        except OSError as error:
            raise _failed(path, f"{path.parent} cannot be locked: {error.strerror}") from None
    yield  # closing the descriptor lets go


def _replace(path: Path, folder: int, old: int | None, before: os.stat_result | None, new: str) -> bool:
    """False when the file is not the one that was read any more; then nothing was changed."""
    beside = f"{_beside(path)}{secrets.token_hex(6)}"
    try:
        _write(beside, folder, old, before, new.encode("utf-8", "surrogateescape"))
        if not _unchanged(path, folder, before):
            return False
        os.rename(beside, path.name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError as error:
        raise _failed(path, error.strerror or str(error)) from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(beside, dir_fd=folder)
    with contextlib.suppress(OSError):  # the new one is there; some file systems cannot promise more
        os.fsync(folder)
    return True


def _write(name: str, folder: int, old: int | None, before: os.stat_result | None, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, _NEW, dir_fd=folder), "wb") as file:
        made = file.fileno()
        if before is not None and old is not None:
            _like(made, old, before)
        file.write(data)
        file.flush()
        os.fsync(made)


def _like(made: int, old: int, before: os.stat_result) -> None:
    """Owner, attributes and mode of the old one, before anything secret is in it."""
    found = os.fstat(made)
    if (found.st_uid, found.st_gid) != (before.st_uid, before.st_gid):
        os.fchown(made, before.st_uid, before.st_gid)
    for name in os.listxattr(old):
        with contextlib.suppress(OSError):  # those of the system set themselves
            os.setxattr(made, name, os.getxattr(old, name))
    os.fchmod(made, stat.S_IMODE(before.st_mode))


def _unchanged(path: Path, folder: int, before: os.stat_result | None) -> bool:
    try:
        now = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return before is None
    return before is not None and _print(now) == _print(before)


def _print(of: os.stat_result) -> tuple[int, ...]:
    return of.st_dev, of.st_ino, of.st_size, of.st_mtime_ns, of.st_ctime_ns


def _beside(path: Path) -> str:
    return f".{path.name}.dbdeck-"


def _sweep(path: Path, folder: int) -> None:
    """What a run that was killed left: it holds a secret. Nobody else writes one, as we have the lock."""
    for name in os.listdir(folder):
        if name.startswith(_beside(path)):
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder)


def _failed(path: Path, why: str, hint: str = "") -> ActionFailed:
    return ActionFailed(f"{path}: {why}; it is as it was", hint)
