"""Break-glass: a ledger that is a journal and nothing else, for a short time and after somebody said why.

The table must be out of reach, and this machine must know the ledger: an address that nobody has ever written
to is a mistake, or a way round. Then a writer begins whose rows are journaled and fsynced as ever, and
stand in no table until `merge` brings them there. Without a journal nothing is recorded, and so nothing is
executed.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NoReturn
from uuid import UUID, uuid4

import msgspec

from console import __version__
from console.audit import chain, who
from console.audit.brackets import STAMP, Event
from console.audit.journal import Header, Journal
from console.audit.ledger import DEADLINE, Ledger, home, open_ledger
from console.audit.record import Entry, Kind, Receipt, iso
from console.audit.syslog import Receipts
from console.audit.table.port import Candidate, NotTaken, Query, Unreadable
from console.audit.unmerged import known_ledger, of_all
from console.audit.url import FileAddress, parse_url
from console.audit.writer import Draft, Late, Writer, begin_journal, draft
from console.errors import AuditForbidden, AuditUnavailable, Refused
from console.os_user import os_user
from console.secrets import Secret

LONGEST: Final = 30 * 60.0  # seconds
_EFFECTS: Final = (Kind.INTENT, Kind.STEP)
_ROOM: Final = 1 << 16  # what no server can make shorter
_TOO_LATE: Final = {"status": "not_applied", "evidence": "the break-glass ended before the action began"}
_OFFLINE: Final = "the ledger's table is out of reach: this break-glass has its journal only"


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded of it before anything else: why, where, by whom, what allows it, and for how long."""

    reason: str
    target: str
    operator: str
    allowed_by: Mapping[str, object]
    seconds: float


class Window:
    """How long it is open, by two clocks of this machine: the first that ends it does."""

    def __init__(self, seconds: float) -> None:
        self.until = datetime.now(UTC) + timedelta(seconds=seconds)
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds; 0 when it is over. The monotonic clock stands still while a laptop sleeps, and the other
        one can be set back."""
        by_wall = (self.until - datetime.now(UTC)).total_seconds()
        return max(0.0, min(by_wall, self._end - time.monotonic()))

    def close(self) -> None:
        """Nothing new begins from now on."""
        self._end = min(self._end, time.monotonic())

    def check(self) -> None:
        """Raises AuditUnavailable when it is over."""
        if self.left <= 0:
            raise AuditUnavailable(
                f"the break-glass is over (it was open until {self.until:%H:%M:%S} UTC at most)",
                "wait for the ledger, or break the glass anew, with a reason",
            )


class GlassWriter(Writer):
    """Every row is in the journal, and no row in a table."""

    def __init__(
        self, header: Header, table: NoTable, journal: Journal, window: Window, receipts: Receipts
    ) -> None:
        super().__init__(header.writer, header.sink, table, journal)
        self.window = window
        self._receipts = receipts
        self._broken: Late | None = None

    @property
    def head(self) -> chain.Head:
        return self._head

    def stamped(self, body: Mapping[str, object]) -> Mapping[str, object]:
        return {**body, STAMP: datetime.now(UTC)}

    async def append(self, new: Draft) -> Receipt:
        """Raises AuditUnavailable: for the journal, and before an effect when the time is over."""
        if new.kind not in _EFFECTS:
            return await self.append_late(new)
        self.window.check()
        receipt = await self.append_late(new)
        try:
            self.window.check()  # a disk may have taken long
        except AuditUnavailable:
            if new.kind is Kind.INTENT:
                body = self.stamped(_TOO_LATE)
                await self.append_late(draft(Kind.RESOLVED, new.action_id, body, new.parent, None))
            raise
        return receipt

    async def append_late(self, new: Draft) -> Receipt:
        """Nothing follows a row that the disk has not answered for: it may stand in the journal, or not."""
        async with self._turn:
            if self._broken is not None:
                raise self._broken
            row = self._next(new)
            try:
                await self._answered(self._into_journal(row))
            except Late as error:
                self._broken = error
                raise
            self._head = chain.Head(row.seq, row.link)
            await self._receipts.tell(row)
            return Receipt(writer=row.writer, seq=row.seq, link=row.link, recorded=False)

    async def flush(self) -> int:
        return 0

    async def say_goodbye(self, seconds: float) -> None:  # noqa: ARG002 - a journal needs no hurry
        """The last row of the bracket. Raises AuditUnavailable."""
        self.window.close()
        body = self.stamped({"event": Event.END})
        await self.append_late(draft(Kind.BREAKGLASS, self.id, body, None, None))


class NoTable:
    """The port of a table that is out of reach: what this machine's journals know, and no more."""

    notes: tuple[str, ...] = ()

    def __init__(self, ledger: UUID, folder: Path, sink: str) -> None:
        self.ledger = ledger
        self._folder = folder
        self._sink = sink

    async def append(self, row: object) -> NoReturn:  # noqa: ARG002 - the port
        raise NotTaken(_OFFLINE)

    async def answers(self) -> NoReturn:
        raise AuditUnavailable(_OFFLINE)

    async def moment(self) -> NoReturn:
        raise AuditUnavailable(_OFFLINE)

    async def candidates(self) -> list[Candidate]:
        return await asyncio.to_thread(of_all, self._folder, self.ledger, self._sink)

    async def find_idempotency(self, key: str) -> NoReturn:  # noqa: ARG002 - the port
        raise AuditUnavailable(_OFFLINE)

    async def entries(self, query: Query) -> NoReturn:  # noqa: ARG002 - the port
        raise AuditUnavailable(_OFFLINE)

    async def chunks(self, above: int | None = None) -> AsyncGenerator[list[Entry | Unreadable], None]:  # noqa: ARG002 - the port
        raise AuditUnavailable(_OFFLINE)
        yield

    async def count(self, up_to: int) -> NoReturn:  # noqa: ARG002 - the port
        raise AuditUnavailable(_OFFLINE)

    async def approvals(self, action: UUID) -> NoReturn:  # noqa: ARG002 - the port
        raise AuditUnavailable(_OFFLINE)

    async def redact(self, writer: UUID, seq: int) -> NoReturn:  # noqa: ARG002 - the port
        raise AuditUnavailable(_OFFLINE)

    async def hold_writer_lock(self, writer: UUID) -> None:
        """The lock is the one of the writer's journal."""

    def hurry(self, seconds: float) -> None:
        """There is nobody to wait for."""

    async def close(self) -> None:
        """There is nothing to close."""


class GlassLedger(Ledger):
    """A ledger whose every row is in `path`, and nowhere else yet. `receipts` of them are in syslogs."""

    def __init__(
        self, sink: str, table: NoTable, writer: GlassWriter, path: Path, receipts: Receipts
    ) -> None:
        super().__init__(sink, path.parent, table, writer)
        self.window = writer.window
        self.path = path
        self.receipts = receipts
        self._glass = writer

    @property
    def rows(self) -> int:
        return self._glass.head.seq

    @property
    def link(self) -> str:
        """Of the last row; kept elsewhere it tells a journal whose end was cut off."""
        return self._glass.head.link.hex()


@contextlib.asynccontextmanager
async def open_glass(
    url: str,
    journal: Path,
    terms: Terms,
    *,
    password: Secret | None = None,
    syslogs: Sequence[str] = (),
    deadline: float = DEADLINE,
) -> AsyncIterator[GlassLedger]:
    """The ledger is asked for once more first; what it says is recorded. Each row is told to the `syslogs`:
    who edits the journal before it is merged cannot edit those.

    Raises Refused where it can be reached, where it turned this login away, and where this machine has never
    written to it; AuditUnavailable for a journal that cannot be used.
    """
    address, folder = parse_url(url), home(journal)
    unreachable = await _out_of_reach(url, folder, password, deadline)
    ledger = await asyncio.to_thread(known_ledger, folder, address.sink)
    if ledger is None:
        raise Refused(
            f"no journal in {folder} tells that this machine has ever written to the ledger {address.sink}: "
            "its address may be wrong; the glass stays whole, nothing was executed",
            f"what it says is: {unreachable.message}",
        )
    header = Header(writer=uuid4(), ledger=ledger, sink=address.sink, glass=True)
    file = await begin_journal(folder, header)
    with contextlib.closing(file):
        table, window = NoTable(ledger, folder, address.sink), Window(min(terms.seconds, LONGEST))
        receipts = Receipts(ledger, syslogs)
        writer = GlassWriter(header, table, file, window, receipts)
        opened = GlassLedger(address.sink, table, writer, file.path, receipts)
        claims = {"version": __version__, "code_hash": who.code_hash(), "who": who.claims(), "glass": True}
        await opened.append(Kind.OPEN, writer.id, claims)
        login = os_user() if isinstance(address, FileAddress) else address.user
        beginning = {
            **msgspec.to_builtins(terms),
            "event": Event.BEGIN,
            "ledger": ledger,
            "login": login,
            "unreachable": unreachable.message,
            "until": iso(window.until),
        }
        await opened.append(Kind.BREAKGLASS, writer.id, beginning)
        try:
            yield opened
        finally:
            await opened.finish()


async def _out_of_reach(url: str, folder: Path, password: Secret | None, deadline: float) -> AuditUnavailable:
    """By the way that everybody goes, with a row as long as a long intent: one that takes small rows only is
    full for who wants to act. Raises Refused.
    """
    about = {"asked": "is there a glass to break", "room": secrets.token_hex(_ROOM // 2)}
    try:
        async with open_ledger(url, folder, password=password, deadline=deadline, about=about):
            pass
    except AuditForbidden as error:
        raise Refused(
            f"the ledger answers and turns this login away, which no break-glass mends: {error.message}; "
            "nothing was executed",
            error.hint,
        ) from None
    except AuditUnavailable as error:
        return error
    raise Refused(
        "the ledger can be reached: there is no glass to break; nothing was executed",
        "run it without --break-glass",
    )
