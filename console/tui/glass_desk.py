"""The console without the ledger's table: a glass that was broken, for one target and a few minutes."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from console.errors import AuditUnavailable, DbdeckError
from console.secrets import resolve

if TYPE_CHECKING:
    from console.audit.glass import GlassLedger, Terms
    from console.dispatch.dispatcher import Broken, Dispatcher
    from console.model.policy import BreakGlass
    from console.model.target import Target
    from console.tui.desk import Desk

LOOK_SECONDS = 0.5


class GlassDesk:
    """One at a time. What was begun when it ends is finished and recorded; nothing new begins."""

    def __init__(self, desk: Desk) -> None:
        self.dispatcher: Dispatcher | None = None
        self.target = ""
        self.told = ""  # how the last one ended
        self.changed: Callable[[], None] = lambda: None
        self._desk = desk
        self._ledger: GlassLedger | None = None
        self._end = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._running: set[asyncio.Future[Any]] = set()

    def allowed(self, target: Target) -> BreakGlass:
        """Raises Refused where the policy lets nobody, or somebody else."""

        from console.dispatch.person import person
        from console.dispatch.policy import may_break_glass

        return may_break_glass(self._desk.config.policy, target, person())

    @property
    def left(self) -> float | None:
        """Seconds; None while the glass is whole."""
        return self._ledger.window.left if self._ledger is not None else None

    async def open(self, target: Target, reason: str, minutes: int) -> None:
        """Raises Refused, AuditUnavailable: then the glass is whole, and nothing was executed."""

        from console.dispatch.breaking import terms
        from console.dispatch.dispatcher import Broken

        by = self.allowed(target)
        await self.end("a new one is begun")
        self._desk.reopen()
        opened = asyncio.get_running_loop().create_future()
        what = terms(by, target, reason, minutes)
        self._keeper = asyncio.create_task(self._keep(what, Broken(target=target.name, by=by), opened))
        await opened

    def track(self, action: asyncio.Future[Any]) -> None:
        """An action that this glass records: its journal stays open until it has ended."""
        if self.dispatcher is not None:
            self._running.add(action)
            action.add_done_callback(self._running.discard)

    async def end(self, why: str) -> None:
        """Until it is over and its last row is written."""
        if self._keeper is not None:
            self.told = why
            self._end.set()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def _keep(self, what: Terms, broken: Broken, opened: asyncio.Future[None]) -> None:
        from console.audit.glass import open_glass

        audit = self._desk.config.audit
        self._end.clear()
        self.told = "its time is over"
        try:
            password = await asyncio.to_thread(resolve, audit.password) if audit.password else None
            journal, syslogs = self._desk.config.journal, audit.checkpoints.syslogs
            async with open_glass(audit.url, journal, what, password=password, syslogs=syslogs) as ledger:
                await self._hold(ledger, broken, opened)
            for address, (number, reason) in ledger.receipts.lost.items():
                self.told += f"; {number} receipts of its rows are not known to be in {address}: {reason}"
        except DbdeckError as error:
            if not opened.done():
                opened.set_exception(error)
        finally:
            if not opened.done():  # an error that is none of ours; nobody waits for ever
                opened.set_exception(_not_begun(sys.exception()))
            self._keeper = None
            self.changed()

    async def _hold(self, ledger: GlassLedger, broken: Broken, opened: asyncio.Future[None]) -> None:
        from console.dispatch.dispatcher import Dispatcher

        if opened.done():
            return  # nobody waits for it any more: it ends as it was begun
        desk = self._desk
        self._ledger, self.target = ledger, broken.target
        dispatcher = Dispatcher(desk.registry, ledger, desk.config.policy, store=desk.store(), glass=broken)
        self.dispatcher = dispatcher
        opened.set_result(None)
        self.changed()
        try:
            while not self._end.is_set() and ledger.window.left > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):  # a wall clock may be set meanwhile
                        await self._end.wait()
        finally:
            ledger.window.close()
            self.dispatcher = self._ledger = None
            self.changed()
            await asyncio.gather(*self._running, return_exceptions=True)
            await dispatcher.close()


def _not_begun(error: BaseException | None) -> AuditUnavailable:
    return AuditUnavailable(
        f"the break-glass did not begin, nothing was executed: {type(error).__name__}: {error}",
        "dbdeck did not expect this error; `dbdeck doctor` looks at the ledger and the journal",
    )
