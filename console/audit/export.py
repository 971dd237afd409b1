"""A ledger as a file: one line of JSON a row, bodies exact, and its verification without a server."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from console.audit.checkpoint import Checkpoint
from console.audit.record import Entry, Receipt, canonical_json, decode_entry, encode
from console.audit.verify import NOTHING, Verification, verify
from console.errors import UsageError


def export_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """Lines without their line ends, in the order of the entries."""
    return (line_of(entry) for entry in entries)


def line_of(entry: Entry) -> str:
    return canonical_json(encode(entry))


def parse_lines(lines: Iterable[str]) -> Iterator[Entry]:
    """The inverse of `export_lines`. Raises UsageError naming the line."""
    for number, line in enumerate(lines, 1):
        try:
            yield decode_entry(msgspec.json.decode(line, type=dict[str, object]))
        except (ValueError, msgspec.MsgspecError) as error:
            raise UsageError(f"line {number} is no row of a ledger: {error}") from None


def verify_export(
    path: Path,
    *,
    receipts: Iterable[Receipt] = (),
    anchored: Mapping[bytes, Checkpoint] = NOTHING,
    trusted: Collection[str] = (),
) -> Verification:
    """Raises UsageError for a file that cannot be read or is no export."""
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            return verify(parse_lines(file), receipts=receipts, anchored=anchored, trusted=trusted)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"cannot read the export {path}: {reason}") from None
