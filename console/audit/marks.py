"""Checkpoints against the rows they speak of, while a ledger is read. Pure."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from console.audit import merkle
from console.audit.chain import START, Head
from console.audit.checkpoint import Checkpoint, Signed, is_genuine, parse
from console.audit.record import Entry, Kind, Receipt
from console.errors import LedgerFault

# An append is decided within twice its deadline; a row with an older time cannot appear any more.
SETTLED: Final = timedelta(seconds=60)
_NEW: Final = Head(0, START)


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """Where a verification goes on from: a checkpoint, and the heads of all writers at it. `known` are the
    hashes of the trusted checkpoints that stand in the ledger up to it.
    """

    point: Checkpoint
    digest: bytes
    heads: Mapping[UUID, Head]
    known: frozenset[bytes] = frozenset()


class Marks:
    """Knows the link and the seal of every row since `base`, about 100 bytes a row.

    `trusted` are public keys (hex); where there are none, a signature need only be that of the key it names.
    `ledger` None: whichever it is of.
    """

    def __init__(
        self, trusted: Collection[str] = (), base: Base | None = None, ledger: UUID | None = None
    ) -> None:
        self._trusted = frozenset(trusted)
        self._ledger = ledger
        self._base: Mapping[UUID, Head] = base.heads if base else {}
        self._chains: dict[UUID, list[tuple[bytes, bytes]]] = {}
        self._points: dict[bytes, Checkpoint] = {base.digest: base.point} if base else {}
        self._wholes: tuple[bytes, dict[UUID, Head]] = (base.digest, dict(base.heads)) if base else (b"", {})
        self._recent: deque[tuple[datetime, int]] = deque()
        self.floor = base.point.floor if base else 0
        self.rows = self.covered = base.point.rows if base else 0
        self.newest = base.digest if base else b""

    @property
    def seen(self) -> Collection[bytes]:
        """Hashes of the checkpoints that are rows of the ledger and fit it."""
        return self._points.keys()

    def chain_of(self, writer: UUID) -> list[tuple[bytes, bytes]]:
        """Its rows as they are added."""
        return self._chains.setdefault(writer, [])

    def have(self, receipts: Iterable[Receipt]) -> bool:
        """Every row that a journal proves was added as it is proved; those that `base` covers are known."""
        return all(map(self._has, receipts))

    def _has(self, receipt: Receipt) -> bool:
        place = receipt.seq - self._base.get(receipt.writer, _NEW).seq - 1 if self._base else receipt.seq - 1
        chain = self._chains.get(receipt.writer, ())
        if place < 0:
            return bool(self._base) and receipt.writer in self._base
        return place < len(chain) and chain[place] == (receipt.link, receipt.seal)

    def add(self, entry: Entry, chain: list[tuple[bytes, bytes]] | None = None) -> None:
        """The next row of its writer, whose `chain` who adds many knows; rows that `base` covers are known
        already.
        """
        if chain is None:
            chain = self.chain_of(entry.writer)
        before = self._base.get(entry.writer, _NEW).seq if self._base else 0
        if entry.seq != before + len(chain) + 1:
            return
        chain.append((entry.link, entry.seal))
        self.rows += 1
        self._recent.append((entry.at, entry.id))
        try:
            while self._recent[0][0] < entry.at - SETTLED:
                self.floor = max(self.floor, self._recent.popleft()[1])
        except OverflowError:
            return  # the beginning of time is no time of a healthy row

    def judge(self, entry: Entry) -> Iterable[str]:
        """What is wrong with a row that is a checkpoint; `add` has seen all it speaks of.

        A copy of another ledger's checkpoint is kept here as an anchor, and says nothing of this one.
        """
        signed = signed_of(entry)
        if signed is None or not self._is_trusted(signed):
            yield "signature"
            return
        try:
            point = parse(signed.text)
        except LedgerFault:
            yield "checkpoint"
            return
        if signed.digest in self._points:
            return
        if self._ledger in (None, point.ledger) and self._fits(point):
            self._points[signed.digest] = point
            self._wholes = (signed.digest, {**self._whole(point.previous), **point.heads})
            self.newest = signed.digest
        else:
            yield "checkpoint"

    def _is_trusted(self, signed: Signed) -> bool:
        return (not self._trusted or signed.key in self._trusted) and is_genuine(signed)

    def _fits(self, point: Checkpoint) -> bool:
        """Its writers' rows end as it says, and the seals since the one before it have its root."""
        if point.previous and point.previous not in self._points:
            return False
        before = self._whole(point.previous)
        if any(self._link(writer, head.seq) != head.link for writer, head in point.heads.items()):
            return False
        return merkle.root(self.seals(point.heads, before)) == point.root

    def seals(self, heads: Mapping[UUID, Head], before: Mapping[UUID, Head]) -> list[bytes]:
        """Of all rows beyond `before` up to `heads`, by writer, then by number."""
        found: list[bytes] = []
        for writer in sorted(heads, key=str):
            start, base = before.get(writer, _NEW).seq, self._base.get(writer, _NEW).seq
            chain = self._chains.get(writer, [])
            found += [seal for _, seal in chain[start - base : heads[writer].seq - base]]
        return found

    def _link(self, writer: UUID, seq: int) -> bytes | None:
        place = seq - self._base.get(writer, _NEW).seq - 1
        chain = self._chains.get(writer, [])
        return chain[place][0] if 0 <= place < len(chain) else None

    def _whole(self, digest: bytes) -> dict[UUID, Head]:
        """The heads of all writers at a checkpoint that was seen."""
        known, heads = self._wholes
        if digest == known:
            return heads
        back: list[Checkpoint] = []
        while digest and digest != known and digest in self._points:
            back.append(self._points[digest])
            digest = self._points[digest].previous
        start: dict[UUID, Head] = {} if digest != known or not digest else dict(heads)
        for point in reversed(back):
            start.update(point.heads)
        return {**self._base, **start}

    def next(self, ledger: UUID, at: str) -> Checkpoint:
        """A checkpoint of everything that was seen; `heads` is empty where nothing is new."""
        before = self._whole(self.newest)
        heads = {
            writer: Head(self._base.get(writer, _NEW).seq + len(chain), chain[-1][0])
            for writer, chain in self._chains.items()
            if chain
        }
        heads = {writer: head for writer, head in heads.items() if head != before.get(writer)}
        return Checkpoint(
            heads=heads,
            rows=self.rows,
            ledger=ledger,
            root=merkle.root(self.seals(heads, before)),
            floor=self.floor,
            previous=self.newest,
            at=at,
        )


def signed_of(entry: Entry) -> Signed | None:
    """The checkpoint that a row holds; None for a damaged one."""
    try:
        body = json.loads(entry.body or "")
        return msgspec.convert(body["checkpoint"], Signed)
    except (ValueError, KeyError, TypeError, RecursionError, msgspec.ValidationError):
        return None


def is_own(entry: Entry) -> bool:
    """A checkpoint of the ledger it is in, and no copy of another one's."""
    return entry.kind == Kind.CHECKPOINT and '"anchor_of"' not in (entry.body or "")


def base_of(rows: Iterable[Entry], trusted: Collection[str]) -> Base | None:
    """The newest checkpoint to go on from, by the rows that are checkpoints, oldest first.

    Only those signed by a trusted key, each after the one it names; None where there is none. Of two that
    were made at once and name the same one, the later.
    """
    points: dict[bytes, Checkpoint] = {}
    newest = b""
    for entry in rows:
        signed = signed_of(entry) if is_own(entry) else None
        if signed is None or signed.key not in trusted or not is_genuine(signed):
            continue
        try:
            point = parse(signed.text)
        except LedgerFault:
            continue
        if signed.digest not in points and (not point.previous or point.previous in points):
            points[signed.digest] = point
            newest = signed.digest
    return _based(points, newest) if newest else None


def _based(points: Mapping[bytes, Checkpoint], newest: bytes) -> Base:
    line = [points[newest]]
    while line[-1].previous:
        line.append(points[line[-1].previous])
    heads: dict[UUID, Head] = {}
    for point in reversed(line):
        heads.update(point.heads)
    return Base(point=line[0], digest=newest, heads=heads, known=frozenset(points))
