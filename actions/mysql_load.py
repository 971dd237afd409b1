"""Statements of a dump or of binary logs, loaded by the server's own client; and what it stopped at."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from actions.mysql_fence import Scratch, log_end, runnable
from actions.restoring import Site
from console.backups.mysql_text import FLUSH, subject_at
from console.backups.unpacking import packing, unpacked
from console.dispatch.enclosure import Enclosure, Work
from console.errors import ActionFailed
from console.model.drills import PhaseName
from console.programs import Heard

_ERROR = re.compile(r"ERROR (\d+) \((\w+)\) at line (\d+)(?: in file: '[^']*')?: (.*)")
# Of these the server repeats values of rows: duplicate keys, wrong values, what a parser stopped at.
_REPEATS = frozenset({1062, 1064, 1048, 1264, 1265, 1292, 1366, 1406, 1411, 1586, 3140, 4025})
# Disk full, table full (which is the disk, too), out of memory; MySQL "Server Error Message Reference".
_FULL = frozenset({1021, 1114, 1037, 1038, 1041})
_LACKS = frozenset({1115, 1273, 1286, 1524})  # character set, collation, storage engine, plugin
_GONE = frozenset({2002, 2006, 2013, 1053})
_LOOK_SECONDS = 0.25
_BLOCK = 1 << 20


class Refusal(NamedTuple):
    """What a server did not take: its number, its words without values, and the line of the file."""

    code: int
    words: str
    line: int


def client(enclosure: Enclosure, scratch: Scratch, *more: str) -> list[str]:
    """Without --force: it stops at the first statement that is refused."""
    return [
        runnable(enclosure, scratch.tools.client),
        f"--defaults-file={scratch.options}",
        "--batch",
        "--default-character-set=utf8mb4",
        "--max-allowed-packet=1G",
        "--binary-mode",
        *more,
    ]


def refusal(complaint: str) -> Refusal | None:
    found = _ERROR.search(complaint)
    if found is None:
        return None
    code = int(found[1])
    words = "its words may hold values of rows and are left out" if code in _REPEATS else found[4]
    return Refusal(code, words, int(found[3]))


async def load(
    site: Site,
    enclosure: Enclosure,
    scratch: Scratch,
    path: Path,
    *,
    database: str = "",
    fitted: bool = False,
) -> str:
    """Why it could not be loaded to its end, naming what it stopped at; empty where it was.

    The file is opened by us and read by the client, so that progress is where both stand in it. `fitted`: it
    makes accounts, or has the server read them, and passes through us.
    """
    size = (await asyncio.to_thread(path.stat)).st_size
    with await asyncio.to_thread(path.open, "rb") as file:
        watching = asyncio.ensure_future(_progress(site, file, size))
        argv = client(enclosure, scratch, *([f"--database={database}"] if database else []))
        into = Work(argv, f"load {path.name}")
        passing = Fitted(scratch.tools.server.flavor) if fitted else None
        try:
            heard, unpacker = await site.unless_stopped(_run(enclosure, into, file, path, passing))
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    if heard.code != 0:
        refuse_ground(enclosure, heard)
        return await asyncio.to_thread(_explained, path, heard)
    return f"{path.name} cannot be unpacked: {unpacker.why}" if unpacker and unpacker.code != 0 else ""


async def prepare_accounts(enclosure: Enclosure, scratch: Scratch, path: Path) -> None:
    """The accounts of a file and what they may do, as far as that can be said before tables are there.

    They come before the dump: a view over a function wants its definer, and that it may execute it. What
    is refused now is loaded again after the dump, and then it counts.
    """
    with await asyncio.to_thread(path.open, "rb") as file:
        argv = client(enclosure, scratch, "--force")
        heard = await enclosure.run(Work(argv, f"accounts of {path.name}, as far as they go", stdin=file))
    if heard.code != 0:
        refuse_ground(enclosure, heard)


async def _run(
    enclosure: Enclosure, into: Work, file: IO[bytes], path: Path, passing: Passing | None
) -> tuple[Heard, Heard | None]:
    how = packing(path)
    if not how.name and passing is None:
        return await enclosure.run(into._replace(stdin=file)), None
    if how.name and how.path is None:
        raise ActionFailed(f"{path} cannot be read: {how.fault}")
    argv = [str(how.path), "-dc"] if how.name else ["cat"]
    unpack = Work(argv, f"read {path.name}", stdin=file)
    if passing is not None:
        return await through(enclosure, unpack, into, passing)
    return await piped(enclosure, unpack, into)


async def piped(enclosure: Enclosure, first: Work, second: Work) -> tuple[Heard, Heard]:
    """(how the second ended, how the first did). Both run at once; one that ends ends the other."""
    reads, writes = os.pipe()
    with os.fdopen(reads, "rb") as out, os.fdopen(writes, "wb") as into:
        return await both(
            closing(enclosure.run(second._replace(stdin=out)), out.close),
            closing(enclosure.run(first._replace(stdout=into)), into.close),
        )


async def closing(work: Awaitable[Heard], close: Callable[[], None]) -> Heard:
    """Our own end of the pipe goes with the program, or the other one would never hear of its end."""
    try:
        return await work
    finally:
        with contextlib.suppress(OSError):
            close()


async def both(second: Awaitable[Heard], first: Awaitable[Heard]) -> tuple[Heard, Heard]:
    tasks = [asyncio.ensure_future(second), asyncio.ensure_future(first)]
    try:
        done = await asyncio.gather(*tasks)
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return done[0], done[1]


def refuse_ground(enclosure: Enclosure, heard: Heard) -> None:
    """Raises ActionFailed where this machine, and not the backup, is why a server took no statement."""
    found = refusal(heard.complaint)
    code = found.code if found else 0
    if code in _FULL or "errno: 28" in heard.complaint or "No space left" in heard.complaint:
        raise ActionFailed("the scratch disk is full; nothing was found out about the backup")
    if found and code in _LACKS:
        raise ActionFailed(
            f"the server here lacks what the backup needs: {found.words} ({code})",
            "install it, or set `binaries` to a server that has it",
        )
    if code in _GONE or not enclosure.serving:
        raise ActionFailed(f"the scratch server went away: {heard.why}\n{log_end(enclosure)}")


class Passing(Protocol):
    """What looks at a stream between two programs, and may change it."""

    def block(self, data: bytes) -> bytes: ...

    def end(self) -> bytes: ...


class Fitted:
    """A dump with accounts as it can be loaded where there are accounts already: those of a new server are
    made anew. Lines that have the server read its accounts are left out, as we would lose our rights there.
    Rows have no line breaks of their own, so no line of theirs looks like these.
    """

    def __init__(self, flavor: str) -> None:
        self._made = b"CREATE OR REPLACE USER" if flavor == "mariadb" else b"CREATE USER IF NOT EXISTS"
        self._rest = b""

    def block(self, data: bytes) -> bytes:
        whole, mark, rest = (self._rest + data).rpartition(b"\n")
        if len(rest) > _LONGEST:  # too long to be one
            whole, mark, rest = self._rest + data, b"", b""
        self._rest = rest
        return self._fit(whole) + mark

    def end(self) -> bytes:
        rest, self._rest = self._rest, b""
        return self._fit(rest)

    def _fit(self, text: bytes) -> bytes:
        return _MAKES.sub(self._made, _FLUSHES.sub(b"", text))


_LONGEST = 1 << 12
_FLUSHES = re.compile(rb"^" + re.escape(FLUSH) + b";", re.MULTILINE)
_MAKES = re.compile(rb"^CREATE USER(?= [`'])", re.MULTILINE)


async def through(enclosure: Enclosure, first: Work, second: Work, passing: Passing) -> tuple[Heard, Heard]:
    """As `piped`, with what passes looked at."""
    from_first, into_us = os.pipe()
    from_us, into_second = os.pipe()
    with (
        os.fdopen(from_first, "rb", buffering=0) as source,
        os.fdopen(into_us, "wb") as out,
        os.fdopen(from_us, "rb") as into,
        os.fdopen(into_second, "wb", buffering=0) as drain,
    ):
        carrying = asyncio.create_task(_carry(source, drain, passing))
        try:
            return await both(
                closing(enclosure.run(second._replace(stdin=into)), into.close),
                closing(enclosure.run(first._replace(stdout=out)), out.close),
            )
        finally:
            # Both programs have ended, and their ends of the pipes with them: no thread waits for anything.
            out.close()
            into.close()
            await asyncio.gather(carrying, return_exceptions=True)


async def _carry(source: IO[bytes], drain: IO[bytes], passing: Passing) -> None:
    try:
        while block := await asyncio.to_thread(source.read, _BLOCK):
            await asyncio.to_thread(_write_all, drain, passing.block(block))
        await asyncio.to_thread(_write_all, drain, passing.end())
    finally:
        drain.close()
        source.close()


def _write_all(drain: IO[bytes], block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[drain.write(view) :]


async def _progress(site: Site, file: IO[bytes], size: int) -> None:
    """The client's stdin is our open file: its place in it is ours."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        site.advance(PhaseName.RESTORE, os.lseek(file.fileno(), 0, os.SEEK_CUR), size, "bytes")


def _explained(path: Path, heard: Heard) -> str:
    found = refusal(heard.complaint)
    if found is None:
        return f"the client {heard.why}"
    with contextlib.suppress(ActionFailed, OSError), _lines(path) as lines:
        subject = subject_at(lines, found.line)
        if subject:
            return f"it stops at line {found.line}, at {subject}: {found.words} ({found.code})"
    return f"it stops at line {found.line}: {found.words} ({found.code})"


@contextmanager
def _lines(path: Path) -> Iterator[IO[bytes]]:
    with unpacked(path) as stream:
        yield stream
