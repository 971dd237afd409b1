"""Journals read back: what their writers know of the ledger. Parsing is pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from math import inf
from operator import attrgetter
from pathlib import Path
from typing import IO, Final
from uuid import UUID

import msgspec

from console.audit import chain
from console.audit.journal import Header, unusable
from console.audit.journals import in_folder, is_replaced, lines_of, open_journal, writer_of
from console.audit.record import Kind, Receipt, Row, decode_row

NOTHING: Final[Mapping[UUID, chain.Head]] = {}
LATE: Final = (Kind.OUTCOME, Kind.RESOLVED)


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """One journal. `receipts`: rows the table has taken; `undecided`: rows with neither ack nor void; `rows`:
    all without a void.

    `damaged`: a line before the end is no line of a journal, or a row contradicts its own hashes. `beheaded`:
    the first line, which says of which ledger, is there and is no such line.
    """

    header: Header | None
    receipts: tuple[Receipt, ...]
    undecided: tuple[Row, ...]
    rows: tuple[Row, ...]
    damaged: bool
    beheaded: bool = False


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
    """A row as its line has it; its writer is the journal's."""

    writer: str
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


class _Told(msgspec.Struct, frozen=True):
    """An answer as its line has it."""

    seq: int
    link: str
    id: int
    seal: str


class _AckLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ack: _Told


class _Numbered(msgspec.Struct, frozen=True):
    seq: int


class _Place(msgspec.Struct, frozen=True):
    """As much of a line as tells which row it is about."""

    row: _Numbered | None = None
    ack: _Numbered | None = None
    void: _Numbered | None = None


_LINE: Final = msgspec.json.Decoder(_Line)
_ROW_LINE: Final = msgspec.json.Decoder(_RowLine)
_ACK_LINE: Final = msgspec.json.Decoder(_AckLine)
_LOGIN: Final = re.compile(r"://[^@/]*@")
_PLACE: Final = msgspec.json.Decoder(_Place)


def read_evidence(
    folder: Path,
    ledger: UUID,
    sink: str,
    covered: Mapping[UUID, chain.Head] = NOTHING,
    sizes: Mapping[str, int] | None = None,
) -> list[Evidence]:
    """Of all journals of one ledger, by its id or by its address; another's rows are no evidence.

    No row is kept, ledgers are long, and lines about rows that are `covered` are not looked into. One whose
    first line was spoilt may be of any ledger: it is damaged, and proves nothing. `sizes`, by name, tell how
    much of each to read. Raises AuditUnavailable for a journal that cannot be read.
    """
    found = []
    for path in in_folder(folder):
        try:
            size = None if sizes is None else sizes.get(path.name, 0)
            told = _evidence_in(path, ledger, sink, covered, size)
        except OSError as error:
            raise unusable(path, error.strerror or str(error)) from None
        if told is not None:
            found.append(told)
    return found


def _evidence_in(
    path: Path, ledger: UUID, sink: str, covered: Mapping[UUID, chain.Head], size: int | None
) -> Evidence | None:
    """Raises OSError."""
    writer = writer_of(path)
    if writer is not None and is_replaced(path):
        told, spoilt = None, True
    else:
        with open_journal(path) as file:
            told = evidence(_up_to(size, lines_of(file)), ledger, sink, covered)
            spoilt = told is None and _is_beheaded(file)
    if writer is None or not spoilt:
        return told
    return Evidence(header=Header(writer=writer, ledger=ledger, sink=sink), receipts=(), damaged=True)


def of_others(folder: Path, ledger: UUID, sink: str) -> frozenset[UUID]:
    """Writers whose journals say that they are of another ledger, by their names and by their first lines.

    Where this ledger has rows of one, its first line was changed: no writer has two ledgers. Raises
    AuditUnavailable for a journal that cannot be read.
    """
    found: set[UUID | None] = set()
    for path in in_folder(folder):
        if is_replaced(path):
            continue
        try:
            with open_journal(path) as file:
                header = line_of(next(lines_of(file), b""))
        except OSError as error:
            raise unusable(path, error.strerror or str(error)) from None
        if (
            isinstance(header, Header)
            and header.ledger != ledger
            and _address_of(header.sink) != _address_of(sink)
        ):
            found |= {writer_of(path), header.writer}
    return frozenset(one for one in found if one is not None)


def _address_of(sink: str) -> str:
    """Without the login: a ledger that `audit init` gave a new id is where it was."""
    return _LOGIN.sub("://", sink)


def _is_beheaded(file: IO[bytes]) -> bool:
    """Without the line that says of which ledger: it was on the disk before all others, no crash took it."""
    file.seek(0)
    text = next(lines_of(file), b"")
    return text.endswith(b"\n") and not isinstance(line_of(text), Header)


def evidence(
    lines: Iterable[bytes], ledger: UUID, sink: str, covered: Mapping[UUID, chain.Head] = NOTHING
) -> Evidence | None:
    """None for a journal without a header, or of another ledger. A line without its end is the last: what is
    written after it while this reads would look like a second one.
    """
    read = _Reading(covered)
    torn = damaged = False
    for text in _whole(lines):
        if not read.known(text) and not read.sound(text):
            line = line_of(text)
            if line is None:
                torn = True
                continue
            if isinstance(line, Header) and line.ledger != ledger and line.sink != sink and not read.begun:
                return None
            damaged |= not read.other(line)
        damaged |= torn
    return read.evidence(damaged=damaged)


class _Reading:
    """A journal as its lines go by: whose it is, and what its writer was told."""

    def __init__(self, covered: Mapping[UUID, chain.Head]) -> None:
        self._covered = covered
        self._header: Header | None = None
        self._acks: list[Ack] = []
        self._receipts: list[Receipt] = []
        self._known = 0
        self._writer = self._link = ""  # of the rows, as text

    @property
    def begun(self) -> bool:
        return self._header is not None

    def known(self, text: bytes) -> bool:
        """It is about a row that is covered."""
        return self._known > 0 and _place(text) <= self._known

    def sound(self, text: bytes) -> bool:
        """It is a row or an answer as almost all lines are one. False says nothing of it."""
        if link := _link_of_sound(text, self._writer, self._link):
            self._link = link
            return True
        receipt = _receipt_in(text, self._header.writer) if self._header is not None else None
        if receipt is not None:
            self._receipts.append(receipt)
        return receipt is not None

    def other(self, line: Header | Row | Ack | Void) -> bool:
        """False for a row that contradicts its own hashes."""
        match line:
            case Header() if self._header is None:
                self._header, self._writer = line, str(line.writer)
                self._known = self._covered[line.writer].seq if line.writer in self._covered else 0
            case Row():
                return _is_sound(line)
            case Ack():
                self._acks.append(line)
        return True

    def evidence(self, *, damaged: bool) -> Evidence | None:
        header = self._header
        if header is None:
            return None
        told = (*(_receipt(header, ack) for ack in self._acks), *self._receipts)
        return Evidence(header=header, receipts=told, damaged=damaged)


def _up_to(size: int | None, lines: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines within so many bytes; None: all."""
    return lines if size is None else _first(size, lines)


def _first(size: int, lines: Iterator[bytes]) -> Iterator[bytes]:
    for text in lines:
        size -= len(text)
        if size < 0:
            return
        yield text


def _whole(lines: Iterable[bytes]) -> Iterator[bytes]:
    for text in lines:
        yield text
        if not text.endswith(b"\n"):
            return


def _place(text: bytes) -> float:
    """The number of the row that a line is about; infinity where it does not tell."""
    try:
        line = _PLACE.decode(text)
    except (RecursionError, msgspec.DecodeError):
        return inf
    about = line.row or line.ack or line.void
    return about.seq if about else inf


def read(path: Path) -> Contents:
    """All of one. Raises OSError."""
    with open_journal(path) as file:
        return _contents(lines_of(file))


def parse(data: bytes) -> Contents:
    """Of bytes that were read already."""
    return _contents(data.split(b"\n"))


def _contents(texts: Iterable[bytes]) -> Contents:
    """Never raises: a damaged line is skipped and told. A crash damages only the end of a file."""
    rest = iter(texts)
    first = next(rest, b"")
    lines = [line_of(first), *map(line_of, rest)]
    whole = first.endswith(b"\n") or len(lines) > 1
    beheaded = whole and not isinstance(lines[0], Header)
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
        beheaded=beheaded,
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
    except (ValueError, RecursionError, msgspec.DecodeError):
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


def _link_of_sound(text: bytes, writer: str, before: str) -> str:
    """The link of a row of this writer that fits its own hashes, by the text of its line: in half the time of
    a Row, and in a whole journal every second line is one. `before` is the link of such a row. Empty says
    nothing of the line.
    """
    if not text.startswith(b'{"row":'):
        return ""
    try:
        row = _ROW_LINE.decode(text).row
        if row.prev != before and bytes.fromhex(row.prev).hex() != row.prev:
            return ""
    except (ValueError, RecursionError, msgspec.DecodeError):
        return ""
    if row.writer != writer or chain.body_hash(row.body or "").hex() != row.body_hash:
        return ""
    link = chain.link_of(row, row.prev, row.body_hash).hex()
    return link if link == row.link else ""


def _receipt_in(text: bytes, writer: UUID) -> Receipt | None:
    """Of a line with an answer, which every other one is. None says nothing of the line."""
    if not text.startswith(b'{"ack":'):
        return None
    try:
        ack = _ACK_LINE.decode(text).ack
        link, seal = bytes.fromhex(ack.link), bytes.fromhex(ack.seal)
    except (ValueError, RecursionError, msgspec.DecodeError):
        return None
    return Receipt(writer=writer, seq=ack.seq, link=link, recorded=True, id=ack.id, seal=seal)


def _is_sound(row: Row) -> bool:
    return chain.body_hash(row.body or "") == row.body_hash and chain.link(row) == row.link
