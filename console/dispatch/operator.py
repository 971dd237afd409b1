"""The Operator: the only thing that changes a server, and it records each effect before it happens."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from console import programs
from console.audit.ledger import Ledger
from console.audit.record import Kind as RowKind
from console.dispatch import files, process
from console.dispatch.action import Action, Keeping, Plan, Step, Stepwise, Verdict, Watch
from console.dispatch.enclosure import Enclosure, Kind, enclosure
from console.engine import pooler
from console.engine.open import open_engine
from console.engine.port import READ_SECONDS, Engine, OperatorConnection, Row, Statement
from console.errors import ActionFailed, AuditUnavailable
from console.model.hooks import PoolerAdmin
from console.model.login import Login
from console.secret_store import SecretStore
from console.secrets import Secret

T = TypeVar("T")
Another = Callable[[], AbstractAsyncContextManager[OperatorConnection]]


class Record:
    """What one action has written of its effects: a statement that is not in it is never sent."""

    def __init__(
        self, ledger: Ledger, action_id: UUID, about: Mapping[str, object], parent: UUID | None = None
    ) -> None:
        self._ledger = ledger
        self._parent = parent
        self.action_id = action_id
        self._about = about
        self._declared: set[tuple[str, str]] = set()
        self.steps = 0
        self.taken: list[Step] = []

    async def write(
        self, statements: Sequence[Statement], timeout: float | None, subject: int | None = None
    ) -> None:
        """One row for all of them. Raises ActionFailed where it cannot be written."""
        await self.tell([one.shown for one in statements], timeout, subject)
        self._declared.update((one.sql, one.shown) for one in statements)

    async def tell(self, shown: Sequence[str], timeout: float | None, subject: int | None = None) -> None:
        """One row for effects, by what people see of them. Raises ActionFailed as `write`."""
        what: dict[str, object] = {"statement": shown[0]} if len(shown) == 1 else {"statements": shown}
        if subject is not None:
            what |= {"subject": subject, "before": self.taken[-1].answer if self.taken else None}
        body = {**self._about, "step": self.steps + 1, **what, "timeout": timeout}
        try:
            await self._ledger.append(RowKind.STEP, self.action_id, body, parent=self._parent)
        except AuditUnavailable as error:
            raise ActionFailed(
                f"the step was not recorded and therefore not executed: {error.message}", error.hint
            ) from None
        self.steps += len(shown)
        if subject is not None:
            self.taken.append(Step(subject=subject))

    async def note(self, text: str, seen: Mapping[str, object]) -> None:
        """What came of an effect, for a run that goes on after a death. Raises nothing: it has happened."""
        try:
            await self._ledger.append_late(
                RowKind.NOTE, self.action_id, {**self._about, "text": text, "seen": seen}
            )
        except AuditUnavailable:
            return

    def __contains__(self, statement: Statement) -> bool:
        return (statement.sql, statement.shown) in self._declared


class Operator:
    """Made by the dispatcher for one action, after its intent was committed.

    `engine` is for reading meanwhile. `evidence` becomes part of the outcome row.
    """

    def __init__(
        self,
        connection: OperatorConnection,
        record: Record,
        engine: Engine,
        watch: Watch,
        ways: tuple[Another, SecretStore | None],
    ) -> None:
        self._connection = connection
        self._record = record
        self._another, self._store = ways
        self.engine = engine
        self.watch = watch
        self.evidence: dict[str, Any] = {}

    @property
    def user(self) -> str:
        return self._connection.user

    @property
    def session_id(self) -> int:
        return self._connection.session_id

    @property
    def action_id(self) -> UUID:
        return self._record.action_id

    @property
    def steps(self) -> int:
        return self._record.steps

    @property
    def taken(self) -> Sequence[Step]:
        """The effects that named whom they went to, and what came of each."""
        return self._record.taken

    async def execute(
        self, statement: Statement, *, timeout: float | None = 15.0, subject: int | None = None
    ) -> list[Row]:
        """Record the statement durably, then run it; `timeout` is the client's deadline in seconds.

        `subject` is whom it is sent to, of several: then the row also tells what came of the step before.
        Raises ActionFailed (refused by the server, or not recorded and so not sent) and
        OutcomeUnknown (sent, and the answer was lost).
        """
        await self._record.write([statement], timeout, subject)
        return await self._connection.run(statement, timeout=timeout)

    def answered(self, subject: int, answer: str) -> None:
        """What came of the last step; nothing where that one was not recorded and so never sent."""
        taken = self._record.taken
        if taken and taken[-1].subject == subject:
            taken[-1] = Step(subject=subject, answer=answer)

    async def declare(
        self, statements: Sequence[Statement], *, timeout: float | None = None, subject: int | None = None
    ) -> None:
        """Record statements durably, in one row, so that each of them can be sent; `subject` as `execute`.

        Raises ActionFailed where they cannot be recorded; none of them was sent then.
        """
        if statements:
            await self._record.write(statements, timeout, subject)

    async def send(self, statement: Statement, *, timeout: float | None = None) -> list[Row]:
        """Run a declared statement, again where it came to nothing: its row stands for all tries.

        Raises as `execute`.
        """
        if statement not in self._record:
            raise ActionFailed(f"not recorded and therefore not executed: {statement.shown}")
        return await self._connection.run(statement, timeout=timeout)

    async def note(self, text: str, seen: Mapping[str, object]) -> None:
        """Record what came of an effect that no look can tell afterwards. Raises nothing."""
        await self._record.note(text, seen)

    # ---- secrets --------------------------------------------------------------------------------

    @property
    def secrets(self) -> SecretStore:
        """For reading; what is to be written goes through `keep` and `forget`. Raises ActionFailed."""
        if self._store is None:
            raise ActionFailed("there is no store of secrets here; nothing was stored")
        return self._store

    async def keep(self, name: str, secret: Secret, what: str) -> None:
        """Record that an entry will be stored, store it, and read it back from where it is kept.

        `what` says what the entry is; the value is in no row. Raises ActionFailed where it was not stored,
        OutcomeUnknown where nobody knows.
        """
        store = self.secrets
        await self._record.tell([f"store {name} in {store.name}: {what}"], None)
        await store.put(name, secret)
        if await store.get(name) != secret:
            raise ActionFailed(
                f"{store.name} does not give back {name} as it was stored", "look at it with another tool"
            )

    async def claim(self, name: str, secret: Secret, what: str) -> Secret | None:
        """Record that an entry will be stored where there is none. What is kept then, whoever stored it."""
        store = self.secrets
        await self._record.tell([f"store {name} in {store.name} where there is none: {what}"], None)
        return await store.claim(name, secret)

    async def forget(self, name: str, what: str) -> None:
        """Record that an entry will be removed, and remove it; none is as good."""
        store = self.secrets
        await self._record.tell([f"remove {name} from {store.name}: {what}"], None)
        await store.delete(name)

    # ---- beyond the server ----------------------------------------------------------------------

    def enclosure(self, kind: Kind, base: Path, *, closed: bool) -> AbstractAsyncContextManager[Enclosure]:
        """A private directory below `base` for a restored server; all that is done in it is recorded before.

        Raises Refused where it is to be closed to the network and cannot be.
        """
        return enclosure(kind, base, self._record.tell, closed=closed)

    async def save(self, path: Path, text: str, what: str) -> None:
        """Record that a file will be written, and write it as a whole, with its folder where there is none.

        Raises ActionFailed where it was not written.
        """
        await self._record.tell([f"write {path}: {what}"], files.SECONDS)
        await files.save(path, text)

    async def run_tool(self, call: programs.Call, what: str) -> programs.Heard:
        """Record that a program will be run as ourselves, and run it. Raises ActionFailed if not run."""
        await self._record.tell([f"run {shlex.join(call.argv)}: {what}"], call.seconds)
        return await programs.hear(call)

    async def on_disk(self, what: str, work: Callable[[], T]) -> T:
        """Record what will be done to files of this machine, and do it, off the loop. Raises what it does."""
        await self._record.tell([what], None)
        return await asyncio.to_thread(work)

    @asynccontextmanager
    async def reading_as(self, login: Login) -> AsyncIterator[Engine]:
        """The reads of the target with another login: what a backup's own login sees."""
        async with open_engine(msgspec.structs.replace(self.engine.target, monitor=login)) as engine:
            yield engine

    async def write_file(self, path: Path, change: files.Change, what: str) -> None:
        """Record that a file will be changed, and change it: `change` gets its text, or None, and gives the
        new one. `what` says what it is about; no text is in a row.

        Raises ActionFailed where the file is as it was, what `change` raises, and OutcomeUnknown.
        """
        await self._record.tell([f"write {path}: {what}"], files.SECONDS)
        await files.rewrite_file(path, change)

    async def run_command(
        self, argv: Sequence[str], *, stdin: Secret | None, seconds: float, what: str
    ) -> process.Ended:
        """Record that a program will be run, and run it. Raises ActionFailed where it was not."""
        await self._record.tell([f"run {shlex.join(argv)}: {what}"], seconds)
        return await process.run_program(argv, stdin=stdin, seconds=seconds)

    async def reload(self, admin: PoolerAdmin, what: str) -> None:
        """Record that PgBouncer will be told to read its files anew, and tell it. Raises as the pooler's."""
        await self._record.tell([f"RELOAD of PgBouncer at {admin.way.address}: {what}"], READ_SECONDS)
        await pooler.reload_pooler(admin)

    def abandon(self) -> None:
        """Wait for no answer any more: what runs ends as unknown, and is looked for on the server."""
        self._connection.abandon()

    async def cancel(self) -> bool:
        """Ask the server to end what this connection runs; False when nobody could be asked."""
        return await self._connection.cancel()

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[Operator]:
        """The same on a connection of its own, for work side by side. Raises Unreachable."""
        async with self._another() as connection:
            ways = (self._another, self._store)
            other = Operator(connection, self._record, self.engine, self.watch, ways)
            other.evidence = self.evidence
            yield other


def steps_of(bodies: Iterable[Mapping[str, object]]) -> list[Step] | None:
    """The steps of one action from their rows, oldest first; None where they do not name their subjects."""
    rows = list(bodies)
    answers = [row.get("before") for row in rows[1:]]
    found = []
    for row, answer in zip(rows, [*answers, None], strict=True):
        subject = row.get("subject")
        if not isinstance(subject, int):
            return None
        found.append(Step(subject=subject, answer=None if answer is None else str(answer)))
    return found


class Ground(NamedTuple):
    """What a proof is made on. `store` None: there is none here."""

    engine: Engine
    store: SecretStore | None


async def proof(
    action: Action[Any], plan: Plan, on: Ground, steps: Sequence[Step] | None, *, patience: float
) -> Verdict:
    """What the action says of its effect; `steps` None where nobody knows whom they went to."""
    if isinstance(action, Keeping):
        return await action.verify_kept(plan, on.engine, on.store, patience=patience)
    if steps is not None and isinstance(action, Stepwise):
        return await action.verify_steps(plan, on.engine, steps, patience=patience)
    return await action.verify(plan, on.engine, patience=patience)
