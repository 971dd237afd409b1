"""A private directory that is gone when we are: the ground a throw-away server stands on.

A guard process outlives us. When we end, in whatever way, it stops the server and removes the
directory. `sweep` removes what is left where the guard itself was killed.

When we are root the server runs as an unprivileged user: the directory stays root's, and only the
folders made by `Lease.folder` belong to that user. So root never writes where that user could have
put a link, and no permission of a parent folder is changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from console.errors import UsageError

PREFIX = "dbdeck-scratch-"

_MARKER = "owner"
_LOG_LINES = 12

# argv: directory, data folder, pid file, signal. The pipe on stdin ends when its writer, we, is
# gone: after that the server is stopped and the directory removed. Nothing is interpolated. A pid
# is signalled only while that process stands in the data folder; without /proc nobody can tell, and
# then root, who could hit anybody, signals nobody: a server without its files ends by itself.
_GUARD = r"""
trap '' HUP INT TERM
read -r _ || :
root=$1 data=$2 pidfile=$3 signal=$4
ours() {
  case $pid in ''|*[!0-9]*) return 1 ;; esac
  if [ -e /proc/self/cwd ]; then [ "$(readlink "/proc/$pid/cwd")" = "$data" ]; else [ "$(id -u)" != 0 ]; fi
}
pid=$(head -n 1 "$pidfile")
if ours && kill -s "$signal" "$pid"; then
  n=0
  while [ -e "$pidfile" ] && [ "$n" -lt 100 ]; do n=$((n + 1)); sleep 0.1; done
  [ ! -e "$pidfile" ] || { ours && kill -s KILL "$pid"; }
fi
n=0
while rm -rf -- "$root"; [ -e "$root" ] && [ "$n" -lt 10 ]; do n=$((n + 1)); sleep 0.5; done
"""


class Account(msgspec.Struct, frozen=True):
    """The user that child processes run as."""

    uid: int
    gid: int

    def of_children(self) -> dict[str, Any]:
        """Keywords for subprocess: only root has to, and may, change the user."""
        if os.geteuid() != 0:
            return {"umask": 0o077}
        return {"user": self.uid, "group": self.gid, "extra_groups": [], "umask": 0o077}


class Lease:
    """A private directory, held until `close`: its lock and its guard live as long as we do."""

    def __init__(self, root: Path, account: Account, lock: int, guard: subprocess.Popen[bytes]) -> None:
        self.root = root
        self.account = account
        self._lock = lock
        self._guard = guard

    def folder(self, name: str) -> Path:
        """A folder that only the server's user (and root) can enter."""
        made = self.root / name
        made.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(made, self.account.uid, self.account.gid)
        return made

    def give_to_read(self, path: Path) -> None:
        """Let the server read a file that stays ours, such as a key. PostgreSQL accepts this form."""
        path.chmod(0o640 if os.geteuid() == 0 else 0o600)
        if os.geteuid() == 0:
            os.chown(path, 0, self.account.gid)

    def copy_program(self, source: Path, name: str) -> Path:
        """A copy that the server's user can run, whatever our umask; nobody else gets this far."""
        copy = self.root / "program" / name
        skip = shutil.ignore_patterns("include", "doc", "man", "*.a", "*.pyc")
        shutil.copytree(source, copy, symlinks=True, ignore=skip)
        above = [folder for folder in copy.parents if folder.is_relative_to(self.root / "program")]
        for entry in (*above, copy, *copy.rglob("*")):
            if not entry.is_symlink():
                entry.chmod(0o755 if entry.is_dir() or entry.stat().st_mode & stat.S_IXUSR else 0o644)
        return copy

    async def close(self) -> None:
        """Let the guard stop the server and remove the directory, and see that it did.

        The same hand cleans up after a normal end and after a SIGKILL, so that it is known to work.
        A cancellation in here loses nothing: the guard goes on without us.
        """
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        try:
            self._guard.wait(20)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        finally:
            os.close(self._lock)
        _clear(self.root)


def unprivileged(preferred: Sequence[str] = ("postgres", "nobody")) -> Account:
    """Whom the server runs as: ourselves, or, when we are root, the first of these users there is."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    for name in preferred:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise UsageError(
        "a database server must not run as root, and there is no unprivileged user to run it as",
        f"run dbdeck as an ordinary user, or create one of: {', '.join(preferred)}",
    )


def reachable(path: Path, account: Account) -> bool:
    """Can that account enter this folder, through all of its parents?"""
    resolved = path.resolve()
    return all(_may_enter(folder, account) for folder in (resolved, *resolved.parents))


def _may_enter(folder: Path, account: Account) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == account.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def lease(
    pid_file: str, data: str, stop_signal: str, account: Account | None = None, base: Path | None = None
) -> Lease:
    """Make a private directory and put a guard over it; the names are relative to the directory.

    `base` is where it is made, the system's folder for temporary files unless given. Raises UsageError.
    """
    account = account or unprivileged()
    here = "set TMPDIR" if base is None else "set drills.scratch"
    base = Path(base or tempfile.gettempdir()).resolve()
    if not reachable(base, account):
        raise UsageError(
            f"{base} cannot be entered by the user the server has to run as",
            f"{here} to a folder that every user can enter, such as /tmp",
        )
    root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    lock = -1
    try:
        lock = _mark(root)
        if os.geteuid() == 0:
            os.chown(root, 0, account.gid)
            root.chmod(0o710)
        guard = _start_guard(root, root / data, root / pid_file, stop_signal)
    except BaseException:
        if lock >= 0:
            os.close(lock)
        shutil.rmtree(root, ignore_errors=True)
        raise
    return Lease(root, account, lock, guard)


def _mark(root: Path) -> int:
    """Leave a locked file: the kernel frees the lock when we die, so no pid can be mistaken.

    It gets its name only once it is locked, hence a marker without a lock has no owner.
    """
    fresh = root / f"{_MARKER}.new"
    lock = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.write(lock, f"{os.getpid()}\n".encode())
    fresh.rename(root / _MARKER)
    return lock


def _start_guard(root: Path, data: Path, pid_file: Path, stop: str) -> subprocess.Popen[bytes]:
    """A session of its own: Ctrl-C in the terminal must not reach the guard before us."""
    return subprocess.Popen(  # noqa: S603 - a constant script; the paths are its arguments
        ["/bin/sh", "-c", _GUARD, "dbdeck-guard", root, data, pid_file, stop],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=environment(),
        start_new_session=True,
    )


def sweep(base: Path | None = None) -> list[Path]:
    """Stop and remove what dead owners left behind; a live owner's directory is never touched."""
    base = Path(base or tempfile.gettempdir()).resolve()
    return [root for root in sorted(base.glob(f"{PREFIX}*")) if _abandoned(root) and _clear(root)]


def _abandoned(root: Path) -> bool:
    try:
        found = root.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return False
        lock = os.open(root / _MARKER, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        # Its owner is about to mark it, or its guard was killed in the middle of removing it.
        return root.exists() and time.time() - found.st_mtime > 60
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _clear(root: Path) -> bool:
    """Stop the server that still runs in the directory, if any, and remove the directory."""
    data = root / "data"
    for pid_file in data.glob("*.pid"):
        pid = first_number(pid_file)
        if pid is not None and _stands_in(pid, data):
            _end(pid, data)
    # Backends that are still ending may write a last file.
    for _ in range(10):
        shutil.rmtree(root, ignore_errors=True)
        if not root.exists():
            return True
        time.sleep(0.1)
    return False


def _end(pid: int, data: Path) -> None:
    """SIGQUIT first: PostgreSQL then ends its children too. MySQL takes no notice of it."""
    for attempt in (signal.SIGQUIT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, attempt)
        deadline = time.monotonic() + 5
        while _stands_in(pid, data) and time.monotonic() < deadline:
            time.sleep(0.05)
        if not _stands_in(pid, data):
            return


def _stands_in(pid: int, data: Path) -> bool:
    """Is this pid really the directory's server? The file may be old, or written by somebody else.

    Without /proc nobody is signalled: PostgreSQL ends within a minute of losing its directory.
    """
    try:
        process = Path(f"/proc/{pid}")
        same_user = process.stat().st_uid == data.lstat().st_uid
        return same_user and (process / "cwd").readlink() == data
    except OSError:
        return False


def first_number(path: Path) -> int | None:
    try:
        return int(path.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def environment() -> dict[str, str]:
    """None of ours: PGDATA, PGOPTIONS, LD_PRELOAD and the like would leak into the server."""
    kept = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C"}
    kept.update({name: os.environ[name] for name in ("TZ", "TMPDIR") if name in os.environ})
    return kept


def tail(path: Path) -> str:
    """The last lines of a log."""
    try:
        with path.open("rb") as file:
            return end_of(file)
    except OSError:
        return ""


def end_of(file: IO[bytes]) -> str:
    """Read from its end: it may be of any length."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
    lines = file.read(4096).decode(errors="replace").splitlines()
    return "\n".join(lines[-_LOG_LINES:])
