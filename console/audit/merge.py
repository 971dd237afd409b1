"""The journal of a break-glass, brought into the table: looked at as a whole, then sent row by row.

A row that is sent twice is one row, so a merge that was killed is simply repeated. It needs the file alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID

import msgspec

from console.audit import chain
from console.audit.brackets import Event, event_of, fields
from console.audit.journal import GLASS, Header, encode_ack, encode_line, unusable
from console.audit.journals import in_folder
from console.audit.readback import Ack, line_of
from console.audit.record import Entry, Kind, Row
from console.audit.table.port import Forbidden, NotTaken, Table, Undecided
from console.errors import AuditForbidden, AuditUnavailable, Refused, UsageError
from console.named_file import refuse_no_file

_DIED = "where you know that its writer died, merge what there is: --died"


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """A journal without a fault. `torn`: bytes of an unfinished last line; `acked`: rows with a receipt."""

    header: Header
    rows: tuple[Row, ...]
    acked: frozenset[int]
    ended: bool
    torn: int


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """`link` of the last row tells two journals apart that were cut to different lengths. `already`: rows
    that the file knew to be in the table."""

    path: str
    writer: UUID
    rows: int
    already: int
    ended: bool
    link: str


def journals(place: Path) -> list[Path]:
    """The file itself, or those in a folder. Raises UsageError."""
    place = place.expanduser()
    if place.is_dir():
        return in_folder(place, GLASS)
    if not place.exists():
        raise UsageError(f"there is no file and no folder {place}; nothing was merged")
    return [place]


async def merge(path: Path, table: Table, sink: str, *, died: bool) -> Merged:
    """`died`: a journal without its end is taken as it is.

    Raises Refused naming the row, for what is no whole journal of this ledger; AuditUnavailable.
    """
    with _held(path) as descriptor:
        whole = read_whole(path, await asyncio.to_thread(path.read_bytes))
        _of_this_ledger(path, whole, table.ledger, sink)
        if not (whole.ended or died):
            raise Refused(
                f"{path} has no end after row {len(whole.rows)}: its writer died, or what came after "
                "it was cut off; nothing was merged",
                _DIED,
            )
        entries = [await _send(path, row, table) for row in whole.rows]
        await asyncio.to_thread(_acknowledge, descriptor, whole, entries)
    return Merged(
        path=str(path),
        writer=whole.header.writer,
        rows=len(whole.rows),
        already=len(whole.acked),
        ended=whole.ended,
        link=whole.rows[-1].link.hex(),
    )


async def _send(path: Path, row: Row, table: Table) -> Entry:
    try:
        try:
            return await table.append(row)
        except Undecided:
            return await table.append(row)  # reads (writer, seq) back first
    except Forbidden as error:
        raise AuditForbidden(f"row {row.seq} of {path} was not merged: {error}") from None
    except Undecided as error:
        raise AuditUnavailable(
            f"it is not known whether row {row.seq} of {path} was merged: {error}", "merge it again"
        ) from None
    except NotTaken as error:
        raise Refused(
            f"the ledger did not take row {row.seq} of {path}: {error}; "
            "rows before it are merged, none after it"
        ) from None


# ---- the file ---------------------------------------------------------------------------------------


def read_whole(path: Path, data: bytes) -> Whole:
    """Pure. Raises Refused naming the row for an edited, cut or re-ordered file; a last line that is not
    finished is what a crash leaves."""
    *lines, torn = data.split(b"\n")
    header = line_of(lines[0]) if lines else None
    if not isinstance(header, Header) or not header.glass:
        raise Refused(f"{path} is no journal of a break-glass; nothing was merged")
    rows: list[Row] = []
    acked: set[int] = set()
    for number, text in enumerate(lines[1:], 2):
        line = line_of(text)
        if isinstance(line, Row):
            _follows(path, line, rows, header)
            rows.append(line)
        elif isinstance(line, Ack):
            if not any(row.seq == line.seq and row.link.hex() == line.link for row in rows):
                raise _refused(path, line.seq, "was merged once, and is missing or another one")
            acked.add(line.seq)
        else:
            raise _refused(path, len(rows) + 1, f"cannot be read (line {number}): it was edited or cut")
    ended = _check_bracket(path, header, rows)
    return Whole(header=header, rows=tuple(rows), acked=frozenset(acked), ended=ended, torn=len(torn))


def _follows(path: Path, row: Row, rows: Sequence[Row], header: Header) -> None:
    head = chain.Head(rows[-1].seq, rows[-1].link) if rows else chain.Head(0, chain.START)
    if row.writer != header.writer:
        raise _refused(path, row.seq, "is of another writer")
    if chain.body_hash(row.body or "") != row.body_hash or chain.link(row) != row.link:
        raise _refused(path, row.seq, "was edited: it contradicts its own hashes")
    if row.seq != head.seq + 1:
        raise _refused(path, head.seq + 1, f"is missing: row {row.seq} stands in its place")
    if row.prev != head.link:
        raise _refused(path, row.seq, "does not follow the row before it")


def _check_bracket(path: Path, header: Header, rows: Sequence[Row]) -> bool:
    """Whether it has its end. Nothing was executed before the second row was on the disk."""
    events = [event_of(row.kind, row.body) for row in rows]
    if rows and rows[0].kind != Kind.OPEN:
        raise _refused(path, 1, "is not the beginning of a writer")
    if events[1:2] != [Event.BEGIN]:
        raise _refused(path, 2, "is not the beginning of a break-glass")
    begin = fields(rows[1].body)
    if begin.get("ledger") != str(header.ledger) or rows[1].action_id != header.writer:
        raise _refused(path, 2, "is of another ledger, or another writer, than the file says")
    if Event.END in events[:-1]:
        raise _refused(path, events.index(Event.END) + 2, "comes after the end")
    return events[-1] == Event.END


def _refused(path: Path, number: int, what: str) -> Refused:
    return Refused(
        f"row {number} of {path} {what}; nothing was merged",
        "look for the file as it was: on the machine it is of, or in its backup",
    )


def _of_this_ledger(path: Path, whole: Whole, ledger: UUID, sink: str) -> None:
    header = whole.header
    if header.ledger != ledger and header.sink != sink:
        raise Refused(
            f"{path} is of another ledger ({header.ledger} at {header.sink}; this is {ledger}); "
            "nothing was merged"
        )


@contextlib.contextmanager
def _held(path: Path) -> Iterator[int]:
    """A descriptor with the lock that its writer has while it lives. Raises UsageError for what is no file,
    Refused, AuditUnavailable.
    """
    try:
        refuse_no_file(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; nothing was merged") from None
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW)
    except OSError:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError as error:
            raise unusable(path, error.strerror or str(error)) from None
    try:
        _lock(path, descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(path: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Refused(
            f"{path} is in use: the break-glass is not over, or somebody merges it; nothing was merged"
        ) from None


def _acknowledge(descriptor: int, whole: Whole, entries: Sequence[Entry]) -> None:
    """So that this machine knows. A file that cannot be written is merged all the same, and again next
    time.
    """
    lines = [encode_line("ack", encode_ack(one)) for one in entries if one.seq not in whole.acked]
    if not lines:
        return
    with contextlib.suppress(OSError):
        if whole.torn:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - whole.torn)
        os.write(descriptor, b"".join(lines))
        os.fsync(descriptor)
