"""Journals read by a process of its own while this one reads the table: two cores are at work then.

What the journals held before the table was asked is evidence, so their sizes are noted first. The process is
given these, and answers with what `read_evidence` finds. Where it cannot be had, this one reads them itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias
from uuid import UUID

import msgspec

from console import __version__
from console.audit.chain import Head
from console.audit.journal import unusable
from console.audit.journals import in_folder
from console.audit.readback import Evidence, read_evidence
from console.errors import AuditUnavailable
from console.hardening import harden
from console.programs import clean_environment

ENOUGH = 8 << 20  # bytes of journals; less are read before a process has begun
Reading: TypeAlias = Callable[[], Awaitable[list[Evidence]]]
_COMMAND: Final = (sys.executable, "-P", "-m", "console.audit.aside")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What `read_evidence` takes. `version` of who asks: what is on the disk may be another one by now."""

    version: str = __version__
    folder: str
    ledger: UUID
    sink: str
    covered: Mapping[UUID, Head]
    sizes: Mapping[str, int]

    def read(self) -> list[Evidence]:
        """Raises AuditUnavailable, also for one that is gone since: nothing would contradict the table."""
        folder = Path(self.folder)
        found = read_evidence(folder, self.ledger, self.sink, self.covered, self.sizes)
        for gone in sorted(set(self.sizes) - {path.name for path in in_folder(folder)}):
            raise unusable(folder / gone, "it was there when this began, and is gone")
        return found


_ASKED: Final = msgspec.msgpack.Decoder(Asked)
_FOUND: Final = msgspec.msgpack.Decoder(list[Evidence])


def asked(folder: Path, ledger: UUID, sink: str, covered: Mapping[UUID, Head]) -> Asked | None:
    """None where the journals are too small to pay for a process, or there is one core only."""
    try:
        whole = folder.absolute()
        sizes = {path.name: path.stat().st_size for path in in_folder(whole) if path.is_file()}
        "".join((str(whole), *sizes)).encode()
    except (OSError, AuditUnavailable, UnicodeEncodeError):
        return None  # who reads them says why, or can read what has no name in UTF-8
    if sum(sizes.values()) < ENOUGH or _cores() < 2:
        return None
    return Asked(folder=str(whole), ledger=ledger, sink=sink, covered=covered, sizes=sizes)


def _cores() -> int:
    """That this process may use, where the system tells."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


@contextlib.asynccontextmanager
async def beside(what: Asked) -> AsyncIterator[Reading]:
    """While it is entered a process reads; what it yields waits for that, and raises AuditUnavailable."""
    answer = asyncio.ensure_future(_answer(msgspec.msgpack.encode(what)))
    try:
        yield lambda: _found(answer, what)
    finally:
        answer.cancel()
        await asyncio.wait((answer,))


async def _found(answer: asyncio.Future[bytes], what: Asked) -> list[Evidence]:
    with contextlib.suppress(msgspec.DecodeError):
        return await asyncio.to_thread(_FOUND.decode, await answer)
    return await asyncio.to_thread(what.read)


async def _answer(request: bytes) -> bytes:
    """Empty where there is none. The process is gone when it is there, or when it was cancelled."""
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            stdin=pipe,
            stdout=pipe,
            stderr=asyncio.subprocess.DEVNULL,
            cwd="/",
            env=clean_environment(),
        )
    except OSError:
        return b""
    try:
        found, _ = await process.communicate(request)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return found if process.returncode == 0 else b""


def main() -> None:
    """In the process: what goes wrong ends it, and who asked reads the journals then."""
    harden()
    what = _ASKED.decode(sys.stdin.buffer.read())
    if what.version != __version__:
        raise SystemExit(1)
    sys.stdout.buffer.write(msgspec.msgpack.encode(what.read()))


if __name__ == "__main__":
    main()
