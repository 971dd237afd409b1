"""Where the console's runs of runbooks are made, kept and found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from console.errors import DbdeckError
from console.model.jobs import JobState

if TYPE_CHECKING:
    from console.dispatch.action import Risk
    from console.engine.port import Engine
    from console.model.target import Target
    from console.runbook.events import Event, Started
    from console.runbook.history import Recalled, Recent, Recorded
    from console.runbook.holding import Ways
    from console.runbook.outline import Line
    from console.runbook.runner import Order
    from console.runbook.state import Run
    from console.tui.bookcase import Bookcase
    from console.tui.desk import Desk
    from console.tui.runs import LiveRun, SeenRun

MOMENT_SECONDS = 1.0
Shipped = Callable[[], Iterable[tuple[str, str]]]


class RunDesk:
    """Runs go on without a screen; `live` are those of this console that have not come to a halt."""

    def __init__(self, desk: Desk, shipped: Shipped) -> None:
        self._shipped = shipped
        self.live: dict[UUID, LiveRun] = {}
        self._desk = desk
        self._recent: Recent | None = None
        self._asked: asyncio.Task[list[Recalled]] | None = None
        self.left: set[UUID] = set()
        self._job: dict[UUID, int] = {}

    @cached_property
    def bookcase(self) -> Bookcase:
        from console.tui.bookcase import Bookcase

        folders = [Path(one).expanduser() for one in self._desk.config.runbooks.folders]
        return Bookcase(folders, self._shipped, self._desk.registry)

    async def recent(self) -> list[Recalled]:
        """The newest runs of the ledger. Raises AuditUnavailable, PrivilegeMissing."""

        from console.present.runbooks import MOST_RUNS
        from console.runbook.history import Recent

        if self._desk.ledger is None:
            self._desk.acting()
            return []
        self._recent = self._recent or Recent()
        return await self._recent.read(self._desk.ledger, MOST_RUNS)

    async def lately(self) -> list[Recalled] | None:
        """The same for a view that has more to show; None where the ledger does not tell in a moment.

        What was asked is not given up: the next look takes its answer.
        """
        asked = self._asked
        if asked is None:
            if self._desk.silence:
                return None
            asked = self._asked = asyncio.create_task(self.recent())
            asked.add_done_callback(lambda done: done.cancelled() or done.exception())
        done, _ = await asyncio.wait({asked}, timeout=MOMENT_SECONDS)
        if not done:
            return None
        if self._asked is asked:
            self._asked = None
        try:
            return asked.result()
        except DbdeckError:
            return None

    async def planned(
        self, name: str, params: Mapping[str, object], order: Order, engine: Engine
    ) -> tuple[Started, list[Line]]:
        """What a run would begin with, and its whole tree; reads only.

        Raises what speaks against it: UsageError, ConfigError, Stale, Unreachable, AuditUnavailable.
        """

        from console.dispatch.foresight import denial
        from console.present.reads import READS
        from console.runbook.history import documents_of
        from console.runbook.outline import outline
        from console.runbook.reading import Reading
        from console.runbook.runner import started

        dispatcher = self._desk.acting()
        library = await self.bookcase.library()
        await asyncio.to_thread(self.bookcase.must_be_sound, name)
        names = [target.name for target in self._desk.config.all_targets()]
        begins = await started(library, name, params, engine, order, targets=names)

        async def planner(action: str, given: Mapping[str, Any]) -> Any:
            return await dispatcher.plan(action, engine, given)

        def ruled(action: str, risk: Risk | None) -> str:
            known = self._desk.registry.get(action)
            return denial(self._desk.config.policy, engine.target, known, risk)

        lines = await outline(Reading(engine, READS), planner, documents_of(begins), begins, ruled)
        return begins, lines

    async def begin(self, begins: Started, order: Order, engine: Engine) -> LiveRun:
        """A run that was planned, once it is recorded.

        Raises Locked, AuditUnavailable, Unreachable, VaultLocked: nothing was started then.
        """

        from console.runbook.holding import beginning

        live, ways = self._made(begins, None, (), engine)
        return await self._under_way(live, beginning(ways, begins, order))

    async def take_over(self, run: UUID) -> LiveRun:
        """A run that stands in the ledger and that nobody runs. Raises Locked where somebody does, UsageError
        where it is not there or its target is no target of the config, and what `begin` raises.
        """

        from console.engine.open import whoami
        from console.runbook.history import recall
        from console.runbook.holding import going_on
        from console.runbook.runner import Order, resumed

        recalled = await recall(self._desk.acting().ledger, run)
        begins = recalled.run.started
        order = Order(reason=begins.reason, ticket=begins.ticket, by=whoami())
        engine = await self._desk.engine(self.target_of(begins))
        live, ways = self._made(resumed(order), recalled.run, recalled.events, engine)
        return await self._under_way(live, going_on(ways, run, order))

    def target_of(self, begins: Started) -> Target:
        """Raises UsageError for a target that the config does not know."""
        return self._desk.config.target(begins.target)

    async def seen(self, run: UUID) -> SeenRun:
        """A run as a screen shows it. Raises UsageError, AuditUnavailable, ConfigError."""

        from console.runbook.history import recall
        from console.tui.runs import FollowedRun

        if run in self.live:
            return self.live[run]
        ledger = self._desk.acting().ledger
        return FollowedRun(await recall(ledger, run), ledger)

    def _made(
        self, first: Event, run: Run | None, events: Sequence[Recorded], engine: Engine
    ) -> tuple[LiveRun, Ways]:
        from console.present.reads import READS
        from console.runbook.holding import Ways
        from console.tui.runs import LiveRun

        live = LiveRun(first, run, list(events), self._desk.config.thresholds.watch)
        ways = Ways(
            dispatcher=self._desk.acting(), engine=engine, reads=READS, decide=live.decide, watch=live.watch,
            targets=self._desk.config.target, looked=live.look,
        )  # fmt: skip
        return live, ways

    async def _under_way(self, live: LiveRun, held: Any) -> LiveRun:
        task = self._desk.start(live.go(held), live.watch)
        self.live[live.id] = live
        begins = live.run.started
        self._job[live.id] = self._desk.jobs.begin(begins.runbook, begins.target, run=begins.run)
        self.left.discard(live.id)
        task.add_done_callback(lambda done: self._halted(live, done))
        begun = asyncio.create_task(live.begun.wait())
        either: list[asyncio.Future[Any]] = [task, begun]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        if not live.begun.is_set():
            task.result()
        return live

    def _halted(self, live: LiveRun, done: asyncio.Future[None]) -> None:
        """It is in the ledger: from now on it is looked at like any other."""
        self.live.pop(live.id, None)
        error = None if done.cancelled() else done.exception()
        self._desk.jobs.end(self._job.pop(live.id, 0), _state_of(live, error), live.state)
        if error is not None and live.begun.is_set():
            why = (
                f"the run broke off by a fault of dbdeck ({type(error).__name__}); what was begun is recorded"
            )
            live.problem = DbdeckError(why, "r looks at it, and goes on")
            live.changed()
        if not live.over and live.has_begun:
            self.left.add(live.id)


def _state_of(live: LiveRun, error: BaseException | None) -> JobState:
    result = live.run.ended.result if live.run.ended is not None else ""
    if error is not None or result == "unknown":
        return JobState.UNKNOWN
    return JobState.DONE if result == "ok" else JobState.NOT_DONE
