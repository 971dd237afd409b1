"""A ledger as a file: one line of JSON a row, bodies exact, and its verification without a server."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

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


def settled(rows: Sequence[Entry], above: int, now: datetime) -> tuple[Sequence[Entry], Sequence[Entry]]:
    """Rows that no other can come before any more, and those after them. A number is given to a row before it
    is there to be read: where one is missing, it may be that of a row on its way, until SETTLED is over.
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

    Raises UsageError for a file that cannot be read or has no row.
    """
    rows: list[Entry] = []
    earlier: set[Entry] = set()
    junk: list[tuple[Path, int]] = []
    for path in paths:
        found = _lines_in(path)
        wrong = [number for number, one in enumerate(found, 1) if one is None]
        if wrong and len(wrong) == len(found):
            raise UsageError(f"{path} is no export of a ledger: line 1 is no row of one")
        junk += [(path, number) for number in wrong]
        here = [one for one in found if one is not None]
        rows += [one for one in here if one not in earlier]
        earlier.update(here if len(paths) > 1 else ())
    verified = verify(rows, receipts=receipts, anchored=anchored, trusted=trusted)
    faults = (*verified.faults, *(Fault(None, None, None, "row") for _ in junk))
    first = min((one.id for one in rows), default=0)
    return msgspec.structs.replace(verified, faults=faults), Read(tuple(junk), first)


def _lines_in(path: Path) -> list[Entry | None]:
    """Raises UsageError."""
    try:
        with open_named(path) as file:
            return [parse_line(line) for line in lines_of(file)]
    except OSError as error:
        raise UsageError(f"cannot read the export {path}: {error.strerror or error}") from None
