"""What the screens work with: the engines, the feeds, and the dispatcher once the ledger is open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from console.engine.open import Engines
from console.errors import AuditUnavailable, DbdeckError, PrivilegeMissing
from console.secret_store import SecretStore, of_this_process
from console.secrets import resolve
from console.tui.glass_desk import GlassDesk
from console.tui.jobs import Jobs
from console.tui.ledger_watch import LedgerWatch
from console.tui.run_desk import RunDesk

if TYPE_CHECKING:
    from console.audit.effects import Told
    from console.audit.ledger import Ledger
    from console.audit.record import OpenIntent
    from console.config import Config
    from console.dispatch.action import Watch
    from console.dispatch.dispatcher import Dispatcher
    from console.dispatch.registry import Registry
    from console.engine.port import Engine
    from console.model.backup_board import DrillBoard
    from console.model.overview import Standing
    from console.model.target import Target
    from console.overview import Overview
    from console.tui.run_desk import Shipped

RETRY_SECONDS = 5.0
_LOOKS = 50  # recorded ones that are shown
T = TypeVar("T")


class Desk:
    """Owns every connection of the console; `close` ends them after the running actions."""

    def __init__(self, config: Config, registry: Registry, runbooks: Shipped = tuple) -> None:
        self.config = config
        self.registry = registry
        self.ledger: Ledger | None = None
        self.dispatcher: Dispatcher | None = None
        self.ledger_problem: DbdeckError | None = None
        self._engines = Engines()
        self._stop = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._running: dict[asyncio.Future[Any], Watch] = {}
        self._again = asyncio.Event()
        self._watch: LedgerWatch | None = None
        self.heard: Callable[[], None] = lambda: None  # or not, of the ledger
        self.jobs = Jobs()
        self.runs = RunDesk(self, runbooks)
        self.glass = GlassDesk(self)

    @cached_property
    def overview(self) -> Overview:
        """Asked for only where it is opened."""
        from console.overview import Overview
        from console.present.overview import judge

        return Overview(
            self.config.all_targets(),
            self.engine,
            self._drills,
            judge(self.config.thresholds.storm_waiters, self.config.thresholds.unread_wal),
            every=self.config.thresholds.refresh,
        )

    async def standings(self) -> Sequence[Standing]:
        return await self.overview.look()

    async def engine(self, target: Target) -> Engine:
        return await self._engines.of(target)

    def store(self) -> SecretStore | None:
        return of_this_process()

    # ---- the ledger --------------------------------------------------------------------------

    def keep_ledger(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Open the ledger in the background and try again while it cannot be; reading needs none."""
        self._keeper = asyncio.create_task(self._keep_ledger(changed))

    async def _keep_ledger(self, changed: Callable[[], Awaitable[None]]) -> None:
        while not self._stop.is_set():
            try:
                await self._hold_ledger(changed)
            except DbdeckError as error:
                self.ledger_problem = error
                await changed()
            try:
                async with asyncio.timeout(RETRY_SECONDS):
                    await self._stop.wait()
            except TimeoutError:
                continue

    async def _hold_ledger(self, changed: Callable[[], Awaitable[None]]) -> None:
        from console.audit.ledger import open_ledger
        from console.dispatch.dispatcher import Dispatcher

        audit = self.config.audit
        password = await asyncio.to_thread(resolve, audit.password) if audit.password else None
        async with open_ledger(audit.url, self.config.journal, password=password) as ledger:
            self.ledger, self.ledger_problem = ledger, None
            dispatcher = Dispatcher(
                self.registry,
                ledger,
                self.config.policy,
                store=self.store(),
            )
            self.dispatcher = dispatcher
            await self.glass.end("the ledger answers again")
            self._again.clear()
            self._watch = LedgerWatch(ledger, self.heard)
            watching = asyncio.create_task(self._watch.keep())
            try:
                await changed()
                await self._stopped_or_again()
            finally:
                watching.cancel()
                self._watch = None
                await self._settle()
                await dispatcher.close()
                self.ledger = self.dispatcher = None

    @property
    def silence(self) -> str:
        """Why the ledger that is open cannot be used now; empty while it answers."""
        return self._watch.silence if self._watch is not None else ""

    def heard_ledger(self) -> Ledger:
        """For a view that shows more than the ledger, and does not wait for it. Raises AuditUnavailable."""
        if self.ledger is None:
            raise self.ledger_problem or AuditUnavailable("the audit ledger is not open")
        if self.silence:
            raise AuditUnavailable(self.silence)
        return self.ledger

    async def _stopped_or_again(self) -> None:
        ends = [asyncio.ensure_future(one.wait()) for one in (self._stop, self._again)]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in ends:
                one.cancel()

    def reopen(self) -> None:
        """The ledger is opened anew: it did not answer. What it records still is finished first."""
        self._again.set()

    def acts(self) -> Dispatcher:
        """What runs an action now: without the ledger's table while the glass is broken.

        Raises AuditUnavailable while nothing can be recorded.
        """
        return self.glass.dispatcher or self.acting()

    @property
    def can_act(self) -> bool:
        return self.dispatcher is not None or self.glass.dispatcher is not None

    def acting(self) -> Dispatcher:
        """Raises AuditUnavailable while nothing can be recorded."""
        if self.dispatcher is None:
            problem = self.ledger_problem
            told = problem.message if problem else "the ledger is still being opened"
            raise AuditUnavailable(f"{told}; nothing was executed", problem.hint if problem else "")
        return self.dispatcher

    async def unsettled(self) -> list[OpenIntent]:
        """Intents whose end is not known and which nobody is at work on."""

        from console.dispatch.dispatcher import running

        if self.ledger is None:
            return []
        return [intent for intent in await self.ledger.open_intents() if not running(intent)]

    async def left_of_glass(self) -> list[str]:
        """What of break-glass is not merged, or not reviewed, in lines; what this login may not see is left
        out.
        """

        from console.audit.brackets import unreviewed
        from console.present.audit import bracket, unmerged_line

        ledger = self.ledger  # it may be closed meanwhile
        if ledger is None:
            return []
        said = [unmerged_line(one) for one in await ledger.unmerged() if not one.alive]
        try:
            found = unreviewed(await ledger.brackets())
        except PrivilegeMissing:
            return said
        return [*said, *(" ".join(bracket(one)) for one in found)]

    async def actions_of(self, target: Target, rotations: Collection[str]) -> Mapping[str, str]:
        """What `--resume` takes, by rotation; nothing where the ledger does not tell."""

        from console.dispatch.history import actions_of

        try:
            return await actions_of(self.heard_ledger(), target.name, rotations)
        except DbdeckError:
            return {}

    async def looks(self, target: Target) -> Sequence[Told]:
        """What recorded looks at a target found. Raises AuditUnavailable where no ledger is open."""

        from console.audit.effects import told

        if self.ledger is None:
            raise self.ledger_problem or AuditUnavailable("the audit ledger is not open")
        return await told(self.ledger, target.name, _LOOKS)

    async def past_drills(self) -> Sequence[dict[str, Any]]:
        """How drills ended. Raises AuditUnavailable where no ledger is open."""

        from console.backups.board import DRILL
        from console.dispatch.history import evidence

        return await evidence(self.heard_ledger(), DRILL)

    async def _drills(self, target: Target) -> DrillBoard:
        from console.backups.board import read_drills

        return await read_drills(target, self.config.drills.targets, self.past_drills)

    # ---- actions -----------------------------------------------------------------------------

    def start(self, action: Awaitable[T], watch: Watch) -> asyncio.Future[T]:
        """Run an action, or a runbook, apart from any screen: what is under way is finished and recorded even
        when the console ends.
        """
        task = asyncio.ensure_future(action)
        self._running[task] = watch
        self.glass.track(task)
        task.add_done_callback(lambda done: self._running.pop(done, None))
        return task

    def stop_actions(self, by: str) -> int:
        """No running action begins a further step or watches on; how many there are."""
        for watch in self._running.values():
            watch.stop.ask(by)
        return len(self._running)

    @property
    def busy(self) -> bool:
        return bool(self._running)

    async def _settle(self) -> None:
        if self._running:
            await asyncio.gather(*self._running, return_exceptions=True)

    async def close(self) -> None:
        self.stop_actions("leaving the console")
        await self.glass.end("the console was left")
        await self._settle()
        if "overview" in self.__dict__:
            await self.overview.aclose()
        self._stop.set()
        # Side by side: a server that hangs takes its time for each connection that is left.
        keeper = [self._keeper] if self._keeper is not None else []
        ended, *_ = await asyncio.gather(self._engines.aclose(), *keeper, return_exceptions=True)
        if ended is not None:
            raise ended
