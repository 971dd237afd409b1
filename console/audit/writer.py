"""One writer's chain: journal first, then table, and what follows when one of them fails.

A row is sent while it is written into the journal and fsynced; one that tells of what has happened when it
is in the journal. Nothing is done before both have it. Then

* the table took it: the journal gets an `ack`, the chain grows;
* the table has definitely not taken it: the journal gets a `void`, the chain stays, the next row
  uses the same seq. (A late row is not voided: it waits, see below.)
* the answer got lost: the row is sent again, which the sink answers with the row it has. Where
  that fails too, the row is *pending*: the chain grows, and nothing else is sent before it. A
  pending intent is followed by its own `resolved: not_applied`, because its action never starts.

A disk that does not answer in `JOURNAL_SECONDS` is a journal that has not got the row, as far as anybody
knows: it may have it later, and what follows stands behind it. An intent is then given up, and what has
happened is told to the table alone.

So a chain in the table never has a hole, whatever is retried, and only an `ack` is evidence
against the table: a row that a crash left without one may or may not be there.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from console.audit import chain
from console.audit.journal import Header, Journal, unusable
from console.audit.one_thread import OneThread
from console.audit.record import AlreadyRecorded, Entry, Kind, Receipt, Row, canonical_json
from console.audit.table.port import Barred, Duplicate, Forbidden, NotTaken, Table, Undecided, in_time
from console.errors import AuditForbidden, AuditUnavailable, Refused, UsageError

KEY_LENGTH: Final = 200
JOURNAL_SECONDS = 30.0  # a disk under load may take many to write a line; one that hangs never does
AGAIN_SECONDS: Final = 2.0
_GIVEN_UP: Final = {
    "status": "not_applied",
    "evidence": "its writer gave up before the action began",
}


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A row before it has a place in the chain; `body` is canonical JSON."""

    kind: Kind
    action_id: UUID
    body: str
    parent: UUID | None = None
    idempotency_key: str | None = None


def draft(
    kind: Kind, action_id: UUID, body: Mapping[str, object], parent: UUID | None, key: str | None
) -> Draft:
    """Raises TypeError or ValueError for what cannot be recorded, and for a key that is misplaced;
    UsageError for a key that is empty or too long."""
    if key is not None:
        _check_key(kind, key)
    return Draft(
        kind=kind,
        action_id=action_id,
        body=canonical_json(body),
        parent=parent,
        idempotency_key=key,
    )


def _check_key(kind: Kind, key: str) -> None:
    if kind is not Kind.INTENT:
        raise ValueError("an idempotency key belongs to an intent")
    if not 0 < len(key) <= KEY_LENGTH:
        raise UsageError(f"an idempotency key has 1 to {KEY_LENGTH} characters, this one has {len(key)}")


class Late(AuditUnavailable):
    """The disk of the journal does not answer: the row may yet get there."""


async def begin_journal(folder: Path, header: Header) -> Journal:
    """Raises AuditUnavailable naming the path and the reason. One that is made when nobody waits for it any
    more is closed: nobody else would free its lock.
    """
    way = OneThread(f"journal {header.writer}")
    making = way.ask(lambda: Journal.create(folder, header))
    try:
        return await in_time(JOURNAL_SECONDS, asyncio.shield(making))
    except TimeoutError:
        making.add_done_callback(partial(_close_unwanted, way))
        raise unusable(folder, f"no answer in {JOURNAL_SECONDS:g} s") from None
    except asyncio.CancelledError:
        making.add_done_callback(partial(_close_unwanted, way))
        raise


def _close_unwanted(way: OneThread, making: asyncio.Future[Journal]) -> None:
    if not making.cancelled() and making.exception() is None:
        way.do(making.result().close)


class Writer:
    """Appends one row at a time; never cancelled half-way (the ledger shields it)."""

    def __init__(self, writer: UUID, sink: str, table: Table, journal: Journal) -> None:
        self.id = writer
        self._sink = sink
        self._table = table
        self._journal = journal
        self._head = chain.Head(0, chain.START)
        self._pending: deque[Row] = deque()
        self._failing = False
        self._late = False
        self._turn = asyncio.Lock()
        # An answer stands in the journal before the next row: what has none is told by the last lines.
        self._journaling = OneThread(f"journal {writer}")
        self.login = ""  # as the sink told of the last row; empty before the first
        self._told = datetime.now(UTC), time.monotonic()

    @property
    def notes(self) -> tuple[str, ...]:
        return (self._journal.note,) if self._journal.note else ()

    @property
    def now(self) -> datetime:
        """By the sink's clock, about: its time of the last row and what has gone by since."""
        at, then = self._told
        return at + timedelta(seconds=time.monotonic() - then)

    def stamped(self, body: Mapping[str, object]) -> Mapping[str, object]:
        """What is recorded of a body; the sink adds the time."""
        return body

    @property
    def pending(self) -> int:
        """Rows that wait in the journal; while there are any, no new intent is accepted."""
        return len(self._pending)

    async def append(self, new: Draft) -> Receipt:
        """In the journal and in the table, or not at all.

        Raises AuditUnavailable (journal or table) and AlreadyRecorded.
        """
        async with self._turn:
            await self._flush()
            row = self._next(new)
            sound, journal = self._journaling.ask_both(self._journal.check, lambda: self._journal.row(row))
            await self._sound(sound, row)  # where it is lost, nothing is sent at all
            # The disk here and the server's at once: nothing is done before both have it.
            try:
                entry = await self._send(row)
            except NotTaken as error:
                torn = await self._torn(journal)
                if torn is None or isinstance(torn, Late):
                    await self._void(row, str(error), kept=torn is None)
                raise self._refusal(error) from None
            except Undecided as error:
                await self._torn(journal)
                await self._leave_pending(row)
                raise self._unavailable(f"no sure answer: {error}") from None
            torn = await self._torn(journal)
            receipt = self._take(row, entry, kept=torn is None)
            if torn is not None:
                await self._give_up(row)
                raise torn
            return receipt

    async def append_late(self, new: Draft) -> Receipt:
        """After an effect: what the table does not take now waits in the journal.

        Raises AlreadyRecorded, and AuditUnavailable only if the journal fails as well.
        """
        async with self._turn:
            row = self._next(new)
            torn = await self._torn(self._into_journal(row))
            try:
                await self._flush()
                return self._take(row, await self._send(row), kept=torn is None)
            except Duplicate as error:
                await self._void(row, str(error), kept=torn is None)
                raise self._refusal(error) from None
            except (NotTaken, Undecided, AuditUnavailable):
                self._wait(row)
            if torn is not None:
                raise torn
            return _receipt(row, None)

    async def flush(self) -> int:
        """Send what waits; the number of rows sent. Raises AuditUnavailable; the rest still waits."""
        async with self._turn:
            return await self._flush()

    async def say_goodbye(self, seconds: float) -> None:
        """One try at a `close` row; none where the ledger was failing. Raises AuditUnavailable."""
        async with self._turn:
            if self._pending or self._failing:
                return
            row = self._next(draft(Kind.CLOSE, self.id, {}, None, None))
            await self._answered(self._into_journal(row))
            try:
                self._table.hurry(seconds)
                self._take(row, await in_time(seconds, self._table.append(row)))
            except NotTaken as error:
                await self._void(row, str(error), kept=True)
            except (Undecided, TimeoutError):
                return  # nobody is left to ask again

    async def _flush(self) -> int:
        sent = 0
        while self._pending:
            try:
                entry = await self._send(self._pending[0])
            except (NotTaken, Undecided) as error:
                waiting = f"rows that wait in the journal: {len(self._pending)}"
                raise self._unavailable(f"{error} ({waiting})") from None
            self._pending.popleft()
            self._acknowledge(entry)
            sent += 1
        return sent

    async def _send(self, row: Row) -> Entry:
        """Raises NotTaken, Undecided."""
        self._failing = True
        try:
            entry = await self._send_twice(row)
        except Duplicate:
            self._failing = False
            raise
        self._failing = False
        return entry

    async def _send_twice(self, row: Row) -> Entry:
        try:
            return await self._table.append(row)
        except Undecided:
            pass
        try:
            return await self._table.append(row)  # reads (writer, seq) back first
        except NotTaken as error:
            # Of the second attempt; the first may still be under way.
            raise Undecided(str(error)) from None

    def _take(self, row: Row, entry: Entry, *, kept: bool = True) -> Receipt:
        """`kept`: the journal has the row, too."""
        self._head = chain.Head(row.seq, row.link)
        self.login = entry.db_user
        self._told = entry.at, time.monotonic()
        if kept:
            self._acknowledge(entry)
        return _receipt(row, entry)

    async def settled(self) -> None:
        """The journal has all receipts."""
        await self._journaling.rest()

    def _wait(self, row: Row) -> None:
        self._head = chain.Head(row.seq, row.link)
        self._pending.append(row)

    async def _leave_pending(self, row: Row) -> None:
        self._wait(row)
        if row.kind != Kind.INTENT:
            return
        end = self._next(draft(Kind.RESOLVED, row.action_id, _GIVEN_UP, row.parent, None))
        await self._torn(self._into_journal(end))
        self._wait(end)

    async def _give_up(self, row: Row) -> None:
        """The table has an intent that nobody will act on, because the journal has not."""
        if row.kind != Kind.INTENT:
            return
        end = self._next(draft(Kind.RESOLVED, row.action_id, _GIVEN_UP, row.parent, None))
        kept = await self._torn(self._into_journal(end)) is None
        try:
            self._take(end, await self._send(end), kept=kept)
        except (NotTaken, Undecided):
            self._wait(end)

    def _into_journal(self, row: Row) -> asyncio.Future[None]:
        """On the disk when it is done. Raises AuditUnavailable."""
        return self._journaling.ask(lambda: self._journal.row(row))

    async def _answered(self, call: asyncio.Future[Any]) -> None:
        """Raises AuditUnavailable; Late where the disk does not answer. Until it does, later calls are not
        waited for as long.
        """
        patience = min(JOURNAL_SECONDS, AGAIN_SECONDS) if self._late else JOURNAL_SECONDS
        try:
            await in_time(patience, call)
        except TimeoutError:
            self._late = True
            error = unusable(self._journal.path, f"no answer in {patience:g} s")
            raise Late(error.message, error.hint) from None
        except AuditUnavailable:
            self._late = False
            raise
        self._late = False

    async def _sound(self, checked: asyncio.Future[object], row: Row) -> None:
        """Raises AuditUnavailable. Where the disk may answer later, what it is then told to write is void."""
        try:
            await self._answered(checked)
        except Late as error:
            await self._void(row, error.message, kept=False)
            raise

    async def _torn(self, journal: asyncio.Future[None]) -> AuditUnavailable | None:
        """Why the journal has not got the row."""
        try:
            await self._answered(journal)
        except AuditUnavailable as error:
            return error
        return None

    async def _void(self, row: Row, reason: str, *, kept: bool) -> None:
        """`kept`: the journal has the row. Where it may get it later, it gets this behind it."""
        told = self._journaling.ask(lambda: self._journal.void(row, reason))
        if kept:
            await self._torn(told)

    def _acknowledge(self, entry: Entry) -> None:
        """Nobody waits for it: a receipt that is lost with the process is one less to compare with."""
        self._journaling.do(lambda: self._journal.ack(entry))

    def _next(self, new: Draft) -> Row:
        row = Row(
            writer=self.id,
            seq=self._head.seq + 1,
            kind=new.kind.value,
            action_id=new.action_id,
            parent=new.parent,
            idempotency_key=new.idempotency_key,
            body=new.body,
            body_hash=chain.body_hash(new.body),
            prev=self._head.link,
            link=b"",
        )
        return msgspec.structs.replace(row, link=chain.link(row))

    def _refusal(self, error: NotTaken) -> AlreadyRecorded | AuditUnavailable | Refused:
        if isinstance(error, Barred):
            return Refused(f"the ledger did not take the row: {error}; nothing was executed")
        if isinstance(error, Forbidden):
            return AuditForbidden(self._unavailable(str(error)).message, error.hint)
        if isinstance(error, Duplicate):
            return AlreadyRecorded(error.what, error.action_id)
        return self._unavailable(str(error))

    def _unavailable(self, reason: str) -> AuditUnavailable:
        return AuditUnavailable(
            f"the ledger {self._sink} did not take the record: {reason}",
            "check it with: dbdeck doctor",
        )


def _receipt(row: Row, entry: Entry | None) -> Receipt:
    return Receipt(
        writer=row.writer,
        seq=row.seq,
        link=row.link,
        recorded=entry is not None,
        id=entry.id if entry else None,
        at=entry.at if entry else None,
        seal=entry.seal if entry else None,
    )
