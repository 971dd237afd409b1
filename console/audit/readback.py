"""Journals read back: what their writers know of the ledger. Parsing is pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import inf
from operator import attrgetter
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from console.audit import chain
from console.audit.journal import Header, unusable
from console.audit.record import Kind, Receipt, Row, decode_row

NOTHING: Final[Mapping[UUID, chain.Head]] = {}
LATE: Final = (Kind.OUTCOME, Kind.RESOLVED)


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """One journal. `receipts`: rows the table has taken; `undecided`: rows with neither ack nor void; `rows`:
    all without a void.

    `damaged`: a line before the end is no line of a journal, or a row contradicts its own hashes.
    """

    header: Header | None
    receipts: tuple[Receipt, ...]
    undecided: tuple[Row, ...]
    rows: tuple[Row, ...]
    damaged: bool


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification needs of a journal; `damaged` as of Contents."""

    header: Header
    receipts: tuple[Receipt, ...]
    damaged: bool


class Ack(msgspec.Struct, frozen=True):
    seq: int
    link: str
    id: int
    seal: str

    def __post_init__(self) -> None:
        bytes.fromhex(self.link)
        bytes.fromhex(self.seal)


class Void(msgspec.Struct, frozen=True):
    seq: int
    link: str
    reason: str


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    journal: Header | None = None
    row: dict[str, object] | None = None
    ack: Ack | None = None
    void: Void | None = None


class _Text(msgspec.Struct, frozen=True):
    """A row as its line has it."""

    writer: UUID
    seq: int
    kind: str
    action_id: UUID
    parent: UUID | None
    idempotency_key: str | None
    body: str | None
    body_hash: str
    prev: str
    link: str


class _RowLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    row: _Text


class _Numbered(msgspec.Struct, frozen=True):
    seq: int


class _Place(msgspec.Struct, frozen=True):
    """As much of a line as tells which row it is about."""

    row: _Numbered | None = None
    ack: _Numbered | None = None
    void: _Numbered | None = None


_LINE: Final = msgspec.json.Decoder(_Line)
_ROW_LINE: Final = msgspec.json.Decoder(_RowLine)
_PLACE: Final = msgspec.json.Decoder(_Place)


def read_evidence(
    folder: Path, ledger: UUID, sink: str, covered: Mapping[UUID, chain.Head] = NOTHING
) -> list[Evidence]:
    """Of all journals of one ledger, by its id or by its address; another's rows are no evidence.

    No row is kept, ledgers are long, and lines about rows that are `covered` are not looked into. Raises
    AuditUnavailable for a journal that cannot be read.
    """
    found = []
    for path in sorted(folder.glob("*.ndjson")):
        try:
            with path.open("rb") as lines:
                told = evidence(lines, ledger, sink, covered)
        except OSError as error:
            raise unusable(path, error.strerror or str(error)) from None
        if told is not None:
            found.append(told)
    return found


def evidence(
    lines: Iterable[bytes], ledger: UUID, sink: str, covered: Mapping[UUID, chain.Head] = NOTHING
) -> Evidence | None:
    """None for a journal without a header, or of another ledger. A line without its end is the last: what is
    written after it while this reads would look like a second one.
    """
    header: Header | None = None
    acks: list[Ack] = []
    torn = damaged = False
    known = 0
    for text in _whole(lines):
        if (known and _place(text) <= known) or _is_sound_row(text):
            damaged |= torn
            continue
        line = line_of(text)
        damaged |= torn and line is not None
        torn |= line is None
        match line:
            case Header() if header is None:
                if line.ledger != ledger and line.sink != sink:
                    return None
                header, known = line, covered[line.writer].seq if line.writer in covered else 0
            case Row():
                damaged |= not _is_sound(line)
            case Ack():
                acks.append(line)
    if header is None:
        return None
    return Evidence(header=header, receipts=tuple(_receipt(header, ack) for ack in acks), damaged=damaged)


def _whole(lines: Iterable[bytes]) -> Iterator[bytes]:
    for text in lines:
        yield text
        if not text.endswith(b"\n"):
            return


def _place(text: bytes) -> float:
    """The number of the row that a line is about; infinity where it does not tell."""
    try:
        line = _PLACE.decode(text)
    except msgspec.DecodeError:
        return inf
    about = line.row or line.ack or line.void
    return about.seq if about else inf


def parse(data: bytes) -> Contents:
    """Never raises: a damaged line is skipped and told. A crash damages only the end of a file."""
    lines = [line_of(text) for text in data.split(b"\n")]
    while lines and lines[-1] is None:
        lines.pop()
    header = next((line for line in lines if isinstance(line, Header)), None)
    rows = [line for line in lines if isinstance(line, Row)]
    acks = [line for line in lines if isinstance(line, Ack)]
    return Contents(
        header=header,
        receipts=tuple(_receipt(header, ack) for ack in acks) if header else (),
        undecided=_left(lines, Ack, Void),
        rows=_left(lines, Void),
        damaged=None in lines or not all(map(_is_sound, rows)),
    )


def waiting(contents: Contents) -> tuple[Row, ...]:
    """Undecided ends of actions, each after the undecided rows of its chain that it hangs on."""
    by_link = {row.link: row for row in contents.undecided}
    wanted: dict[bytes, None] = {}
    for row in contents.undecided:
        step = row if row.kind in LATE else None
        while step is not None and step.link not in wanted:
            wanted[step.link] = None
            step = by_link.get(step.prev)
    return tuple(sorted((by_link[link] for link in wanted), key=attrgetter("seq")))


def can_grow(data: bytes) -> bool:
    """Its last line is whole; after a torn one another line would look like damage in the middle."""
    return data.endswith(b"\n") and line_of(data[:-1].rpartition(b"\n")[2]) is not None


def _left(lines: Iterable[object], *settled: type[Ack | Void]) -> tuple[Row, ...]:
    """Rows without such a line; in order: a row that was voided may have been tried again unchanged."""
    waiting: dict[str, Row] = {}
    for line in lines:
        if isinstance(line, Row):
            waiting[line.link.hex()] = line
        elif isinstance(line, settled):
            waiting.pop(line.link, None)
    return tuple(waiting.values())


def line_of(text: bytes) -> Header | Row | Ack | Void | None:
    try:
        line = _LINE.decode(text)
        return decode_row(line.row) if line.row else line.journal or line.ack or line.void
    except (ValueError, msgspec.DecodeError):
        return None


def _receipt(header: Header, ack: Ack) -> Receipt:
    return Receipt(
        writer=header.writer,
        seq=ack.seq,
        link=bytes.fromhex(ack.link),
        recorded=True,
        id=ack.id,
        seal=bytes.fromhex(ack.seal),
    )


def _is_sound_row(text: bytes) -> bool:
    """A row that fits its own hashes, by the text of its line: in half the time of a Row, and in a whole
    journal every second line is one. False says nothing of the line.
    """
    if not text.startswith(b'{"row":'):
        return False
    try:
        row = _ROW_LINE.decode(text).row
        if bytes.fromhex(row.prev).hex() != row.prev:
            return False
    except (ValueError, msgspec.DecodeError):
        return False
    if chain.body_hash(row.body or "").hex() != row.body_hash:
        return False
    return chain.link_of(row, row.prev, row.body_hash).hex() == row.link


def _is_sound(row: Row) -> bool:
    return chain.body_hash(row.body or "") == row.body_hash and chain.link(row) == row.link
