"""The vault's folder: who may read it, one writer at a time, and files that are replaced whole.

    vault          the present generation
    vault.5 …      the generations before it, by number; the last three are kept
    vault.lock     held while a process writes; a file of its own, because `vault` is replaced
    vault.new      a generation on its way to the disk; what a crash leaves of it is overwritten
    vault.damaged  what `dbdeck secret restore` found in the place of the vault

A file of a generation is never written to again. Everything is reached through the opened folder, so
that a path that is exchanged meanwhile leads nowhere else.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shlex
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from console.errors import OutcomeUnknown, SecretsUnavailable
from console.vault.sealed import LARGEST

KEPT: Final = 3
LOCK_SECONDS: Final = 5.0
DAMAGED: Final = "damaged"


class _Folder(NamedTuple):
    """Opened; what is in it is reached through the descriptor, and called by the path."""

    fd: int
    path: Path


class Disk:
    """Blocking. Everything raises SecretsUnavailable naming the path, and what was not done."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, generation: int | None = None) -> bytes | None:
        """The bytes of a generation, or of the present one; None where there is no such file."""
        name = self.path.name if generation is None else f"{self.path.name}.{generation}"
        try:
            with self._folder() as folder:
                return _read(folder, name)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error, "nothing was read from it", name) from None

    def kept(self) -> tuple[int, ...]:
        """Numbers of the earlier generations, the newest first."""
        try:
            with self._folder() as folder:
                return _kept(folder, self.path.name)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise self._unusable(error, "nothing was read from it") from None

    @contextlib.contextmanager
    def locked(self, seconds: float = LOCK_SECONDS) -> Iterator[None]:
        """Nobody else writes meanwhile. Makes the folder (0700) where it is missing."""
        try:
            _make(self.path.parent)
            with self._folder() as folder:
                descriptor = _lock(folder, f"{self.path.name}.lock", seconds)
        except OSError as error:
            raise self._unusable(error, "nothing was changed in it") from None
        if descriptor is None:
            raise SecretsUnavailable(
                f"the vault {self.path} was being written by another process for {seconds:g} s; "
                "nothing was changed in it",
                "try again; `fuser` names who holds its .lock file",
            )
        try:
            yield
        finally:
            os.close(descriptor)

    def replace(self, data: bytes, keep: int | str | None) -> None:
        """On return `data` is the vault, on the disk. Only under the lock.

        The file that was there stays as the generation `keep`, or under that word. When this raises
        SecretsUnavailable the vault is what it was; OutcomeUnknown says that a crash may undo it.
        """
        name = self.path.name
        try:
            with self._folder() as folder:
                _write_new(folder, f"{name}.new", data)
                if keep is not None:
                    _keep(folder, name, f"{name}.{keep}")
                os.rename(f"{name}.new", name, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)
        except OSError as error:
            raise self._unusable(error, "nothing was changed in it: it holds what it held") from None
        self._settle()

    def forget(self) -> None:
        """Remove the earlier generations. Only under the lock."""
        self._prune(0)

    def _settle(self) -> None:
        try:
            with self._folder() as folder:
                os.fsync(folder.fd)
        except OSError as error:
            raise OutcomeUnknown(
                f"the vault {self.path} was written, but not certainly to the disk: {_reason(error)}",
                "a crash of this machine may undo it: look with `dbdeck secret list`",
            ) from None
        with contextlib.suppress(SecretsUnavailable):
            self._prune(KEPT)  # what is too many now goes with the next write

    def _prune(self, left: int) -> None:
        try:
            with self._folder() as folder:
                for number in _kept(folder, self.path.name)[left:]:
                    os.unlink(f"{self.path.name}.{number}", dir_fd=folder.fd)
        except OSError as error:
            raise self._unusable(error, "earlier generations of it are still there") from None

    @contextlib.contextmanager
    def _folder(self) -> Iterator[_Folder]:
        descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _refuse_others(os.fstat(descriptor), self.path.parent, 0o700)
            yield _Folder(descriptor, self.path.parent)
        finally:
            os.close(descriptor)

    def _unusable(self, error: OSError, so: str, name: str = "") -> SecretsUnavailable:
        path = self.path.with_name(name) if name else self.path
        hint = error.hint if isinstance(error, _OpenToOthersError) else ""
        return SecretsUnavailable(f"the vault {path} cannot be used: {_reason(error)}; {so}", hint)


class _OpenToOthersError(OSError):
    """A file or folder that others own or may use."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(0, reason)
        self.hint = hint


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _refuse_others(found: os.stat_result, path: Path, mode: int) -> None:
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise OSError(0, f"{path} is no regular file")
    if found.st_uid != os.geteuid():
        raise _OpenToOthersError(
            f"{path} belongs to another user (uid {found.st_uid})", "run it as its owner"
        )
    if found.st_mode & 0o077:
        raise _OpenToOthersError(
            f"{path} has mode {stat.S_IMODE(found.st_mode):04o}, so others may use it",
            f"chmod {mode:04o} {shlex.quote(str(path))}",
        )


def _open(folder: _Folder, name: str, flags: int) -> int:
    """Never through a symlink, and without waiting for the other end of a fifo."""
    always = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(name, flags | always, 0o600, dir_fd=folder.fd)
    try:
        found = os.fstat(descriptor)
        _refuse_others(found, folder.path / name, 0o600)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _read(folder: _Folder, name: str) -> bytes:
    with os.fdopen(_open(folder, name, os.O_RDONLY), "rb") as file:
        return file.read(LARGEST + 1)


def _kept(folder: _Folder, name: str) -> tuple[int, ...]:
    listed = os.listdir(folder.fd)  # noqa: PTH208 - by the descriptor, not by the path
    ends = [one.removeprefix(f"{name}.") for one in listed if one.startswith(f"{name}.")]
    return tuple(sorted((int(one) for one in ends if one.isascii() and one.isdecimal()), reverse=True))


def _lock(folder: _Folder, name: str, seconds: float) -> int | None:
    """The descriptor that holds the lock; None when it was not to be had in time."""
    until = time.monotonic() + seconds
    while True:
        descriptor = _open(folder, name, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(folder, name, descriptor):
                return descriptor
        except BlockingIOError:
            pass
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() >= until:
            return None
        time.sleep(random.uniform(0.002, 0.02))  # noqa: S311 - so that waiting processes take turns


def _is_still(folder: _Folder, name: str, descriptor: int) -> bool:
    """False when somebody removed the lock's file meanwhile: a lock on it excludes nobody."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(name, dir_fd=folder.fd, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _write_new(folder: _Folder, name: str, data: bytes) -> None:
    """A file of its own, on the disk; nothing is left of it when it cannot be written."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder.fd)
    descriptor = _open(folder, name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder.fd)
        raise


def _keep(folder: _Folder, name: str, kept: str) -> None:
    """Another name for the file that is about to be replaced; none where there is no file."""
    with contextlib.suppress(FileNotFoundError):
        try:
            os.link(name, kept, src_dir_fd=folder.fd, dst_dir_fd=folder.fd, follow_symlinks=False)
        except FileExistsError:
            # By a write that was killed before its rename, or by a person who copied files about.
            os.unlink(kept, dir_fd=folder.fd)
            os.link(name, kept, src_dir_fd=folder.fd, dst_dir_fd=folder.fd, follow_symlinks=False)


def _make(folder: Path) -> None:
    """0700, each new folder on the disk; one that is there stays as it is."""
    for missing in [path for path in (folder, *folder.parents) if not path.exists()][::-1]:
        missing.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(missing.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
