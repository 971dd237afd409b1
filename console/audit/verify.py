"""Is the ledger whole? Pure; one pass over rows in the order of their ids.

Every hash is computed anew from what is stored, never compared with a stored copy of itself. A
finding on healthy data is a defect of the first order: whatever a crash, a retry or concurrent
writers can leave behind is not a fault.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from math import inf
from operator import attrgetter
from typing import Final
from uuid import UUID

import msgspec

from console.audit import chain
from console.audit.brackets import Bracket, brackets
from console.audit.brackets import fields as fields
from console.audit.checkpoint import Checkpoint
from console.audit.marks import Base, Marks, is_own
from console.audit.record import REDACTABLE, Entry, Kind, Receipt

UNKNOWN: Final = "unknown"
SET_BACK: Final = timedelta(minutes=1)  # a clock that is kept right is moved by less
NOTHING: Final[Mapping[bytes, Checkpoint]] = {}
_ONCE: Final = frozenset({Kind.INTENT.value, Kind.OUTCOME.value})


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with a row; `id` None where the row is missing.

    Kinds: `row` (it cannot be read as one), `body` (text or its hash, or a text that may not be taken away),
    `link` (the writer's fields or its predecessor), `seal` (time, login, address or witness), `gap` (rows of
    this writer are missing before it), `witness` (it saw a row that is gone), `duplicate` (a second row where
    one may be), `order` (its id is out of order), `id` (it is below 1, which no append makes), `receipt` (a
    journal proves a row that is missing or different), `checkpoint` (the same for a checkpoint), `signature`
    (a checkpoint that no trusted key signed, or that is none), `journal` (a local journal is damaged),
    `anchor` (a line of one is no checkpoint).
    """

    id: int | None
    writer: UUID | None
    seq: int | None
    kind: str


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """A row whose time is `seconds` before that of the row before it, of its writer or of any: a clock was
    set back, or another server's clock went on. No hash tells more of it, and it is no fault.
    """

    id: int
    writer: UUID
    seq: int
    seconds: float


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """`open_intents`: actions whose end is not known; they are no fault. `rows` are those that were read,
    `checkpoints` those of them that are one and fit. `brackets`: what was done while the ledger was out of
    reach, by journals that were merged; no fault either, reviewed or not.
    """

    rows: int
    writers: int
    faults: tuple[Fault, ...]
    open_intents: tuple[UUID, ...]
    checkpoints: int = 0
    brackets: tuple[Bracket, ...] = ()
    remarks: tuple[Remark, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.faults


class _Line:
    """One writer's rows as they go by: where they stand, and what is known of those to come.

    A base covers all up to `covered`; `receipts` and `anchored` are by number, and go with their rows.
    """

    __slots__ = ("anchored", "at", "begun", "chain", "covered", "link", "receipts", "seq", "writer")

    def __init__(self, writer: UUID, known: chain.Head | None, row_marks: list[tuple[bytes, bytes]]) -> None:
        self.writer = writer
        self.seq, self.link = known or (0, chain.START)
        self.at: datetime | None = None
        self.begun = False
        self.chain = row_marks
        self.covered: float = known.seq if known else -inf
        self.receipts: dict[int, list[Receipt]] = {}
        self.anchored: dict[int, bytes] = {}


class Verifier:
    """Feed it every row, ids ascending, then `finish`; memory is about 300 bytes a row.

    `checkpoints` were kept elsewhere; those in `anchored`, by the hash of their text, must be rows of the
    ledger as well. With a `base` only rows above its floor are fed: what it covers is known, and a fault
    means no more than that the whole has to be read. A checkpoint of another than `ledger` is a fault.
    """

    def __init__(
        self,
        receipts: Iterable[Receipt] = (),
        checkpoints: Iterable[Checkpoint] = (),
        *,
        anchored: Mapping[bytes, Checkpoint] = NOTHING,
        trusted: Collection[str] = (),
        base: Base | None = None,
        ledger: UUID | None = None,
    ) -> None:
        if base is not None:
            anchored = {digest: point for digest, point in anchored.items() if digest not in base.known}
        self.marks = Marks(trusted, base, ledger)
        self._base: Mapping[UUID, chain.Head] = base.heads if base else {}
        # By the number of an id: its own hash is a call of Python.
        self._lines: dict[int, _Line] = {}
        for receipt in receipts:
            line = self._line(receipt.writer)
            if receipt.recorded and receipt.seq > line.covered:
                line.receipts.setdefault(receipt.seq, []).append(receipt)
        self._checkpoints = (*checkpoints, *anchored.values())
        self._anchors = anchored
        for point in self._checkpoints:
            for writer, head in point.heads.items():
                self._line(writer).anchored[head.seq] = head.link
        self._faults: list[Fault] = []
        self._remarks: list[Remark] = []
        self._seals: set[bytes] = set()
        self._once: set[tuple[str, int]] = set()
        self._intents: dict[int, UUID] = {}
        self._bodiless: dict[tuple[str, int], Entry] = {}
        self._glass: list[Entry] = []
        self._newest: float = -inf
        self._at: datetime | None = None  # of the row before
        self._rows = self._again = 0

    def feed(self, entry: Entry) -> None:
        self._rows += 1
        line = self._line(entry.writer)
        self._again += entry.seq <= line.covered
        wrong = _content(entry)
        if self._at is not None and (entry.at < self._at or entry.at < (line.at or entry.at)):
            self._remark(entry, max(self._at, line.at or self._at))
        line.at = self._at = entry.at
        self._position(entry, line, wrong)
        self._proofs(entry, line, wrong)
        if entry.kind in _ONCE:
            wrong += self._uniqueness(entry)
        self.marks.add(entry, line.chain)
        if is_own(entry) and entry.seq > line.covered:
            wrong += self.marks.judge(entry)
        if wrong:
            self._faults += [Fault(entry.id, entry.writer, entry.seq, kind) for kind in wrong]
        self._seals.add(entry.seal)
        self._follow(entry)

    @property
    def unread(self) -> int:
        """Rows that the base covers and that were not fed: so many, and no others, are below its floor."""
        return self.marks.covered - self._again

    def has_rows_of(self, writer: UUID) -> bool:
        """The ledger has some, read or covered by the base."""
        return writer in self._base or (writer.int in self._lines and self._lines[writer.int].begun)

    def note(self, number: int) -> None:
        """A row that is there and is none: those after it in its chain miss it."""
        self._rows += 1
        self._faults.append(Fault(number, None, None, "row"))
        self._newest = max(self._newest, number)

    def finish(self) -> Verification:
        missing = [
            *(self._fault_of(row, "body") for row in self._bodiless.values()),
            *(
                Fault(None, one.writer, seq, "receipt")
                for one in self._lines.values()
                for seq in one.receipts
            ),
            *(
                Fault(None, one.writer, seq, "checkpoint")
                for one in self._lines.values()
                for seq in one.anchored
            ),
            *(
                Fault(None, None, None, "checkpoint")
                for point in self._checkpoints
                if self.marks.rows < point.rows
            ),
            *(Fault(None, None, None, "checkpoint") for one in self._anchors if one not in self.marks.seen),
        ]
        return Verification(
            rows=self._rows,
            writers=sum(line.begun for line in self._lines.values()),
            faults=(*self._faults, *missing),
            open_intents=tuple(self._intents.values()),
            checkpoints=len(self.marks.seen),
            brackets=brackets(self._glass),
            remarks=tuple(self._remarks),
        )

    @staticmethod
    def _fault_of(entry: Entry, kind: str) -> Fault:
        return Fault(entry.id, entry.writer, entry.seq, kind)

    def _line(self, writer: UUID) -> _Line:
        line = self._lines.get(writer.int)
        if line is None:
            known = self._base.get(writer)
            line = self._lines[writer.int] = _Line(writer, known, self.marks.chain_of(writer))
        return line

    def _position(self, entry: Entry, line: _Line, wrong: list[str]) -> None:
        """Its place in the chain of its writer and among all rows."""
        if not line.begun and entry.seq <= max(line.covered, 0):
            # The first row that is read; within the base it stands anywhere.
            line.seq, line.link = entry.seq - 1, entry.prev
        if entry.seq <= line.seq:
            wrong.append("duplicate")
        elif entry.seq > line.seq + 1:
            wrong.append("gap")
        elif entry.prev != line.link:
            wrong.append("link")
        if entry.id <= self._newest:
            wrong.append("order")
        else:
            self._newest = entry.id
        if entry.witness and entry.witness not in self._seals and entry.seq > line.covered:
            wrong.append("witness")
        if entry.seq > line.seq:
            line.seq, line.link, line.begun = entry.seq, entry.link, True

    def _remark(self, entry: Entry, before: datetime) -> None:
        if before - entry.at > SET_BACK:
            back = (before - entry.at).total_seconds()
            self._remarks.append(Remark(id=entry.id, writer=entry.writer, seq=entry.seq, seconds=back))

    def _proofs(self, entry: Entry, line: _Line, wrong: list[str]) -> None:
        if entry.seq == line.covered and entry.link != self._base[entry.writer].link:
            wrong.append("checkpoint")
        if line.receipts and any(_contradicts(one, entry) for one in line.receipts.pop(entry.seq, ())):
            wrong.append("receipt")
        if line.anchored and line.anchored.pop(entry.seq, entry.link) != entry.link:
            wrong.append("checkpoint")

    def _take_away(self, writer: str, seq: int) -> None:
        """A redaction was recorded; of a kind by which others are proved, none makes it right."""
        found = self._bodiless.get((writer, seq))
        if found is not None and found.kind in REDACTABLE:
            del self._bodiless[writer, seq]

    def _uniqueness(self, entry: Entry) -> Iterable[str]:
        """Of a kind of which an action has one."""
        mark = entry.kind, entry.action_id.int
        if mark in self._once:
            yield "duplicate"
        self._once.add(mark)

    def _follow(self, entry: Entry) -> None:
        """Open intents and redactions, which later rows close."""
        if entry.kind == Kind.BREAKGLASS:
            self._glass.append(entry)
        if entry.body is None:
            self._bodiless[str(entry.writer), entry.seq] = entry
        if entry.kind == Kind.INTENT:
            self._intents[entry.action_id.int] = entry.action_id
        elif entry.kind == Kind.RESOLVED or (entry.kind == Kind.OUTCOME and status(entry.body) != UNKNOWN):
            self._intents.pop(entry.action_id.int, None)
        elif entry.kind == Kind.REDACTION:
            named = fields(entry.body)
            self._take_away(str(named.get("writer")), _int(named.get("seq")))


def verify(
    entries: Iterable[Entry],
    *,
    receipts: Iterable[Receipt] = (),
    checkpoints: Iterable[Checkpoint] = (),
    anchored: Mapping[bytes, Checkpoint] = NOTHING,
    trusted: Collection[str] = (),
) -> Verification:
    """Verify rows in any order. A receipt that was never `recorded` proves nothing and is ignored."""
    verifier = Verifier(receipts, checkpoints, anchored=anchored, trusted=trusted)
    for entry in sorted(entries, key=attrgetter("id")):
        verifier.feed(entry)
    return verifier.finish()


def checkpoint(entries: Iterable[Entry]) -> Checkpoint:
    """Of a healthy ledger, as if there had been none before."""
    marks = Marks()
    for entry in entries:
        marks.add(entry)
    return marks.next(UUID(int=0), "")


def _content(entry: Entry) -> list[str]:
    wrong = ["id"] if entry.id < 1 else []
    if entry.body is not None and chain.body_hash(entry.body) != entry.body_hash:
        wrong.append("body")
    if chain.link(entry) != entry.link:
        wrong.append("link")
    sealed = chain.seal(entry.link, entry.witness, entry.at, entry.db_user, entry.peer)
    if sealed != entry.seal:
        wrong.append("seal")
    return wrong


def _contradicts(receipt: Receipt, entry: Entry) -> bool:
    return receipt.link != entry.link or receipt.seal not in (None, entry.seal)


def status(body: str | None) -> object:
    """`status` of an outcome; parses only where it may be `unknown`, because ledgers are long."""
    return fields(body).get("status") if body and '"unknown"' in body else None


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
