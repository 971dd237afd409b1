"""Runs a runbook: each event is a row of the ledger before anything follows from it.

Effects go through the dispatcher, with the run as their parent and a key of their own, so that no attempt
can be made twice by anybody. Reads go through the engine with the monitor's login. The runner yields what
happened and asks by a callable; who looks on, a command or a screen, decides how that is shown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

import msgspec

from console.audit.ledger import Ledger
from console.audit.record import Kind
from console.engine.open import whoami
from console.engine.port import Engine
from console.errors import PrivilegeMissing, Stale, UsageError
from console.model.target import ServerIdentity, Target
from console.runbook.document import ActionStep, Document
from console.runbook.doing import Doing, Ground
from console.runbook.events import (
    AFTERWARDS,
    Decided,
    Ended,
    Event,
    HandedOver,
    Observed,
    Remarked,
    Resumed,
    Started,
)
from console.runbook.expression import condition
from console.runbook.functions import seconds_of
from console.runbook.history import body_of, recall
from console.runbook.loader import Library
from console.runbook.params import supports, typed
from console.runbook.state import APPROVAL, Run, Seen, advance, code_of
from console.runbook.steps import Ask, Do, Finish, Next, Record, Settle, next_step

_STOPPED: Final = 130
T = TypeVar("T")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said to a question: one of its choices, and the text that goes with it."""

    decision: str
    text: str = ""
    by: str = ""


# None: nobody answers now, so the run waits in the ledger.
Decide = Callable[[Ask], Awaitable[Answer | None]]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants a run, and why."""

    reason: str
    ticket: str = ""
    by: str = ""


class Runner:
    """One run, from its beginning or from where it stands, until it ends, waits for somebody or is left.

    It is left when its watch is told to stop, or when it was handed over: an action under way is finished
    first, a read is given up and made again by who goes on. `waiting` is the question nobody answered. Its
    caller holds the run's locks.
    """

    def __init__(
        self, ground: Ground, decide: Decide, documents: Mapping[str, Document], order: Order, run: Run | None
    ) -> None:
        self._ground = ground
        self._decide = decide
        self._documents = documents
        self._order = order
        self._doing = Doing(ground)
        self._run = run
        self._recorded = time.monotonic()
        self._recording = asyncio.Lock()
        self._given_away = asyncio.Event()
        self.waiting: Ask | None = None
        self.interrupted = False

    @property
    def run(self) -> Run:
        if self._run is None:
            raise RuntimeError("the run has not started")
        return self._run

    @property
    def has_begun(self) -> bool:
        """Whether the ledger has it."""
        return self._run is not None

    @property
    def id(self) -> UUID:
        return UUID(self.run.started.run)

    @property
    def code(self) -> int:
        """The exit code of what became of it so far (docs/cli.md)."""
        if self.run.ended is not None:
            return code_of(self.run.ended.result, self.run)
        if self.run.unsettled:
            return 9
        if any(one.action_id for one in self.run.steps.values()):
            return 8  # an intent was written, so nothing below may be said
        if self.waiting is None:
            return _STOPPED
        return {"approval": 4, "branch": 6, "when": 6, "unknown": 6}.get(self.waiting.question, 2)

    @property
    def ledger(self) -> Ledger:
        return self._ground.ledger

    @property
    def handed_over(self) -> bool:
        """Somebody else goes on with it: nothing more is begun here."""
        return self._given_away.is_set()

    async def events(self, first: Event) -> AsyncIterator[Event]:
        """What happens, as it happens. Raises AuditUnavailable where nothing more can be recorded."""
        yield await self.record(first)
        while self._goes_on:
            async for event in self._next(next_step(self._documents, self.run)):
                yield event
            self.interrupted = self._ground.watch.stop.is_set()

    @property
    def _goes_on(self) -> bool:
        left = self.interrupted or self.handed_over
        return not left and self.waiting is None and self.run.ended is None

    async def hand_over(self, to: str, text: str) -> Event:
        """Somebody else is to go on with the run; after the step under way nothing more is done here.

        Raises AuditUnavailable where that cannot be recorded, RunFault where it has ended: it stays here.
        """
        event = await self.record(HandedOver(by=self._order.by, to=to, text=text))
        self._given_away.set()
        return event

    async def remark(self, text: str) -> Event:
        """A note beside the steps. Raises AuditUnavailable: it is not recorded then."""
        return await self.record(Remarked(by=self._order.by, text=text))

    @property
    def _is_left(self) -> bool:
        return self._ground.watch.stop.is_set() or self.handed_over

    async def _unless_left(self, doing: Awaitable[T]) -> T | None:
        """What it gives, or None where the run was left before: what it was at is given up."""
        tasks = [
            asyncio.ensure_future(one)
            for one in (doing, self._ground.watch.stop.wait(), self._given_away.wait())
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return tasks[0].result() if tasks[0].done() else None  # type: ignore[return-value]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _next(self, due: Next) -> AsyncIterator[Event]:
        match due:
            case Record(event=event):
                yield await self.record(event)
            case Ask(question="approval") if await self._caught_up():
                return
            case Ask():
                answered = await self._asked(due)
                if answered is not None:
                    yield await self.record(answered)
            case Finish(result=result, text=text):
                yield await self.record(Ended(result=result, text=text))
            case Do() | Settle():
                async for event in self._carried_out(due):
                    yield event

    async def record(self, event: Event) -> Event:
        """In the ledger first, then in the run. Raises AuditUnavailable; RunFault for what cannot follow."""
        async with self._recording:  # notes and a hand-over come while a step is at work
            after = advance(self._run, event)
            run = UUID(after.started.run)
            body = body_of(after.started, event, self._order.by)
            ledger = self._ground.ledger
            add = ledger.append_late if isinstance(event, AFTERWARDS) else ledger.append
            receipt = await add(Kind.RUN, run, body)
            self._run = advance(self._run, event, Seen(at=receipt.at, person=ledger.own_person))
            self._recorded = time.monotonic()
        return event

    async def _caught_up(self) -> bool:
        """Whether others added to the run meanwhile: they approve from where they are."""
        try:
            recalled = await recall(self._ground.ledger, self.id)
        except PrivilegeMissing:
            return False  # a login that may only write knows no more than what it wrote
        more = recalled.run.events > self.run.events
        self._run = recalled.run if more else self.run
        return more

    async def _asked(self, ask: Ask) -> Decided | None:
        answer = await self._unless_left(self._decide(ask))
        if answer is None and self._is_left:
            return None  # not for want of an answer
        if answer is None or not is_answer(ask, answer):
            self.waiting = ask
            return None
        by = answer.by or self._order.by
        if ask.question == APPROVAL and (self._ground.ledger.own_person or by) == self.run.requester:
            self.waiting = ask  # it would not count, and be asked for ever
            return None
        return Decided(step=ask.key, question=ask.question, decision=answer.decision, by=by, text=answer.text)

    async def _carried_out(self, due: Do | Settle) -> AsyncIterator[Event]:
        if isinstance(due, Settle):
            yield await self.record(await self._doing.settle(due, self.id))
            return
        if self._is_over():
            over = f"the {self._top.limits.timeout} of the run are over; {due.key} was not begun"
            yield await self.record(Ended(result="failed", text=over))
            return
        await self._unless_left(asyncio.sleep(due.pause))
        if self._is_left:
            return
        if isinstance(due.step, ActionStep):
            async for event in self._acted(due):
                yield event
            return
        yield await self.record(self._doing.begun(due))
        seen = await self._unless_left(self._doing.observe(due))
        if seen is not None:
            yield await self.record(seen)

    def _is_over(self) -> bool:
        """By the ledger's clock, over all its runners. What is being taken back still is."""
        spent = self.run.seconds + (time.monotonic() - self._recorded if self.run.began else 0.0)
        return not self.run.rolling_back and spent >= seconds_of(self._top.limits.timeout)

    async def _acted(self, due: Do) -> AsyncIterator[Event]:
        """Planned, approved, recorded, done: in this order, and each only after the one before."""
        ready = await self._doing.ready(due)
        if isinstance(ready, Observed):
            yield await self.record(ready)
            return
        if ready.already is not None:
            yield await self.record(ready.begun)
            yield await self.record(ready.already)
            return
        decided = await self._asked(ready.ask)
        if decided is None:
            return
        yield await self.record(decided)
        if self.run.stopped is not None or self._is_left:
            return
        await self._ground.still_held()
        yield await self.record(ready.begun)
        yield await self.record(await self._doing.act(due, ready, self.id, decided.text))

    @property
    def _top(self) -> Document:
        return self._documents[self.run.started.runbook]


def is_answer(ask: Ask, answer: Answer) -> bool:
    """One of the choices, and where a phrase is to be typed, that phrase."""
    if answer.decision not in ask.choices:
        return False
    return not ask.phrase or answer.decision == "no" or answer.text == ask.phrase


# ---- beginnings --------------------------------------------------------------------------------


async def started(
    library: Library,
    name: str,
    given: Mapping[str, object],
    engine: Engine,
    order: Order,
    *,
    targets: Collection[str] | None = None,
) -> Started:
    """What a run begins with, once everything that speaks against it was looked at; nothing is recorded.
    `targets` are the names of those that are configured.

    Raises UsageError for params or a server that the runbook is not for, Stale where a precondition does not
    hold or is not known.
    """
    loaded = library.with_callees(name)
    document = loaded[name].document
    params = typed(document, given, targets)
    server = await engine.identity()
    for one in loaded.values():
        if not supports(one.document, server.flavor, server.version_num):
            wanted = ", ".join(f"{flavor} {bound}" for flavor, bound in one.document.engines.items())
            raise UsageError(
                f"the runbook {one.id} is for {wanted}, not for {server.label}; nothing was started"
            )
    known = facts(engine.target, server)
    _preconditions(document, {**params, **known})
    return Started(
        run=str(uuid4()),
        runbook=name,
        digest=loaded[name].digest,
        texts={one.id: one.text for one in loaded.values()},
        target=engine.target.name,
        params=params,
        facts=known,
        by=order.by or whoami(),
        reason=order.reason,
        ticket=order.ticket,
    )


def _preconditions(document: Document, names: Mapping[str, Any]) -> None:
    for one in document.preconditions:
        holds = condition(one.holds, names)
        if not holds and one.severity == "block":
            why = "does not hold" if holds is False else "is not known"
            raise Stale(f"{document.id}: {one.message} ({one.holds} {why}); nothing was started")


def facts(target: Target, server: ServerIdentity) -> dict[str, Any]:
    """What expressions know as `target` and `server`."""
    return {
        "target": {
            "name": target.name,
            "environment": str(target.environment),
            "engine": str(target.engine),
            "labels": dict(target.labels),
            "read_only": target.read_only,
            "replicas": len(target.replicas),
        },
        "server": {
            "flavor": server.flavor,
            "version": server.version,
            "version_num": server.version_num,
            "primary": server.primary,
            "database": server.database,
        },
    }


def locks(run: Started, document: Document) -> list[str]:
    """The names of the locks that a run holds: itself, and what its limits say."""
    more = {"target": ["runbooks"], "runbook": [f"runbook:{run.runbook}"], "none": []}
    return [*more[document.limits.lock], f"run:{run.run}"]


def resumed(order: Order) -> Resumed:
    return Resumed(by=order.by or whoami())


def is_for(handed: str, who: str) -> bool:
    """Whether a run that was handed over to one is for another name: the user, or user and host."""
    return handed in (who, who.partition("@")[0])
