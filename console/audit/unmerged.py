"""What this machine's journals tell while no table does: journals that were not merged, and open intents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec

from console.audit.brackets import STAMP, fields
from console.audit.journal import GLASS, SUFFIX, alive, unusable
from console.audit.readback import Contents, parse
from console.audit.record import Entry, Kind, Row, from_iso
from console.audit.table.port import Candidate


class Unmerged(msgspec.Struct, frozen=True, kw_only=True):
    """A journal of a break-glass whose rows are not all known to be in the table. `alive`: it is still
    open.
    """

    path: str
    writer: UUID
    rows: int
    alive: bool


def unmerged(folder: Path, ledger: UUID, sink: str) -> list[Unmerged]:
    """Raises AuditUnavailable for a journal that cannot be read."""
    return [
        Unmerged(
            path=str(path),
            writer=contents.header.writer,
            rows=len(contents.undecided),
            alive=alive(folder, contents.header.writer),
        )
        for path, contents in _contents(folder, GLASS, ledger, sink)
        if contents.header and contents.undecided and _is_begun(contents)
    ]


def of_unmerged(folder: Path, ledger: UUID, sink: str) -> list[Candidate]:
    """Intents in such journals whose end is not known. Raises AuditUnavailable."""
    journals = [contents for _, contents in _contents(folder, GLASS, ledger, sink) if contents.undecided]
    return _open(folder, journals)


def of_all(folder: Path, ledger: UUID, sink: str) -> list[Candidate]:
    """Intents in any journal of this machine whose end none of them knows: all that can be told without the
    table. Raises AuditUnavailable.
    """
    return _open(folder, [contents for _, contents in _contents(folder, SUFFIX, ledger, sink)])


def known_ledger(folder: Path, sink: str) -> UUID | None:
    """The id of the ledger at this address, by the newest journal of a writer that had its table.

    Raises AuditUnavailable.
    """
    found = [
        (path.stat().st_mtime, contents.header.ledger)
        for path, contents in _contents(folder, SUFFIX, None, sink)
        if contents.header and not contents.header.glass and contents.receipts
    ]
    return max(found)[1] if found else None


def _is_begun(contents: Contents) -> bool:
    """Before that row is on the disk nothing is executed, and there is nothing to merge."""
    return any(row.kind == Kind.BREAKGLASS for row in contents.rows)


def _contents(folder: Path, suffix: str, ledger: UUID | None, sink: str) -> Iterator[tuple[Path, Contents]]:
    for path in sorted(folder.glob(f"*{suffix}")):
        try:
            contents = parse(path.read_bytes())
        except OSError as error:
            raise unusable(path, error.strerror or str(error)) from None
        header = contents.header
        if header and (header.ledger == ledger or header.sink == sink):
            yield path, contents


def _open(folder: Path, journals: Iterable[Contents]) -> list[Candidate]:
    rows = [row for one in journals for row in one.rows]
    outcomes = {row.action_id: row.body for row in rows if row.kind == Kind.OUTCOME}
    resolved = {row.action_id for row in rows if row.kind == Kind.RESOLVED}
    return [
        Candidate(intent=entry(row), outcome=outcomes.get(row.action_id), alive=alive(folder, row.writer))
        for row in rows
        if row.kind == Kind.INTENT
        and row.action_id not in resolved
        and (row.action_id not in outcomes or '"unknown"' in (outcomes[row.action_id] or ""))
    ]


def entry(row: Row) -> Entry:
    """A row without what a server adds; its time is its writer's word."""
    body = fields(row.body)
    try:
        at = from_iso(str(body.get(STAMP) or body.get("planned_at")))
    except ValueError:
        at = datetime.fromtimestamp(0, UTC)
    known = {name: getattr(row, name) for name in row.__struct_fields__}
    return Entry(**known, id=0, at=at, witness=b"", db_user="", peer="", seal=b"")
