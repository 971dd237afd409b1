"""What this machine's journals tell while no table does: journals that were not merged, and open intents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from console.audit.brackets import STAMP, Event, fields
from console.audit.journal import GLASS, SUFFIX, alive, unusable
from console.audit.journals import NO_FILE, in_folder, is_replaced, writer_of
from console.audit.readback import Contents, read
from console.audit.record import Entry, Kind, Row, from_iso
from console.audit.table.port import Candidate


class Unmerged(msgspec.Struct, frozen=True, kw_only=True):
    """A journal of a break-glass whose rows are not all known to be in the table. `alive`: it is still
    open. `spoilt`: why no merge can take it as it is.
    """

    path: str
    writer: UUID
    rows: int
    alive: bool
    spoilt: str = ""


_BEHEADED: Final = "its first line, which says of which ledger it is, is spoilt"
_OTHERS: Final = "its first line names another ledger, or another writer, than its rows"
_NOTHING: Final = Contents(header=None, receipts=(), undecided=(), rows=(), damaged=True, beheaded=True)


def unmerged(folder: Path, ledger: UUID | None, sink: str) -> list[Unmerged]:
    """`ledger` None: by the address alone. Raises AuditUnavailable for a journal that cannot be read."""
    return [
        Unmerged(
            path=str(path),
            writer=writer,
            rows=len(contents.undecided),
            alive=alive(folder, writer),
            spoilt=_spoilt(contents),
        )
        for path, contents in _contents(folder, GLASS, ledger, sink)
        if (writer := _writer(path, contents)) is not None and _waits(contents)
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


def _spoilt(contents: Contents) -> str:
    header = contents.header
    if header is None or contents.beheaded:
        return NO_FILE if contents is _NOTHING else _BEHEADED
    theirs = any(row.writer != header.writer for row in contents.rows)
    return _OTHERS if theirs or _said(contents) != str(header.ledger) else ""


def _writer(path: Path, contents: Contents) -> UUID | None:
    return contents.header.writer if contents.header else writer_of(path)


def _waits(contents: Contents) -> bool:
    """For a merge. Before the second row is on the disk nothing is executed, and there is nothing to merge.
    Of one that lost its first line nobody knows what else it lost, unless the table has all that is left.
    """
    if contents.beheaded:
        return bool(contents.undecided) or not contents.rows
    return bool(contents.undecided) and any(row.kind == Kind.BREAKGLASS for row in contents.rows)


def _contents(folder: Path, suffix: str, ledger: UUID | None, sink: str) -> Iterator[tuple[Path, Contents]]:
    """Those of one ledger, and those of which nothing tells whose they are."""
    for path in in_folder(folder, suffix):
        try:
            contents = _NOTHING if is_replaced(path) else read(path)
        except OSError as error:
            raise unusable(path, error.strerror or str(error)) from None
        if _is_of(path, contents, ledger, sink):
            yield path, contents


def _is_of(path: Path, contents: Contents, ledger: UUID | None, sink: str) -> bool:
    """By the first line, or by the row that began a break-glass, which nobody can change unseen."""
    header, said = contents.header, _said(contents)
    if (header and header.sink == sink) or (ledger is not None and said == str(ledger)):
        return True
    if header:
        return header.ledger == ledger
    return contents.beheaded and not said and writer_of(path) is not None


def _said(contents: Contents) -> str:
    begins = (fields(row.body) for row in contents.rows if row.kind == Kind.BREAKGLASS)
    return next(
        (str(one["ledger"]) for one in begins if one.get("event") == Event.BEGIN and "ledger" in one), ""
    )


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
