"""A ledger as a file: one line of JSON a row, bodies exact, and its verification without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from console.audit import chain
from console.audit.checkpoint import Checkpoint
from console.audit.marks import SETTLED
from console.audit.record import Entry, Receipt, canonical_json, decode_entry, encode
from console.audit.verify import NOTHING, Fault, Verification, verify
from console.errors import UsageError
from console.model.one_line import one_line
from console.named_file import lines_of, open_named


def export_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """Lines without their line ends, in the order of the entries."""
    return (line_of(entry) for entry in entries)


def line_of(entry: Entry) -> str:
    return one_line(canonical_json(encode(entry)))


def parse_line(line: bytes) -> Entry | None:
    """The inverse of `line_of`; None for what is no row of a ledger."""
    try:
        return decode_entry(msgspec.json.decode(line, type=dict[str, object]))
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None


class Line(NamedTuple):
    """A row as it is written, and all else that is kept of it."""

    id: int
    at: datetime
    text: str


class Source(Protocol):
    """What is read of a ledger."""

    async def moment(self) -> datetime: ...

    def stream(self, above: int | None = None) -> AsyncIterator[Entry]: ...


async def exported(
    source: Source, line: Callable[[Entry], str], above: int, *, goes_on: bool
) -> tuple[Sequence[Line], Sequence[Line]]:
    """Rows after that one, 0 for all; and, for who `goes_on` after the last of them, those that are left for
    the next time. Raises as `Ledger.stream`.
    """
    # Asked first: the rows are of the moment at which the reading begins, and that may outlast SETTLED.
    now = await source.moment() if goes_on else None
    read = [Line(row.id, row.at, line(row)) async for row in source.stream(above or None)]
    return settled(read, above, now) if now else (read, ())


def settled(rows: Sequence[Line], above: int, now: datetime) -> tuple[Sequence[Line], Sequence[Line]]:
    """Rows that no other can come before any more, and those after them. A number is given to a row before it
    is there to be read: where one is missing, it may be that of a row on its way, until SETTLED is over.
    `now` is not after the moment that the rows are of, by the clock that dated them.
    """
    before = above
    for place, row in enumerate(rows):
        if row.id > before + 1 and row.at > now - SETTLED:
            return rows[:place], rows[place:]
        before = row.id
    return rows, ()


class Read(NamedTuple):
    """`junk`: lines that are no rows. `first`: the smallest id."""

    junk: tuple[tuple[Path, int], ...]
    first: int


def verify_exports(
    paths: Sequence[Path],
    *,
    receipts: Iterable[Receipt] = (),
    anchored: Mapping[bytes, Checkpoint] = NOTHING,
    trusted: Collection[str] = (),
) -> tuple[Verification, Read]:
    """Of one ledger: exports that go on from each other are verified as one, and a row that is in two of
    them, the same in both, is one row. Each line that is no row is a fault.

    Raises UsageError for a file that cannot be read or is none, and where no file has a row.
    """
    rows: list[Entry] = []
    earlier: dict[Entry, int] = {}
    junk: list[tuple[Path, int]] = []
    for path in paths:
        found = _lines_in(path)
        wrong = [number for number, one in enumerate(found, 1) if one is None]
        if wrong and len(wrong) == len(found):
            raise UsageError(f"{path} is no export of a ledger: line 1 is no row of one")
        junk += [(path, number) for number in wrong]
        here = [one for one in found if one is not None]
        if len(paths) > 1:
            earlier |= _joined(rows, earlier, here)
        else:
            rows += here
    if not rows:
        names = ", ".join(map(str, paths))
        raise UsageError(f"there is no row in {names}; nothing was verified", "export the ledger again")
    verified = verify(rows, receipts=receipts, anchored=anchored, trusted=trusted)
    faults = (*verified.faults, *(Fault(None, None, None, "row") for _ in junk))
    first = min((one.id for one in rows), default=0)
    return msgspec.structs.replace(verified, faults=faults), Read(tuple(junk), first)


def _joined(rows: list[Entry], earlier: Mapping[Entry, int], here: Iterable[Entry]) -> dict[Entry, int]:
    """Rows of one more file go to `rows`; of one that was redacted between two exports, the one without text.
    `earlier` has the places of rows of the files before, by the rows without their texts; what comes back,
    those of this one.
    """
    places = {}
    for one in here:
        bare = msgspec.structs.replace(one, body=None)
        place = earlier.get(bare)
        if place is None or not _is_same(rows[place].body, one):
            places[bare] = len(rows)
            rows.append(one)
        elif one.body is None:
            rows[place] = one
    return places


def _is_same(body: str | None, row: Entry) -> bool:
    """But for a text that was taken away, which had to be its own: another one is a fault, and stays."""
    if (body is None) == (row.body is None):
        return body == row.body
    return chain.body_hash(body or row.body or "") == row.body_hash


def _lines_in(path: Path) -> list[Entry | None]:
    """Raises UsageError."""
    try:
        with open_named(path) as file:
            return [parse_line(line) for line in lines_of(file)]
    except OSError as error:
        raise UsageError(f"cannot read the export {path}: {error.strerror or error}") from None
