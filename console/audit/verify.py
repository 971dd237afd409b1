"""Is the ledger whole? Pure; one pass over rows in the order of their ids.

Every hash is computed anew from what is stored, never compared with a stored copy of itself. A
finding on healthy data is a defect of the first order: whatever a crash, a retry or concurrent
writers can leave behind is not a fault.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from operator import attrgetter
from typing import Final
from uuid import UUID

import msgspec

from console.audit import chain
from console.audit.brackets import Bracket, brackets
from console.audit.brackets import fields as fields
from console.audit.checkpoint import Checkpoint
from console.audit.marks import Base, Marks, is_own
from console.audit.record import Entry, Kind, Receipt

UNKNOWN: Final = "unknown"
NOTHING: Final[Mapping[bytes, Checkpoint]] = {}


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with a row; `id` None where the row is missing.

    Kinds: `body` (text or its hash), `link` (the writer's fields or its predecessor), `seal` (time,
    login, address or witness), `gap` (rows of this writer are missing before it), `witness` (it saw
    a row that is gone), `duplicate` (a second row where one may be), `order` (its id is out of
    order), `receipt` (a journal proves a row that is missing or different), `checkpoint` (the same
    for a checkpoint), `signature` (a checkpoint that no trusted key signed), `journal` (a local journal is
    damaged).
    """

    id: int | None
    writer: UUID | None
    seq: int | None
    kind: str


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

    @property
    def ok(self) -> bool:
        return not self.faults


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
        self._receipts: dict[tuple[UUID, int], list[Receipt]] = {}
        known = base.heads if base else {}
        for receipt in receipts:
            covered = receipt.writer in known and receipt.seq <= known[receipt.writer].seq
            if receipt.recorded and not covered:
                self._receipts.setdefault((receipt.writer, receipt.seq), []).append(receipt)
        self._checkpoints = (*checkpoints, *anchored.values())
        self._anchors = anchored
        self._anchored = {
            (writer, head.seq): head.link
            for point in self._checkpoints
            for writer, head in point.heads.items()
        }
        self._base: Mapping[UUID, chain.Head] = known
        self.marks = Marks(trusted, base, ledger)
        self._faults: list[Fault] = []
        self._heads: dict[UUID, chain.Head] = {}
        self._seals: set[bytes] = set()
        self._once: set[tuple[str, UUID]] = set()
        self._intents: dict[UUID, None] = {}
        self._bodiless: dict[tuple[str, int], Entry] = {}
        self._glass: list[Entry] = []
        self._newest = 0
        self._rows = 0

    def feed(self, entry: Entry) -> None:
        self._rows += 1
        wrong = [
            *_content(entry),
            *self._position(entry),
            *self._proofs(entry),
            *self._uniqueness(entry),
        ]
        self.marks.add(entry)
        if is_own(entry) and not self._is_covered(entry):
            wrong += self.marks.judge(entry)
        self._faults += [Fault(entry.id, entry.writer, entry.seq, kind) for kind in wrong]
        self._seals.add(entry.seal)
        self._follow(entry)

    def finish(self) -> Verification:
        missing = [
            *(self._fault_of(row, "body") for row in self._bodiless.values()),
            *(Fault(None, writer, seq, "receipt") for writer, seq in self._receipts),
            *(Fault(None, writer, seq, "checkpoint") for writer, seq in self._anchored),
            *(
                Fault(None, None, None, "checkpoint")
                for point in self._checkpoints
                if self.marks.rows < point.rows
            ),
            *(Fault(None, None, None, "checkpoint") for one in self._anchors if one not in self.marks.seen),
        ]
        return Verification(
            rows=self._rows,
            writers=len(self._heads),
            faults=(*self._faults, *missing),
            open_intents=tuple(self._intents),
            checkpoints=len(self.marks.seen),
            brackets=brackets(self._glass),
        )

    @staticmethod
    def _fault_of(entry: Entry, kind: str) -> Fault:
        return Fault(entry.id, entry.writer, entry.seq, kind)

    def _position(self, entry: Entry) -> Iterable[str]:
        """Its place in the chain of its writer and among all rows."""
        head = self._heads.get(entry.writer) or self._start(entry)
        if entry.seq <= head.seq:
            yield "duplicate"
        elif entry.seq > head.seq + 1:
            yield "gap"
        elif entry.prev != head.link:
            yield "link"
        if entry.id <= self._newest:
            yield "order"
        if entry.witness and entry.witness not in self._seals and not self._is_covered(entry):
            yield "witness"
        self._newest = max(self._newest, entry.id)
        if entry.seq > head.seq:
            self._heads[entry.writer] = chain.Head(entry.seq, entry.link)

    def _start(self, entry: Entry) -> chain.Head:
        """Where its writer stood before the first row that is read; within the base anywhere."""
        known = self._base.get(entry.writer, chain.Head(0, chain.START))
        return chain.Head(entry.seq - 1, entry.prev) if entry.seq <= known.seq else known

    def _is_covered(self, entry: Entry) -> bool:
        known = self._base.get(entry.writer) if self._base else None
        return known is not None and entry.seq <= known.seq

    def _proofs(self, entry: Entry) -> Iterable[str]:
        place = entry.writer, entry.seq
        known = self._base.get(entry.writer) if self._base else None
        if known is not None and entry.seq == known.seq and entry.link != known.link:
            yield "checkpoint"
        receipts = self._receipts.pop(place, None)
        if receipts and any(_contradicts(receipt, entry) for receipt in receipts):
            yield "receipt"
        if self._anchored and self._anchored.pop(place, entry.link) != entry.link:
            yield "checkpoint"

    def _uniqueness(self, entry: Entry) -> Iterable[str]:
        if entry.kind not in (Kind.INTENT, Kind.OUTCOME):
            return
        mark = entry.kind, entry.action_id
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
            self._intents[entry.action_id] = None
        elif entry.kind == Kind.RESOLVED or (entry.kind == Kind.OUTCOME and status(entry.body) != UNKNOWN):
            self._intents.pop(entry.action_id, None)
        elif entry.kind == Kind.REDACTION:
            named = fields(entry.body)
            self._bodiless.pop((str(named.get("writer")), _int(named.get("seq"))), None)


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


def _content(entry: Entry) -> Iterable[str]:
    if entry.body is not None and chain.body_hash(entry.body) != entry.body_hash:
        yield "body"
    if chain.link(entry) != entry.link:
        yield "link"
    sealed = chain.seal(entry.link, entry.witness, entry.at, entry.db_user, entry.peer)
    if sealed != entry.seal:
        yield "seal"


def _contradicts(receipt: Receipt, entry: Entry) -> bool:
    return receipt.link != entry.link or receipt.seal not in (None, entry.seal)


def status(body: str | None) -> object:
    """`status` of an outcome; parses only where it may be `unknown`, because ledgers are long."""
    return fields(body).get("status") if body and '"unknown"' in body else None


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
