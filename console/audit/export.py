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


class Source(Protocol):
    """What is read of a ledger."""

    async def moment(self) -> datetime: ...

    def stream(self, above: int | None = None) -> AsyncIterator[Entry]: ...


class Export:
    """Lines of the rows after `above`, 0 for all, as they are read; for who `goes_on` after the last of them
    without those that are `held` for the next time, from the row `first_held` on. `rows` and `held` count as
    the lines go by.
    """

    def __init__(self, source: Source, line: Callable[[Entry], str], above: int, *, goes_on: bool) -> None:
        self._source = source
        self._line = line
        self._above = above
        self._goes_on = goes_on
        self.rows = 0
        self.held = 0
        self.first_held = 0

    async def lines(self) -> AsyncIterator[str]:
        """Raises as `Ledger.stream`."""
        # Asked first: the rows are of the moment at which the reading begins, and that may outlast SETTLED.
        gate = Gate(self._above, await self._source.moment()) if self._goes_on else None
        async for row in self._source.stream(self._above or None):
            if gate is None or gate.passes(row.id, row.at):
                self.rows += 1
                yield self._line(row)
            else:
                self.held += 1
                self.first_held = self.first_held or row.id


class Gate:
    """Lets pass what no other row can come before any more, in the order of the numbers. A number is given to
    a row before it is there to be read: where one is missing, it may be that of a row on its way, until
    SETTLED is over. `now` is not after the moment that the rows are of, by the clock that dated them.
    """

    def __init__(self, above: int, now: datetime) -> None:
        self._before = above
        self._since = now - SETTLED
        self._shut = False

    def passes(self, number: int, at: datetime) -> bool:
        self._shut = self._shut or (number > self._before + 1 and at > self._since)
        self._before = number
        return not self._shut


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
