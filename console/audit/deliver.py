"""Ends of actions that a dead writer left in its journal, delivered by the next one.

A row that is sent twice is one row, so nothing is at stake here but completeness: whatever fails
leaves journal and table as they are. A writer that is dead stays dead, because each has an id and a
journal of its own. Journals of a break-glass are left to `merge`, which looks at them as a whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

from console.audit.journal import GLASS, alive, encode_ack, encode_line
from console.audit.journals import in_folder, open_journal, writer_of
from console.audit.readback import can_grow, read, waiting
from console.audit.record import Entry, Row
from console.audit.table.port import NotTaken, Table, Undecided, in_time

_TAIL_BYTES: Final = 4096
_SETTLED: Final = (b'{"ack":', b'{"void":')


async def deliver(folder: Path, table: Table, deadline: float) -> None:
    """Send what dead writers of this folder left undecided; `deadline` seconds in all. Never raises
    for a table or a journal that fails."""
    with contextlib.suppress(TimeoutError, Undecided, OSError):
        await in_time(deadline, _deliver_all(folder, table))


async def _deliver_all(folder: Path, table: Table) -> None:
    for path, rows in await asyncio.to_thread(lambda: list(_left(folder, table.ledger))):
        with contextlib.suppress(NotTaken):  # nor will what follows it in its chain
            for row in rows:
                entry = await table.append(row)
                await asyncio.to_thread(_acknowledge, path, entry)


def _left(folder: Path, ledger: UUID) -> Iterator[tuple[Path, tuple[Row, ...]]]:
    """Newest first: the deadline may not be enough for all. One that cannot be read keeps no other."""
    for path in sorted(in_folder(folder), key=_newest, reverse=True):
        try:
            if path.name.endswith(GLASS) or _is_settled(path) or _lives(path):
                continue
            contents = read(path)
        except OSError:
            continue
        header = contents.header
        mine = header is not None and header.ledger == ledger and not header.glass
        rows = waiting(contents) if mine and not contents.damaged else ()
        if rows:
            yield path, rows


def _newest(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _is_settled(path: Path) -> bool:
    """The last row got its answer, and so did all before it: nothing is sent past one that waits. Raises
    OSError.
    """
    with open_journal(path) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        *_, last = (b"", *file.read().splitlines())
    return last.startswith(_SETTLED)


def _lives(path: Path) -> bool:
    writer = writer_of(path)
    return writer is None or alive(path.parent, writer)  # of None: no journal of ours


def _acknowledge(path: Path, entry: Entry) -> None:
    """Without it the row is sent again next time, which does no harm. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "r+b", buffering=0) as file, contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if can_grow(file.read()):
            file.write(encode_line("ack", encode_ack(entry)))
