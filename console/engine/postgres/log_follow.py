"""Follow a server log through its rotations, in pieces of bounded size, wherever its files are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from console.engine.postgres.link import Link
from console.engine.postgres.server_log import LogEntry, LogParser
from console.errors import PrivilegeMissing

CHUNK = 256 << 10  # bytes: over a slow line a piece still comes within the deadline of a read
LOOK_BACK = 16 << 20  # bytes of log that the first read goes back
PER_READ, SECONDS = 16 << 20, 3.0  # at most in one read; the next one goes on from there
FAR_BEHIND = 128 << 20  # a reader so late gives the older part up
_HEAD = 128  # bytes by which a file is known again under another name, or known to be another one


class LogFile(msgspec.Struct, frozen=True, kw_only=True):
    """`key` stays when a file is renamed, where the source can tell that (an inode)."""

    path: str
    key: str
    size: int


class LogFiles(Protocol):
    async def files(self) -> Sequence[LogFile]:
        """The oldest first; the last one is written to now. Empty where there is no log."""
        ...

    async def piece(self, path: str, offset: int, length: int) -> bytes: ...


class ServedFiles:
    """The files that the server itself reads for us. Raises Unreachable errors."""

    def __init__(self, link: Link, form: str) -> None:
        self._link = link
        self._form = form

    async def files(self) -> Sequence[LogFile]:
        current: str | None = (await self._link.fetch("log_current", "the log's name", self._form))[0]["path"]
        if current is None:
            return ()
        folder, _, now = current.rpartition("/")
        rows = await self._link.fetch("log_files", "the log folder")
        alike = [row for row in rows if _kind(row["name"]) == _kind(now)]
        alike.sort(key=lambda row: (row["name"] == now, row["modified"], row["name"]))
        return [_served(f"{folder}/{row['name']}", row["size"]) for row in alike]

    async def piece(self, path: str, offset: int, length: int) -> bytes:
        try:
            rows = await self._link.fetch("log_chunk", "the server's log", path, offset, length)
        except PrivilegeMissing as error:
            user = self._link.target.monitor.user
            raise PrivilegeMissing(
                f"{error.message}; the log lies outside the data folder",
                f"GRANT pg_read_server_files TO {user}; or make log_directory an absolute path",
            ) from None
        return bytes(rows[0]["chunk"])


def _served(path: str, size: int) -> LogFile:
    return LogFile(path=path, key=path, size=size)


def _kind(name: str) -> str:
    return name[-4:] if name.endswith((".csv", "json")) else ""


class LocalFiles:
    """A log on this machine: a file with those it was rotated to beside it, or a folder of them.

    Raises OSError.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    async def files(self) -> Sequence[LogFile]:
        return await asyncio.to_thread(self._files)

    async def piece(self, path: str, offset: int, length: int) -> bytes:
        return await asyncio.to_thread(_read, Path(path), offset, length)

    def _files(self) -> Sequence[LogFile]:
        found = self._folder() if self._path.is_dir() else self._rotated()
        aged = sorted((path == self._path, path.stat().st_mtime, path.name, path) for path in found)
        return [_local(path) for *_, path in aged]

    def _folder(self) -> Sequence[Path]:
        """Of the formats in it the one that tells most."""
        found = [path for path in self._path.iterdir() if path.is_file() and not _packed(path)]
        best = max((_rank(path) for path in found), default=0)
        return [path for path in found if _rank(path) == best]

    def _rotated(self) -> Sequence[Path]:
        self._path.stat()  # its absence is an error, not an empty log
        beside = self._path.parent.glob(f"{self._path.name.replace('[', '[[]')}[.-]*")
        return [self._path, *(path for path in beside if path.is_file() and not _packed(path))]


def _local(path: Path) -> LogFile:
    status = path.stat()
    return LogFile(path=str(path), key=f"{status.st_dev}:{status.st_ino}", size=status.st_size)


def _rank(path: Path) -> int:
    return {".json": 2, ".csv": 1}.get(path.suffix, 0)


def _packed(path: Path) -> bool:
    return path.suffix in (".gz", ".xz", ".zst", ".bz2", ".lz4")


def _read(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


MakeParser = Callable[[str, bytes, int], LogParser]


class Follower:
    """Where the reading stands. `make` gives a parser for (path, first bytes, offset)."""

    def __init__(self, source: LogFiles, make: MakeParser) -> None:
        self._source = source
        self._make = make
        self._path = self._key = ""
        self._head = b""
        self._offset = 0
        self._anew = False
        self._parser: LogParser | None = None
        self.behind = False
        self.skipped = 0  # bytes given up, at the first read or when far behind

    @property
    def place(self) -> tuple[str, int]:
        """The file that was read last, and how far."""
        return self._path, self._offset

    async def read(self) -> list[tuple[str, LogEntry]]:
        """(file, entry) of what was written since the last read; an entry that may still grow is
        returned each time, so that the last message of a quiet log is not waited for.
        """
        files = list(await self._source.files())
        if not files:
            return []
        place = await self._place(files)
        found: list[tuple[str, LogEntry]] = []
        until = time.monotonic() + SECONDS
        self.behind = False
        for file in files[place:]:
            if file.key != self._key or self._anew:
                found += self._rest()  # a message is never continued in the next file
                await self._open(file, 0)
            self.behind = not await self._drain(found, until)
            if self.behind:
                break
        return found + self._rest()

    async def _drain(self, found: list[tuple[str, LogEntry]], until: float) -> bool:
        """Whether the end of the file was reached before the budget ended."""
        for _ in range(PER_READ // CHUNK):
            data = await self._source.piece(self._path, self._offset, CHUNK)
            self._offset += len(data)
            if self._parser is not None:
                found += [(self._path, entry) for entry in self._parser.feed(data)]
            if len(data) < CHUNK:
                return True
            if time.monotonic() > until:
                break
        return False

    async def _place(self, files: Sequence[LogFile]) -> int:
        """The index of the file to go on with."""
        if self._parser is None:
            return await self._begin(files)
        place = await self._again(files)
        if place is None:  # what we read is gone: begin with the current file
            place, self._offset, self._anew = len(files) - 1, 0, True
        left = sum(file.size for file in files[place:]) - self._offset
        if left > FAR_BEHIND:
            self._parser = None
            return await self._begin(files, left)
        return place

    async def _begin(self, files: Sequence[LogFile], left: int | None = None) -> int:
        """Go back so far, over several files where they are small."""
        rest = LOOK_BACK
        place = len(files) - 1
        while place and files[place].size < rest:
            rest -= files[place].size
            place -= 1
        offset = max(0, files[place].size - rest)
        kept = sum(file.size for file in files[place:]) - offset
        self.skipped += sum(file.size for file in files) - kept if left is None else left - kept
        await self._open(files[place], offset)
        return place

    async def _again(self, files: Sequence[LogFile]) -> int | None:
        """Where the file that we read is now: files are renamed, copied away and emptied, or begun anew."""
        for place in sorted(range(len(files)), key=lambda at: files[at].key != self._key):
            if files[place].size >= self._offset and await self._is_ours(files[place]):
                self._path, self._key = files[place].path, files[place].key
                return place
        return None

    async def _is_ours(self, file: LogFile) -> bool:
        head = await self._source.piece(file.path, 0, _HEAD)
        if not head.startswith(self._head) or (not self._head and file.key != self._key):
            return False
        self._head = head
        return True

    async def _open(self, file: LogFile, offset: int) -> None:
        self._path, self._key, self._offset, self._anew = file.path, file.key, offset, False
        self._head = await self._source.piece(file.path, 0, _HEAD)
        self._parser = self._make(file.path, self._head, offset)

    def _rest(self) -> list[tuple[str, LogEntry]]:
        return [(self._path, one) for one in (self._parser.rest() if self._parser else ())]
