"""What the ledgers on PostgreSQL and on MySQL have in common."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import ClassVar, Generic, TypeVar
from uuid import UUID

from console.audit.record import Row
from console.audit.table.channel import Channel
from console.audit.table.port import (
    APPENDS,
    VERSION,
    Duplicate,
    Fields,
    Forbidden,
    NotTaken,
    Undecided,
    hint_of,
)
from console.errors import AuditForbidden, AuditMissing, AuditUnavailable, PrivilegeMissing

C = TypeVar("C")
T = TypeVar("T")


class ServerTable(abc.ABC, Generic[C]):
    """Appends on one connection, reads on another, so that a long read never delays an intent."""

    describe: ClassVar[str]  # reads id and version of the ledger, and whether a commit is on disk
    clock: ClassVar[str]  # reads `at`, as the procedure that appends dates a row
    refusal: ClassVar[type[Exception]]  # what the driver raises when the server says no

    def __init__(self, sink: str, appends: Channel[C], reads: Channel[C]) -> None:
        self.ledger = UUID(int=0)
        self.notes: tuple[str, ...] = ()
        self._sink = sink
        self._appends = appends
        self._reads = reads

    async def open(self, *, write: bool) -> None:
        """Raises AuditUnavailable; PrivilegeMissing for a reader without the right to read."""
        found = await (self._as_writer(self._read(self.describe)) if write else self._read(self.describe))
        if not found or found[0]["version"] > VERSION:
            raise self._unavailable("it was made by another version of dbdeck")
        self.ledger = UUID(str(found[0]["id"]))
        if not found[0]["durable"]:
            self.notes = (f"the server of the ledger {self._sink} may lose its last commits in a crash",)

    def hurry(self, seconds: float) -> None:
        self._appends.deadline = self._reads.deadline = seconds

    async def close(self) -> None:
        await asyncio.gather(self._appends.close(), self._reads.close())

    async def answers(self) -> bool:
        """Beside the appends, whose connection holds the writer's lock: it is not given up for a look."""
        if self._reads.busy:
            return False
        await self._read("select 1")
        return True

    async def moment(self) -> datetime:
        found: datetime = (await self._read(self.clock))[0]["at"]
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    @abc.abstractmethod
    async def find_idempotency(self, key: str) -> UUID | None: ...

    @abc.abstractmethod
    def _is_forbidden(self, error: Exception) -> bool: ...

    @abc.abstractmethod
    def _is_absent(self, error: Exception) -> bool: ...

    def _words(self, error: Exception) -> str:
        return str(error)

    async def _hold(self, statement: str) -> None:
        """Take a session lock now and after each reconnect. Raises AuditUnavailable."""
        self._appends.holding = statement
        await self._as_writer(self._ask(self._appends, "select 1"))

    async def _conflict(self, row: Row, key: str) -> NotTaken | Undecided:
        """What a violated unique key means."""
        if key in ("entry_one_intent", "entry_one_outcome"):
            return Duplicate(f"an {row.kind} of this action", row.action_id)
        if key == "entry_one_key" and row.idempotency_key:
            return await self._used_key(row.idempotency_key)
        # An earlier attempt of this very row got through meanwhile.
        return Undecided(f"unique key {key}")

    async def _used_key(self, key: str) -> NotTaken:
        try:
            earlier = await self.find_idempotency(key)
        except AuditUnavailable as error:
            return NotTaken(error.message)
        what = "this idempotency key"
        return Duplicate(what, earlier) if earlier else NotTaken(f"{what} is in use")

    async def _as_writer(self, call: Coroutine[object, object, T]) -> T:
        """For a writer a right that is missing is a sink that cannot be used. Raises AuditUnavailable."""
        try:
            return await call
        except PrivilegeMissing as error:
            why = error.message.partition("may not be read: ")[2] or error.message
            message = f"the ledger {self._sink} may not be written: {why}"
            raise AuditForbidden(message, APPENDS) from None

    async def _read(self, text: str, *args: object) -> Sequence[Fields]:
        return await self._ask(self._reads, text, *args)

    async def _ask(self, channel: Channel[C], text: str, *args: object) -> Sequence[Fields]:
        try:
            return await channel.fetch(text, *args)
        except (NotTaken, Undecided, self.refusal) as error:
            raise self._explain(error) from None

    def _explain(self, error: Exception) -> AuditUnavailable | PrivilegeMissing:
        if isinstance(error, TimeoutError):
            return self._unavailable(f"no answer in {self._reads.deadline:g} s")
        if isinstance(error, Forbidden):
            return AuditForbidden(f"the ledger {self._sink} cannot be used: {error}", error.hint)
        if self._is_forbidden(error):
            return PrivilegeMissing(
                f"the ledger {self._sink} may not be read: {self._words(error)}",
                "dbdeck audit init, run as its installer, gives an auditor the right to read it",
            )
        if self._is_absent(error):
            return AuditMissing(
                self._unavailable("there is none in this database yet").message,
                "make it with: dbdeck audit init",
            )
        return self._unavailable(self._words(error), hint_of(error))

    def _unavailable(self, reason: str, hint: str = "") -> AuditUnavailable:
        return AuditUnavailable(f"the ledger {self._sink} cannot be used: {reason}", hint)
