"""The ledger as the rest of dbdeck sees it: open, append, read, verify."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import msgspec

from console import __version__
from console.audit import checkpoint as checkpoints
from console.audit import who
from console.audit.aside import Asked, asked, beside
from console.audit.brackets import Bracket, Event, brackets
from console.audit.checkpoint import Checkpoint, Signed
from console.audit.definitions import Part
from console.audit.deliver import deliver
from console.audit.forgetting import forget
from console.audit.journal import Header, alive
from console.audit.marks import Base, Marks, base_of
from console.audit.merge import Merged, merge
from console.audit.readback import NOTHING as NO_HEADS
from console.audit.readback import Evidence, of_others, read_evidence
from console.audit.record import REDACTABLE, Entry, Kind, OpenIntent, Receipt, iso
from console.audit.silence import Silence, Tell
from console.audit.table.open import inspect_table, install_table, open_table
from console.audit.table.port import Candidate, Query, Table, Unreadable, in_time, whole
from console.audit.unmerged import Unmerged, of_unmerged, unmerged
from console.audit.url import parse_url
from console.audit.verify import NOTHING as NO_ANCHORS
from console.audit.verify import UNKNOWN, Fault, Verification, Verifier, fields, status
from console.audit.writer import Draft, Writer, begin_journal, draft
from console.errors import (
    AuditUnavailable,
    DbdeckError,
    LedgerFault,
    PrivilegeMissing,
    Refused,
    UsageError,
)
from console.secrets import Secret

DEADLINE: Final = 5.0
GOODBYE_SECONDS: Final = 0.5
FINISH_SECONDS = 3.0  # with the journal, whose disk may be slow
ORPHAN_SECONDS = 2 * DEADLINE + FINISH_SECONDS  # a row and its end, where answers get lost
_NOTHING: Final[Mapping[str, object]] = {}
_LOSES: Final = ("receipt", "checkpoint")  # what is wrong with a ledger that lost its last rows, and no more
_NAMES: Final = "`dbdeck audit verify` names them"
_GO_ON: Final = (
    "; where its last rows are lost for good (a restored backup, a promoted standby), it goes on with a new "
    'anchor, and without the journals of these rows, which are kept: docs/audit.md, "Going on after a loss"'
)
_ORPHANED: Final = {
    "status": "not_applied",
    "evidence": "the run was cancelled before the action began",
}


class Ledger:
    """One open ledger. Rows can be appended only if it was opened to write.

    `silence` tells who wants to hear that its sink has not answered yet. `notes` say what weakens its sinks:
    a network file system, a server without fsync.
    """

    def __init__(
        self, sink: str, journal: Path, table: Table, writer: Writer | None, silence: Silence | None = None
    ) -> None:
        self.sink = sink
        self.silence = silence or Silence(f"the ledger {sink}")
        self.notes = (*table.notes, *(writer.notes if writer else ()))
        self.folder = journal
        self._table = table
        self._writer = writer
        self._orphans: set[asyncio.Task[None]] = set()

    @property
    def writer(self) -> UUID:
        """Raises UsageError when the ledger was opened to read."""
        return self._writing().id

    @property
    def pending(self) -> int:
        """Rows that wait in the journal; while there are any, no new intent is accepted."""
        return self._writer.pending if self._writer else 0

    @property
    def now(self) -> datetime:
        """By the clock of its server, about. Raises UsageError when the ledger was opened to read."""
        return self._writing().now

    @property
    def own_person(self) -> str:
        """Who writes here, as `person`. Raises UsageError when the ledger was opened to read."""
        return self.person(self._writing().login)

    def person(self, login: str) -> str:
        """Whose row it is, by what a server verified; empty where the sink is a file, which verifies nobody.

        A login of MySQL has its address with it: one account from two places is one person.
        """
        if self.sink.startswith("sqlite:"):
            return ""
        return login.rpartition("@")[0] if self.sink.startswith("mysql:") else login

    async def append(
        self,
        kind: Kind,
        action_id: UUID,
        body: Mapping[str, object],
        *,
        parent: UUID | None = None,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Record it in the journal and in the table, or not at all, before an effect.

        May take twice the deadline where an answer gets lost. When cancelled, the row may still be
        made; an intent is then followed by its own `resolved: not_applied`.
        Raises AuditUnavailable naming the sink and the reason, AlreadyRecorded carrying the earlier
        action, TypeError for a body that cannot be recorded.
        """
        new = draft(kind, action_id, self._writing().stamped(body), parent, idempotency_key)
        task = asyncio.ensure_future(self._writing().append(new))
        try:
            with self.silence.awaited():
                return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._adopt(task, new)
            raise

    async def append_late(
        self,
        kind: Kind,
        action_id: UUID,
        body: Mapping[str, object],
        *,
        parent: UUID | None = None,
    ) -> Receipt:
        """Record what has happened. If the table fails it waits in the journal (`recorded` False)
        and the writer accepts no new intent until `flush` succeeds.

        Raises AuditUnavailable only if the journal fails too; AlreadyRecorded; TypeError.
        """
        new = draft(kind, action_id, self._writing().stamped(body), parent, None)
        task = asyncio.ensure_future(self._writing().append_late(new))
        try:
            with self.silence.awaited():
                return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._adopt(task, new)
            raise

    async def flush(self) -> int:
        """Send what waits in the journal; the number of rows sent. Raises AuditUnavailable."""
        return await self._writing().flush()

    async def answers(self) -> bool:
        """True when its sink has answered; False where a read is under way, which is not waited for.

        Raises AuditUnavailable.
        """
        return await self._table.answers()

    async def find_idempotency(self, key: str) -> UUID | None:
        """The action whose intent used this key. Raises AuditUnavailable."""
        with self.silence.awaited():
            return await self._table.find_idempotency(key)

    async def entries(
        self,
        *,
        limit: int | None = None,
        action_id: UUID | None = None,
        kinds: Collection[Kind] | None = None,
        newest_first: bool = True,
        containing: str | None = None,
        parent: UUID | None = None,
    ) -> list[Entry]:
        """`containing`: only rows with this piece of text in their body; `parent`: only those of actions that
        are part of this run.

        Raises LedgerFault for a row that cannot be read, AuditUnavailable; PrivilegeMissing for a login that
        may only write.
        """
        wanted = Query(
            limit=limit, action_id=action_id, kinds=kinds, newest_first=newest_first, containing=containing,
            parent=parent,
        )  # fmt: skip
        with self.silence.awaited():
            return await self._table.entries(wanted)

    async def stream(self, above: int | None = None) -> AsyncIterator[Entry]:
        """All rows of one moment whose id is above that one, oldest first, in little memory; for exports.
        None: every row there is.

        Raises LedgerFault for a row that cannot be read, AuditUnavailable.
        """
        async with contextlib.aclosing(self._table.chunks(above)) as chunks:
            async for rows in chunks:
                for entry in rows:
                    yield whole(entry)

    async def moment(self) -> datetime:
        """Now, by the clock that dates the rows. Raises AuditUnavailable."""
        return await self._table.moment()

    async def open_intents(self) -> list[OpenIntent]:
        """Intents whose end is not known, oldest first, and last those in journals of this machine that are
        not merged yet. Raises AuditUnavailable; LedgerFault for one, or its outcome, that cannot be read.
        """
        # Journals first: what is merged meanwhile is then in the table.
        local = await asyncio.to_thread(of_unmerged, self.folder, self._table.ledger, self.sink)
        with self.silence.awaited():
            candidates = await self._table.candidates()
        there = [_open_intent(found) for found in candidates if _is_open(found)]
        known = {intent.action_id for intent in there}
        left = [
            msgspec.structs.replace(_open_intent(found), unmerged=True)
            for found in local
            if _is_open(found) and found.intent.action_id not in known
        ]
        return [*there, *left]

    # ---- break-glass ---------------------------------------------------------------------------

    async def unmerged(self) -> list[Unmerged]:
        """Journals of this machine with rows that the table may not have. Raises AuditUnavailable."""
        return await asyncio.to_thread(unmerged, self.folder, self._table.ledger, self.sink)

    async def brackets(self) -> tuple[Bracket, ...]:
        """Those that were merged, oldest first. Raises AuditUnavailable; PrivilegeMissing for a login that
        may only write.
        """
        return brackets(await self.entries(kinds=(Kind.BREAKGLASS,), newest_first=False))

    async def merge(self, path: Path, *, died: bool = False) -> Merged:
        """The rows of a break-glass, from its journal into the table; again, nothing is there twice.

        `died`: a journal without its end is taken as it is. Raises Refused naming the row, AuditUnavailable.
        """
        self._writing()
        return await merge(path, self._table, self.sink, died=died)

    async def review(self, bracket: Bracket, reason: str, by: str) -> None:
        """Record that somebody else has looked at it: the ledger's server checks that it is somebody else.

        Raises Refused, AuditUnavailable.
        """
        if not self.own_person:
            raise Refused(
                "this ledger is a file, which verifies nobody: it cannot tell two people; "
                "nothing was reviewed",
                "a review needs a ledger on a server: docs/audit.md",
            )
        if self.own_person in bracket.people:
            raise Refused(
                f"{self.own_person} broke the glass or merged it, and cannot review it; nothing was reviewed",
                "somebody with another login at the ledger has to",
            )
        body = {"event": Event.REVIEW, "writer": bracket.writer, "reason": reason, "operator": by}
        await self.append(Kind.BREAKGLASS, bracket.writer, body)

    # ---- verification --------------------------------------------------------------------------

    async def verify(
        self,
        checkpoints: Sequence[Checkpoint] = (),
        *,
        anchored: Mapping[bytes, Checkpoint] = NO_ANCHORS,
        trusted: Collection[str] = (),
        since: Base | None = None,
    ) -> Verification:
        """The table, with this host's journals as receipts. Raises AuditUnavailable, LedgerFault.

        `since` a checkpoint only what came after is read, and what was before is counted; where that shows a
        fault, everything is read.
        """
        return (await self._verified(checkpoints, anchored, trusted, since))[0]

    async def _verified(
        self,
        checkpoints: Sequence[Checkpoint] = (),
        anchored: Mapping[bytes, Checkpoint] = NO_ANCHORS,
        trusted: Collection[str] = (),
        since: Base | None = None,
    ) -> tuple[Verification, Marks]:
        begun = partial(
            Verifier,
            checkpoints=checkpoints,
            anchored=anchored,
            trusted=trusted,
            base=since,
            ledger=self._table.ledger,
        )
        floor = since.point.floor if since else None
        of = (self.folder, self._table.ledger, self.sink, since.heads if since else NO_HEADS)
        # Journals first: a row they know by then is in any later picture of the table.
        elsewhere = await asyncio.to_thread(of_others, self.folder, self._table.ledger, self.sink)
        request = await asyncio.to_thread(asked, *of)
        sound = await self._sound(begun(), floor, request, elsewhere) if request else None
        if sound is None:
            journals = await asyncio.to_thread(read_evidence, *of)
            verifier = begun(receipt for journal in journals for receipt in journal.receipts)
            found = await self._fed(verifier, floor)
            whole = _with_harmed(found, [*_damaged(journals), *filter(verifier.has_rows_of, elsewhere)])
        else:
            whole, verifier = sound
        if since is not None and (whole.faults or not await self._stands(since.point.floor, verifier.unread)):
            return await self._verified(checkpoints, anchored, trusted)
        return whole, verifier.marks

    async def _sound(
        self, verifier: Verifier, floor: int | None, request: Asked, elsewhere: Collection[UUID]
    ) -> tuple[Verification, Verifier] | None:
        """The table, while a process of its own reads the journals. None where anything is wrong: all is read
        again, each receipt compared as its row goes by, which tells what.
        """
        async with beside(request) as reading:
            found = await self._fed(verifier, floor)
            journals = await reading()
        receipts = (receipt for journal in journals for receipt in journal.receipts)
        harmed = found.faults or _damaged(journals) or any(map(verifier.has_rows_of, elsewhere))
        if harmed or not verifier.marks.have(receipts):
            return None
        return found, verifier

    async def _fed(self, verifier: Verifier, floor: int | None) -> Verification:
        """All rows above the floor."""
        async for rows in self._table.chunks(floor):
            for entry in rows:
                if isinstance(entry, Unreadable):
                    verifier.note(entry.id)
                else:
                    verifier.feed(entry)
        return verifier.finish()

    async def _stands(self, floor: int, rows: int) -> bool:
        """So many rows are up to the floor, and none in front of the first; False where nobody can count them
        in time, too: read page by page they can be.
        """
        try:
            return await self._table.count(0) == 0 and await self._table.count(floor) == rows
        except AuditUnavailable:
            return False

    async def base(self, trusted: Collection[str]) -> Base | None:
        """The newest checkpoint of this ledger that a trusted key signed.

        Raises AuditUnavailable, and LedgerFault where the row of one cannot be read: all is to be looked at.
        """
        found = base_of(await self.entries(kinds=(Kind.CHECKPOINT,), newest_first=False), trusted)
        return found if found and found.point.ledger == self._table.ledger else None

    async def checkpoint(
        self,
        private: Secret,
        trusted: Collection[str] = (),
        anchored: Mapping[bytes, Checkpoint] = NO_ANCHORS,
    ) -> Signed:
        """Verify what came since the last one, and record a new one, signed.

        `trusted` keys signed earlier ones; where none are named, whoever did. A ledger that lacks what was
        `anchored` was put back to what it had been, and its new end is not signed.

        Raises LedgerFault for a ledger that is not whole: nothing is signed then. ConfigError,
        AuditUnavailable.
        """
        public = checkpoints.public_of(private)
        try:
            base = await self.base((public, *trusted))
        except LedgerFault:
            base = None  # all is read, and the row named as a fault
        keys = (public, *trusted) if trusted else ()
        found, marks = await self._verified(anchored=anchored, trusted=keys, since=base)
        if found.faults:
            raise LedgerFault(
                f"the ledger {self.sink} has {len(found.faults)} faults; no checkpoint was made",
                _NAMES + (_GO_ON if all(fault.kind in _LOSES for fault in found.faults) else ""),
            )
        point = marks.next(self._table.ledger, iso(datetime.now(UTC)))
        signed = checkpoints.sign(point, private)
        await self.append(Kind.CHECKPOINT, uuid4(), {"checkpoint": msgspec.to_builtins(signed)})
        return signed

    async def keep_copy(self, signed: Signed) -> None:
        """Keep the checkpoint of another ledger as an anchor. Raises AuditUnavailable."""
        of = str(checkpoints.parse(signed.text).ledger)
        await self.append(
            Kind.CHECKPOINT, uuid4(), {"anchor_of": of, "checkpoint": msgspec.to_builtins(signed)}
        )

    async def approvals(self, action: UUID) -> list[Entry]:
        """Rows of the kind `approval` with this id, oldest first; also for a login that may only write."""
        with self.silence.awaited():
            return await self._table.approvals(action)

    async def row(self, number: int) -> Entry:
        """By its id. Raises UsageError where there is none, AuditUnavailable."""
        async with contextlib.aclosing(self._table.chunks(number - 1)) as chunks:
            async for first, *_ in chunks:
                if first.id == number:
                    return whole(first)
                break
        raise UsageError(f"the ledger has no row {number}")

    async def redact(self, entry: Entry, reason: str, by: str) -> list[str]:
        """Take the text of a row away: recorded first, and its hash stays. What of it is left, in sentences.

        Raises Refused for a row that others are proved or settled by, PrivilegeMissing, AuditUnavailable.
        """
        await self._refuse_to_redact(entry)
        told = {"writer": str(entry.writer), "seq": entry.seq, "row": entry.id, "kind": entry.kind,
                "body_hash": entry.body_hash.hex(), "reason": reason, "operator": by}  # fmt: skip
        await self.append(Kind.REDACTION, entry.action_id, told)
        try:
            await self._table.redact(entry.writer, entry.seq)
        except PrivilegeMissing:
            raise PrivilegeMissing(
                f"this login may take no text away: row {entry.id} has it still, and a redaction row says "
                "that it was wanted",
                "`dbdeck audit init --redactor LOGIN`, run as its installer, gives the right; then again",
            ) from None
        left = await asyncio.to_thread(forget, self.folder, entry.writer, entry.seq)
        return [left] if left else []

    async def _refuse_to_redact(self, entry: Entry) -> None:
        if entry.body is None:
            raise Refused(f"row {entry.id} is redacted already; nothing was done")
        if entry.kind not in REDACTABLE:
            raise Refused(
                f"row {entry.id} is of the kind {entry.kind}: others are proved by it; nothing was redacted",
                f"texts of {', '.join(REDACTABLE)} can be taken away",
            )
        if any(one.action_id == entry.action_id for one in await self.open_intents()):
            raise Refused(
                f"row {entry.id} belongs to an action whose end is not known; nothing was redacted",
                "settle it first: `dbdeck audit reconcile`",
            )

    @property
    def id(self) -> UUID:
        """Of the ledger, whatever its address."""
        return self._table.ledger

    async def finish(self) -> None:
        """Say goodbye; best effort, because what was promised is already recorded.

        It ends whatever hangs: an intent whose end is not recorded by then is told by `open_intents`.
        """
        if self._orphans:
            _, left = await asyncio.wait(self._orphans, timeout=ORPHAN_SECONDS)
            if left:
                # The sinks do not answer: no row may follow what they were asked to take.
                for one in left:
                    one.cancel()
                await asyncio.wait(left, timeout=FINISH_SECONDS)
                return
        if self._writer is not None:
            with contextlib.suppress(AuditUnavailable, TimeoutError):
                await in_time(FINISH_SECONDS, self._leave(self._writer))

    async def _leave(self, writer: Writer) -> None:
        with contextlib.suppress(AuditUnavailable):
            await writer.say_goodbye(GOODBYE_SECONDS)
        await writer.settled()

    def _writing(self) -> Writer:
        if self._writer is None:
            raise UsageError(f"the ledger {self.sink} was opened to read")
        return self._writer

    def _adopt(self, task: asyncio.Task[Receipt], new: Draft) -> None:
        orphan = asyncio.ensure_future(self._end_orphan(task, new))
        self._orphans.add(orphan)
        orphan.add_done_callback(self._orphans.discard)

    async def _end_orphan(self, task: asyncio.Task[Receipt], new: Draft) -> None:
        """Its caller was cancelled and will not act on the intent."""
        try:
            await task
            if new.kind is Kind.INTENT:
                end = draft(Kind.RESOLVED, new.action_id, _ORPHANED, new.parent, None)
                await self._writing().append_late(end)
        except (DbdeckError, asyncio.CancelledError):
            return  # no intent, or one that stays open and is told by open_intents


def _damaged(journals: Iterable[Evidence]) -> list[UUID]:
    """Whose they are."""
    return [journal.header.writer for journal in journals if journal.damaged]


def _with_harmed(found: Verification, writers: Iterable[UUID]) -> Verification:
    harmed = tuple(Fault(None, writer, None, "journal") for writer in sorted(set(writers)))
    return msgspec.structs.replace(found, faults=(*found.faults, *harmed))


def _is_open(found: Candidate) -> bool:
    return found.outcome is None or status(found.outcome) == UNKNOWN


def _open_intent(found: Candidate) -> OpenIntent:
    return OpenIntent(
        action_id=found.intent.action_id,
        at=found.intent.at,
        writer=found.intent.writer,
        body=fields(found.intent.body),
        outcome=None if found.outcome is None else UNKNOWN,
        alive=found.alive,
    )


@contextlib.asynccontextmanager
async def open_ledger(  # noqa: PLR0913 - all but two may be left away
    url: str,
    journal: Path,
    *,
    password: Secret | None = None,
    deadline: float = DEADLINE,
    write: bool = True,
    about: Mapping[str, object] = _NOTHING,
    tell: Tell | None = None,
) -> AsyncIterator[Ledger]:
    """The ledger behind `url`, with the folder of the local journals.

    To write starts a writer: a journal file of its own, an `open` row (version, code hash, who,
    `about`) that proves both sinks before anybody needs them, and a `close` row at the end. Ends of
    actions that wait in the journals of dead writers are delivered, as far as that works. A SQLite
    file is created where there is none; a server needs `install` first. `deadline` is seconds a
    call. `tell` hears of an answer that is waited for, as long as the ledger is open. Raises ConfigError for
    a bad URL, AuditUnavailable naming the sink and the reason.
    """
    address = parse_url(url)
    folder = home(journal)
    silence = Silence(f"the ledger {address.sink}")
    async with contextlib.AsyncExitStack() as stack:
        if tell is not None:
            stack.enter_context(silence.heard_by(tell))
        with silence.awaited():
            table = await open_table(
                address, password, deadline, write=write, alive=lambda writer: alive(folder, writer)
            )
            stack.push_async_callback(table.close)
            writer = await _start_writer(stack, address.sink, folder, table) if write else None
        ledger = Ledger(address.sink, folder, table, writer, silence)
        if writer is not None:
            await ledger.append(Kind.OPEN, writer.id, _opening(about))
            await deliver(folder, table, deadline)
        stack.push_async_callback(ledger.finish)
        yield ledger


def home(folder: Path) -> Path:
    return folder.expanduser()


async def _start_writer(stack: contextlib.AsyncExitStack, sink: str, folder: Path, table: Table) -> Writer:
    writer = uuid4()
    header = Header(writer=writer, ledger=table.ledger, sink=sink)
    journal = await begin_journal(folder, header)
    stack.callback(journal.close)
    await table.hold_writer_lock(writer)
    return Writer(writer, sink, table, journal)


def _opening(about: Mapping[str, object]) -> dict[str, object]:
    return {
        "version": __version__,
        "code_hash": who.code_hash(),
        "who": who.claims(),
        **about,
    }


async def inspect(url: str, *, password: Secret | None = None, deadline: float = DEADLINE) -> list[Part]:
    """What the ledger is made of, compared with what dbdeck makes. Raises ConfigError, AuditUnavailable."""
    return await inspect_table(parse_url(url), password, deadline)


async def install(
    url: str,
    *,
    password: Secret | None = None,
    deadline: float = DEADLINE,
    writers: Sequence[str] = (),
    auditors: Sequence[str] = (),
    redactors: Sequence[str] = (),
) -> list[str]:
    """Make the ledger where `url` points, logged in as who may; what it made, one line each.

    `writers` and `auditors` are existing roles (PostgreSQL) or accounts (MySQL: user@host). Writers
    may append and read open intents; auditors may read everything; redactors may take texts of rows away,
    which is recorded. Idempotent.
    Raises ConfigError, AuditUnavailable.
    """
    return await install_table(parse_url(url), password, deadline, writers, auditors, redactors)
