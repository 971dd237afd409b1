"""Runs of runbooks as a screen works with them: one that this console runs, and one that it follows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from console.audit.record import Kind
from console.dispatch.action import Advance, Watch
from console.engine.open import whoami
from console.errors import DbdeckError
from console.present.advance import told
from console.present.units import clean
from console.runbook.events import Event, HandedOver, Remarked, Resumed
from console.runbook.history import (
    FOLLOW_SECONDS,
    Recalled,
    Recorded,
    approvals,
    documents_of,
    recall,
    remarks,
)
from console.runbook.holding import holder_of, remark
from console.runbook.runner import Answer, Runner
from console.runbook.state import APPROVAL, Run, advance

if TYPE_CHECKING:
    from console.audit.ledger import Ledger
    from console.dispatch.dispatcher import Dispatcher
    from console.model.target import Target
    from console.runbook.document import Document
    from console.runbook.steps import Ask

HOLDER_SECONDS: Final = 3.0
REMARK_SECONDS: Final = 3.0


class SeenRun:
    """A run with all that happened in it. `changed` is called after anything that a screen shows of it."""

    live = False

    def __init__(self, run: Run, events: list[Recorded]) -> None:
        self.run = run
        self.events = events
        self.documents: dict[str, Document] = documents_of(run.started)
        self.asked: Ask | None = None
        self.said = ""
        self.problem: DbdeckError | None = None
        self.changed: Callable[[], None] = _nobody_looks

    @property
    def id(self) -> UUID:
        return UUID(self.run.started.run)

    @property
    def over(self) -> bool:
        return self.run.ended is not None

    @property
    def runner(self) -> str:
        """Who went on with it last, as the ledger tells."""
        by = self.run.started.by
        for one in self.events:
            by = one.event.by if isinstance(one.event, Resumed) else by
        return by

    @property
    def handed_to(self) -> str:
        """To whom it was handed over; empty once somebody went on with it."""
        to = ""
        for one in self.events:
            if isinstance(one.event, HandedOver):
                to = one.event.to
            elif isinstance(one.event, Resumed):
                to = ""
        return to

    @property
    def state(self) -> str:
        raise NotImplementedError

    async def remark(self, text: str) -> None:
        """A note beside the steps. Raises AuditUnavailable."""
        raise NotImplementedError


def _nobody_looks() -> None:
    """No screen shows it."""


class LiveRun(SeenRun):
    """A run of this console. It goes on without a screen; what it asks waits until somebody answers."""

    live = True

    def __init__(self, first: Event, run: Run | None, events: list[Recorded], seconds: float) -> None:
        """`run` and `events` are what the ledger has of it, None for a new one; `seconds` how long what comes
        of an action is watched.
        """
        super().__init__(run or advance(None, first), list(events))
        self.watch = Watch(seconds=seconds, tell=self.tell, advance=self.advance)
        self.begun = asyncio.Event()
        self.finished = False
        self.looked: dict[str, str] = {}
        self._first = first
        self._runner: Runner | None = None
        self._answer: asyncio.Future[Answer | None] | None = None

    async def go(self, held: AbstractAsyncContextManager[Runner]) -> None:
        """Until it ends or is left. Raises what keeps it from beginning; later troubles are its `problem`."""
        try:
            async with held as runner:
                self._runner = runner
                async for event in runner.events(self._first):
                    self._add(event, runner.run)
                    if not self.begun.is_set():
                        self.begun.set()
                        self._watching = asyncio.create_task(self._hear_remarks(runner))
        except DbdeckError as error:
            if not self.begun.is_set():
                raise
            self.problem = error
        finally:
            self.finished = True
            self._stop_hearing()
            self.changed()

    _watching: asyncio.Task[None] | None = None

    def _stop_hearing(self) -> None:
        if self._watching is not None:
            self._watching.cancel()

    async def _hear_remarks(self, runner: Runner) -> None:
        """What others record beside its runner: notes, and approvals, after which it is looked at anew."""
        while True:
            await asyncio.sleep(REMARK_SECONDS)
            try:
                found = await remarks(runner.ledger, self.id)
                approved = await approvals(runner.ledger, self.id) if self._wants_approval else 0
            except DbdeckError:
                continue
            if approved > len(self.run.approvers) and self._answer is not None and not self._answer.done():
                self._answer.set_result(None)
            known = {(one.event.by, one.event.text) for one in self.events if isinstance(one.event, Remarked)}
            new = [one for one in found if (_remarked(one.event)) not in known]
            if new:
                self.events += new
                self.changed()

    @property
    def _wants_approval(self) -> bool:
        return self.asked is not None and self.asked.question == APPROVAL

    def _add(self, event: Event, run: Run) -> None:
        self.run = run
        number = self.events[-1].id + 1 if self.events else 1
        self.events.append(Recorded(id=number, at=datetime.now(UTC), event=event))
        self.said = ""
        self.changed()

    @property
    def has_begun(self) -> bool:
        """Whether the ledger has it."""
        return self._runner is not None and self._runner.has_begun

    @property
    def state(self) -> str:
        if self.run.ended is not None:
            return f"ended: {self.run.ended.result.replace('_', ' ')}"
        if self.asked is not None:
            return "waits for you"
        if not self.finished:
            return "stopping" if self.watch.stop.is_set() else "running"
        if self._runner is not None and self._runner.handed_over:
            return f"handed over to {self.handed_to}"
        return "stopped, not ended"

    # ---- what the runner asks and tells ----------------------------------------------------------

    async def decide(self, ask: Ask) -> Answer | None:
        self.asked = ask
        self._answer = asyncio.get_running_loop().create_future()
        self.changed()
        try:
            return await self._answer
        finally:
            self.asked = self._answer = None
            self.changed()

    def look(self, key: str, seen: str) -> None:
        self.looked[key] = seen
        self.changed()

    def tell(self, text: str) -> None:
        self.said = clean(text, 300)
        self.changed()

    def advance(self, seen: Advance) -> None:
        self.tell(told(seen))

    # ---- what a person does ----------------------------------------------------------------------

    def answer(self, ask: Ask, decision: str, text: str) -> bool:
        """False where that is not asked any more."""
        if self._answer is None or self._answer.done() or ask is not self.asked:
            return False
        self._answer.set_result(Answer(decision=decision, text=text))
        return True

    def stop(self) -> None:
        self.watch.stop.ask("a key-press")
        self.changed()

    async def remark(self, text: str) -> None:
        if self._runner is None or self.finished:
            raise RuntimeError("nobody runs it here any more")
        self._add(await self._runner.remark(text), self._runner.run)

    async def hand_over(self, to: str, text: str) -> None:
        """Raises AuditUnavailable, RunFault: it stays here then."""
        if self._runner is None:
            raise RuntimeError("it has not begun")
        self._add(await self._runner.hand_over(to, text), self._runner.run)


def _remarked(event: Any) -> tuple[str, str]:
    return event.by, event.text


class FollowedRun(SeenRun):
    """A run that somebody else runs, or nobody: what the ledger says of it, and who holds it."""

    def __init__(self, recalled: Recalled, ledger: Ledger) -> None:
        super().__init__(recalled.run, list(recalled.events))
        self._ledger = ledger
        self.holder: str | None = ""  # "" is not known yet, None is nobody
        self._only_here = False

    async def follow(self, dispatcher: Dispatcher, target: Target) -> None:
        """Until it has ended, and then on for notes; a ledger or a server that fails is asked again."""
        looked = 0.0
        self._only_here = target.read_only  # then its lock holds on this machine only
        while True:
            before = (self.holder, self.problem, len(self.events))
            try:
                if not self.over and time.monotonic() - looked >= HOLDER_SECONDS:
                    self.holder = await self._held(dispatcher, target)
                    looked = time.monotonic()
                await self._again()
                self.problem = None
            except DbdeckError as error:
                self.problem = error
            if before != (self.holder, self.problem, len(self.events)):
                self.changed()
            await asyncio.sleep(HOLDER_SECONDS if self.over else FOLLOW_SECONDS)

    async def _held(self, dispatcher: Dispatcher, target: Target) -> str | None:
        """While the target does not answer it is not known who holds it."""
        try:
            return await holder_of(dispatcher, target, self.id)
        except DbdeckError:
            return ""

    async def _again(self) -> None:
        """All of it only where there is something new."""
        newest = await self._ledger.entries(limit=1, action_id=self.id, kinds=(Kind.RUN,))
        if newest and self.events and newest[0].id <= self.events[-1].id:
            return
        recalled = await recall(self._ledger, self.id)
        self.run, self.events = recalled.run, list(recalled.events)

    @property
    def free(self) -> bool:
        """Nobody runs it, so that it can be gone on with."""
        return self.holder is None and not self.over

    @property
    def state(self) -> str:
        if self.run.ended is not None:
            return f"ended: {self.run.ended.result.replace('_', ' ')}"
        if self.holder:
            return f"run by {self.runner}"
        if self.holder is not None:
            return "not ended"
        if self.handed_to:
            return f"handed over to {self.handed_to}"
        return "nobody on this machine runs it" if self._only_here else "nobody runs it"

    async def remark(self, text: str) -> None:
        await remark(self._ledger, self.id, text, whoami())
        await self._again()
        self.changed()
