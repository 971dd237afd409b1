"""What every sink can do, and how it says that it did not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

import msgspec

from console.audit import chain
from console.audit.record import Entry, Row
from console.errors import LedgerFault

VERSION = 1
COLUMNS = Entry.__struct_fields__
_ID = COLUMNS.index("id")
ADDED = tuple(name for name in COLUMNS if name not in Row.__struct_fields__)
Alive = Callable[[UUID], bool]
T = TypeVar("T")
_NOT_THE_ROW: Final = (
    "what the server answers is not the row that was sent: look with `dbdeck audit doctor`, as the installer"
)
NEW_ID: Final = (
    "table ledger, which was missing, with a new id: journals and checkpoints of before are of the old one"
)


class NotTaken(Exception):
    """The sink has definitely not taken the row; the text is the reason, and `hint` what mends it."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


def hint_of(error: Exception) -> str:
    """What mends it, where a sink knows."""
    return error.hint if isinstance(error, NotTaken) else ""


class Undecided(Exception):
    """The row may or may not be in the table: the answer to it got lost."""


class Duplicate(NotTaken):
    """A second intent or outcome of one action, or a used idempotency key (`what`)."""

    def __init__(self, what: str, action_id: UUID) -> None:
        super().__init__(f"the ledger already has {what}")
        self.what = what
        self.action_id = action_id


class Barred(NotTaken):
    """The sink knows why the row may not be: an approval, or a review, that is none."""


class Forbidden(NotTaken):
    """The server answers, and does not let this login in or append."""


APPENDS: Final = (
    "this needs a login that may append: `dbdeck audit init --writer LOGIN`, run as its installer, "
    "gives one the right"
)


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows to read; `limit` None means all. `containing` is a piece of the body's text; `parent` the
    run of a runbook that actions are part of.
    """

    limit: int | None = None
    action_id: UUID | None = None
    parent: UUID | None = None
    kinds: Collection[str] | None = None
    containing: str | None = None
    newest_first: bool = True


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An intent that is not resolved and has no outcome, or one that speaks of `unknown`."""

    intent: Entry
    outcome: str | None  # the outcome's body
    alive: bool


class Table(Protocol):
    """One connection to a sink. One call at a time; every call has the client-side deadline.

    Reads raise AuditUnavailable (PrivilegeMissing where a grant is what is missing), and LedgerFault naming a
    row that cannot be read.
    """

    ledger: UUID  # identity of the installed ledger
    notes: tuple[str, ...]  # what weakens it, for `doctor`

    async def append(self, row: Row) -> Entry:
        """Append durably; the same row again is no second row.

        Raises NotTaken (nothing was written), Duplicate, or Undecided.
        """

    async def find_idempotency(self, key: str) -> UUID | None: ...

    async def entries(self, query: Query) -> list[Entry]: ...

    def chunks(self, above: int | None = None) -> AsyncGenerator[list[Entry | Unreadable], None]:
        """All rows of one moment whose id is above that one, ids ascending, many at a time. None: all there
        are, whatever id somebody gave them.
        """

    async def count(self, up_to: int) -> int:
        """Rows whose id is at most that, whatever they hold."""

    async def candidates(self) -> list[Candidate]: ...

    async def approvals(self, action: UUID) -> list[Entry]:
        """Rows of the kind `approval` with this id; who may only write may read these."""

    async def redact(self, writer: UUID, seq: int) -> bool:
        """Take a row's body away, which a redaction row must have said. False: it had none any more."""

    async def moment(self) -> datetime:
        """Now, by the clock that dates the rows."""

    async def answers(self) -> bool:
        """True when the sink has answered; False at once where a read is under way: nothing is known."""

    async def hold_writer_lock(self, writer: UUID) -> None:
        """Hold it while connected; taken again after each reconnect."""

    def hurry(self, seconds: float) -> None:
        """The deadline from now on; for a goodbye."""

    async def close(self) -> None: ...


class Unreadable(msgspec.Struct, frozen=True):
    """A stored row that no append can have made, such as one whose kind is binary zeros. `why` has nothing of
    what it holds.
    """

    id: int
    why: str


class Fields(Protocol):
    """What every driver's rows can do."""

    def __getitem__(self, name: str, /) -> Any: ...


class _Stored(Entry, frozen=True, kw_only=True, array_like=True):
    """An entry by the order of its columns, which is found in a third of the time that names take."""


def to_entry(row: Fields) -> Entry:
    """Raises LedgerFault for a row that no append can have made, such as a kind of binary zeros."""
    return ordered([row[name] for name in COLUMNS])


def ordered(row: Sequence[Any]) -> Entry:
    """`to_entry` of a row that has COLUMNS and no others."""
    return whole(readable(row))


def readable(row: Sequence[Any]) -> Entry | Unreadable:
    """`ordered`, for who goes on with the others."""
    try:
        return msgspec.convert(row, _Stored)
    except msgspec.ValidationError as error:
        return Unreadable(row[_ID], str(error))


def whole(found: Entry | Unreadable) -> Entry:
    """Raises LedgerFault naming the row."""
    if isinstance(found, Unreadable):
        raise unreadable(found)
    return found


def unreadable(found: Unreadable) -> LedgerFault:
    return LedgerFault(
        f"row {found.id} of the ledger cannot be read: {found.why}",
        "`dbdeck audit verify` names all such rows",
    )


def sealed(row: Row, added: Fields) -> Entry:
    """A row as its writer made it, which is what the sink has taken, with what the sink added."""
    own = {name: getattr(row, name) for name in Row.__struct_fields__}
    return Entry(**own, **{name: added[name] for name in ADDED})


def answered(row: Row, rows: Iterable[Fields]) -> Entry:
    """What a server answers to an append is a record only where its seal is one of this very row: an append
    that somebody replaced may store nothing, and still answer. Raises Undecided.
    """
    try:
        (added,) = rows
        found = readable([added[name] if name in ADDED else getattr(row, name) for name in COLUMNS])
    except (ValueError, LookupError):
        raise Undecided(_NOT_THE_ROW) from None
    if isinstance(found, Unreadable) or found.seal != _seal(found):
        raise Undecided(_NOT_THE_ROW)
    return found


def _seal(entry: Entry) -> bytes:
    return chain.seal(entry.link, entry.witness, entry.at, entry.db_user, entry.peer)


@cache
def sql(name: str) -> str:
    return files("console.audit.table").joinpath("ddl", name).read_text(encoding="utf-8")


def statements(name: str) -> list[str]:
    """The statements of a file, which separates them by lines of `-- next`."""
    return [part.strip() for part in sql(name).split("\n-- next\n")]


async def in_time(seconds: float, call: Awaitable[T]) -> T:
    """Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        return await call
