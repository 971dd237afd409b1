"""A ledger as a file: one line of JSON a row, bodies exact, and its verification without a server."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from console.audit.checkpoint import Checkpoint
from console.audit.record import Entry, Receipt, canonical_json, decode_entry, encode
from console.audit.verify import NOTHING, Fault, Verification, verify
from console.errors import UsageError
from console.model.one_line import one_line
from console.named_file import open_named


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


def verify_export(
    path: Path,
    *,
    receipts: Iterable[Receipt] = (),
    anchored: Mapping[bytes, Checkpoint] = NOTHING,
    trusted: Collection[str] = (),
) -> tuple[Verification, tuple[int, ...]]:
    """With the numbers of the lines that are no rows, each of which is a fault.

    Raises UsageError for a file that cannot be read or has no row.
    """
    try:
        with open_named(path) as file:
            found = [parse_line(line) for line in file]
    except OSError as error:
        raise UsageError(f"cannot read the export {path}: {error.strerror or error}") from None
    rows = [one for one in found if one is not None]
    junk = tuple(number for number, one in enumerate(found, 1) if one is None)
    if junk and not rows:
        raise UsageError(f"{path} is no export of a ledger: line 1 is no row of one")
    verified = verify(rows, receipts=receipts, anchored=anchored, trusted=trusted)
    faults = (*verified.faults, *(Fault(None, None, None, "row") for _ in junk))
    return msgspec.structs.replace(verified, faults=faults), junk
