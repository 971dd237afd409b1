"""A screen from which runbooks are started and their runs opened."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from textual import work

from console.errors import DbdeckError, Locked
from console.present.table import Tone
from console.present.units import clean
from console.tui.messages import RunbookWanted, RunWanted, Told
from console.tui.screens.acting import ActingScreen

if TYPE_CHECKING:
    from console.present.plan import Said
    from console.runbook.document import Document
    from console.runbook.runner import Order
    from console.tui.runs import LiveRun, SeenRun


class StartingScreen(ActingScreen):
    """Params, plan, start; one dialog at a time."""

    # ---- starting -----------------------------------------------------------------------------------

    def start_refusal(self) -> str:
        """Why no run can be started now, before anything is asked."""
        if self._desk.dispatcher is None:
            return "the audit ledger is not open: nothing can be recorded, so nothing can be started"
        return ""

    def on_runbook_wanted(self, event: RunbookWanted) -> None:
        why = self.start_refusal()
        if why:
            self.post_message(Told(f"{event.name}: {why}", bad=True))
        elif not self._deciding:
            self._deciding = self.asking = True
            self._start_run(event.name, event.given)

    @work(group="runbooks")
    async def _start_run(self, name: str, given: Mapping[str, object]) -> None:
        """Params, plan, start. What goes wrong before the first row of the run ends here, with its reason."""
        try:
            live = await self._started(name, given)
        except Locked as error:
            self._not_started(name, error)
            await self._offer_to_follow(error)
        except DbdeckError as error:
            self._not_started(name, error)
            self._show(f"{name}: nothing was started", _failed(error))
        else:
            if live is None:
                self._not_started(name)
            else:
                await self._opened(live)
        finally:
            self._deciding = self.asking = False

    def _not_started(self, name: str, error: DbdeckError | None = None) -> None:
        why = f": {clean(error.message)}" if error else ""
        self.post_message(Told(f"{name}: nothing was started{why}", bad=error is not None))

    async def _started(self, name: str, given: Mapping[str, object]) -> LiveRun | None:
        from console.engine.open import whoami
        from console.runbook.runner import Order
        from console.tui.screens.run_form import REASON, TICKET, form_of
        from console.tui.screens.run_plan import RunPlanScreen

        runs = self._desk.runs
        document = (await runs.bookcase.library()).get(name).document
        texts = await self.app.push_screen_wait(form_of(document, given, self.target.name))
        if texts is None:
            return None
        order = Order(reason=texts.pop(REASON), ticket=texts.pop(TICKET), by=whoami())
        params = {key: text for key, text in texts.items() if text}
        planning = asyncio.create_task(runs.planned(name, params, order, self._engine))
        try:
            head = _head(document, self.target.name, order)
            begins = await self.app.push_screen_wait(RunPlanScreen(name, head, planning))
        finally:
            planning.cancel()
        if begins is None:
            return None
        return await self._unlocking(partial(runs.begin, begins, order, self._engine))

    async def _offer_to_follow(self, locked: Locked) -> None:
        """The run in the way, where the ledger has one on this target that has not ended."""

        from console.runbook.suggesting import Suggested
        from console.tui.screens.choose_runbook import ChooseRunbook

        try:
            found = [
                one
                for one in await self._desk.runs.recent()
                if one.run.ended is None and one.run.started.target == self.target.name
            ]
        except DbdeckError:
            found = []
        if not found:
            self._show("nothing was started", _failed(locked))
            return
        begins = found[0].run.started
        text = f"{locked.message}. {begins.runbook} of {begins.by} on {begins.target} has not ended."
        offered = [Suggested(runbook=begins.run, text=f"follow {begins.runbook}, by {begins.by}")]
        if await self.app.push_screen_wait(ChooseRunbook(offered, clean(text, 500))) is not None:
            self.on_run_wanted(RunWanted(begins.run))

    # ---- looking at runs --------------------------------------------------------------------------

    def on_run_wanted(self, event: RunWanted) -> None:
        self._open_run(UUID(event.run))

    @work(exclusive=True, group="open-run")
    async def _open_run(self, run: UUID) -> None:
        try:
            await self._opened(await self._desk.runs.seen(run))
        except DbdeckError as error:
            self.post_message(Told(f"the run cannot be shown: {error.message}", bad=True))

    async def _opened(self, seen: SeenRun) -> None:
        from console.tui.screens.run import RunScreen

        if isinstance(self.app.screen, RunScreen):
            return
        try:
            target = self._desk.runs.target_of(seen.run.started)
        except DbdeckError:
            target = None
        screen = RunScreen(self._desk, seen, target, self._taken_over)
        self.app.push_screen(screen, lambda _: self.acted())

    async def _taken_over(self, run: UUID) -> LiveRun:
        return await self._unlocking(partial(self._desk.runs.take_over, run))

    def waiting_runs(self) -> int:
        """How many runs of this console wait for somebody's answer."""
        return sum(one.asked is not None for one in self._desk.runs.live.values())

    def live_runs(self) -> dict[str, str]:
        return {str(one.id): one.state for one in self._desk.runs.live.values()}


def _head(document: Document, target: str, order: Order) -> Said:
    ticket = f", {order.ticket}" if order.ticket else ""
    return [
        (Tone.NOTICE, clean(f"{document.title} ({document.id}) on {target}, risk {document.risk}")),
        (Tone.MUTED, clean(f"{order.by}: {order.reason}{ticket}", 500)),
        (Tone.NORMAL, ""),
    ]


def _failed(error: DbdeckError) -> Said:
    said: Said = [(Tone.BAD, clean(error.message, 2000))]
    return [*said, (Tone.NOTICE, clean(error.hint, 2000))] if error.hint else said
