"""The way from a key-press to a recorded effect: arguments, plan, approval, run, result."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar
from uuid import UUID

from rich.text import Text
from textual import work
from textual.binding import Binding, BindingType
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget

from console.errors import AuditUnavailable, DbdeckError, Exit, VaultLocked
from console.keyrings import current
from console.model.jobs import JobState
from console.model.target import EngineKind, Target
from console.present.units import clean
from console.tui.hints import hint
from console.tui.messages import NO_LEDGER, ActionRequested, Told

if TYPE_CHECKING:
    from console.dispatch.action import Advance, Approval, Plan
    from console.dispatch.effect import Run
    from console.engine.port import Engine
    from console.model.policy import BreakGlass
    from console.present import plan as words
    from console.tui.desk import Desk

T = TypeVar("T")
_FLAVORS = {EngineKind.POSTGRES: {"postgresql"}, EngineKind.MYSQL: {"mysql", "mariadb"}}
_WITHOUT = "Enter unlocks; {unlock.leave} goes on without: nothing is executed that needs it"
_NOTHING = "nothing was executed"
_STATES = {Exit.OK: JobState.DONE, Exit.PARTIAL: JobState.PARTLY, Exit.UNKNOWN: JobState.UNKNOWN}


class ActingScreen(Screen[None]):
    """A screen over one target. Nothing here waits for a server on the way of a key-press."""

    # Textual's would paint all of the screen once more whenever the keys go elsewhere, as with each view.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+x", "stop_action", "Stop the running action after its current step", id="action.stop"),
    ]

    def __init__(self, desk: Desk, target: Target, engine: Engine) -> None:
        super().__init__()
        self._desk = desk
        self.target = target
        self._engine = engine
        self.asking = False
        self._deciding = False

    def refusal(self, action: str) -> str:
        """Why an action cannot run here now, before anything is planned."""
        from console.dispatch.action import Offline
        from console.dispatch.person import person
        from console.dispatch.policy import disabled, ruled_out

        case = (self._desk.config.policy, self.target, action, datetime.now(UTC), person())
        against = disabled(*case)
        if against is not None and isinstance(self._desk.registry.get(action), Offline):
            against = ruled_out(*case)
        if against is not None:
            return against.reason
        return "" if self._desk.can_act else NO_LEDGER

    def catalogue(self) -> list[tuple[str, str]]:
        """Every action that this engine has, by name with what it does and its risk, for the palette."""

        from console.present.actions import risk

        flavors = _FLAVORS[self.target.engine]
        return [
            (action.name, f"{action.summary} (risk {risk(action)})")
            for action in self._desk.registry
            if flavors & set(action.flavors)
        ]

    @property
    def flavor(self) -> str:
        """What the server said that it is; empty until it was asked."""
        return ""

    def acted(self) -> None:
        """An action ended: whatever is shown may have changed."""

    def on_action_requested(self, event: ActionRequested) -> None:
        """One dialog at a time: a second key-press means the first one, or came too late to mean anything."""
        if not self._deciding:
            self._deciding = self.asking = True
            self._act(event)

    @work(group="actions")
    async def _act(self, event: ActionRequested) -> None:
        """Plan, show, ask, run, tell. Whatever goes wrong before the intent ends here, with its reason."""

        from console.present import plan as words
        from console.tui.screens.confirm import failed

        name = event.name
        try:
            if not (self._desk.can_act or await self._without_ledger(name)):
                self._deciding = self.asking = False
                self._not_done(name)
                return
            approved = await self._approved(event)
            run = await self._run(name, *approved) if approved else None
        except AuditUnavailable as error:
            self._not_done(name, error)
            if await self._without_ledger(name, error):
                self.post_message(Told(f"{name}: it can be recorded now; press the key again"))
            return
        except DbdeckError as error:
            self._not_done(name, error)
            self._show(f"{name}: nothing was executed", failed(name, error))
            return
        if run is None:
            return
        said = words.conclude(run)
        self.acted()
        self.post_message(Told(said[0][1], bad=run.exit != 0))
        self._show(name, said)

    async def _without_ledger(self, name: str, error: AuditUnavailable | None = None) -> bool:
        """Whether there is something to record with again, or the glass was broken: a person decides. An
        `error` is that of a ledger that was open, which is then opened anew.
        """

        from console.tui.screens.glass import GlassScreen

        desk = self._desk
        if error is not None:
            desk.reopen()
        problem = error or desk.ledger_problem
        about = (name, self.target.name, problem.message if problem else "it is still being opened")
        try:
            may: BreakGlass | str = desk.glass.allowed(self.target)
        except DbdeckError as refusal:
            may = refusal.message
        chosen = await self.app.push_screen_wait(
            GlassScreen(
                about, may, lambda: desk.dispatcher is not None, partial(desk.glass.open, self.target)
            )
        )
        return chosen != "look"

    def _not_done(self, name: str, error: DbdeckError | None = None) -> None:
        why = clean(error.message) if error else ""
        if _NOTHING not in why:  # most refusals say so themselves
            why = f"{_NOTHING}: {why}" if why else _NOTHING
        self.post_message(Told(f"{name}: {why}", bad=error is not None))

    def _show(self, title: str, said: words.Said) -> None:
        """In full, but never over a dialog that somebody is typing in: the status line has it too."""

        from console.tui.screens.confirm import drawn
        from console.tui.screens.text import TextScreen

        if self.is_active:
            self.app.push_screen(TextScreen(title, drawn(said)))

    async def _approved(self, event: ActionRequested) -> tuple[Plan, Approval] | None:
        """None, and said why, when nothing is to be run."""
        try:
            self._desk.acts()
            given = await self._arguments(event.name, event.arguments) if event.ask else event.arguments
            if given is None:
                self._not_done(event.name)
                return None
            planning = asyncio.create_task(self._planned(event, given))
            return await self._confirmed(event.name, planning)
        finally:
            self._deciding = self.asking = False

    async def _planned(self, event: ActionRequested, given: dict[str, object]) -> Plan:
        """A vault that is locked is unlocked over the dialog that waits for the plan."""

        async def plan() -> Plan:
            dispatcher = self._desk.acts()
            if event.resumes:
                return await dispatcher.resume(UUID(event.resumes), self._engine)
            return await dispatcher.plan(event.name, self._engine, given)

        return await self._unlocking(plan)

    async def _unlocking(self, call: Callable[[], Awaitable[T]]) -> T:
        """The call, once more where it wanted the vault and somebody unlocked it. Nothing was done before:
        who needs a secret asks for it before the intent.
        """
        try:
            return await call()
        except VaultLocked:
            self.post_message(Told("the vault is locked: nothing was executed yet"))
            if not await self.unlocked():
                raise
        return await call()

    async def unlocked(self) -> bool:
        """Ask for the vault's master; whether there is one to unlock, and it was."""

        from console.tui.screens.unlock import UnlockScreen

        pinned = current()
        try:
            if pinned is None or pinned.vault is None or not await asyncio.to_thread(pinned.vault.exists):
                return False
        except DbdeckError:
            return False
        answer: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
        self.app.push_screen(UnlockScreen(pinned.vault, foot=_WITHOUT), answer.set_result)
        return bool(await answer)

    async def _arguments(self, name: str, arguments: dict[str, object]) -> dict[str, object] | None:
        from console.tui.screens.arguments import ArgumentsScreen

        asking = ArgumentsScreen(self._desk.registry.get(name), arguments, self.target.engine, self.flavor)
        return await self.app.push_screen_wait(asking)

    async def _confirmed(self, name: str, planning: asyncio.Task[Plan]) -> tuple[Plan, Approval] | None:
        """The dialog opens at once, and shows the plan when it is made: until then keys go nowhere else."""

        from console.tui.screens.confirm import ConfirmScreen

        try:
            asking = ConfirmScreen(name, planning, self._must_type, self._wants_ticket)
            approval = await self.app.push_screen_wait(asking)
        finally:
            planning.cancel()
        if approval is not None:
            return planning.result(), approval
        error = None if planning.cancelled() or not planning.done() else planning.exception()
        self._not_done(name, error if isinstance(error, DbdeckError) else None)
        return None

    @property
    def _wants_ticket(self) -> str:
        """Which environment does, or nothing."""
        from console.dispatch.policy import wants_ticket

        wants = wants_ticket(self._desk.config.policy, self.target)
        return str(self.target.environment) if wants else ""

    def _must_type(self, plan: Plan) -> str:
        from console.dispatch.policy import must_type_name

        return self.target.name if must_type_name(plan, self.target) else ""

    async def _run(self, name: str, plan: Plan, approval: Approval) -> Run:
        from console.dispatch.action import Watch

        self.post_message(Told(f"{name} is running: recorded, sent, being verified …"))
        job = self._desk.jobs.begin(name, self.target.name)
        telling = _Telling(self, name, job)
        watch = Watch(seconds=self._desk.config.thresholds.watch, tell=telling, advance=telling.advance)

        async def run() -> Run:
            dispatcher = self._desk.acts()
            running = self._desk.start(dispatcher.apply(plan, self._engine, approval, watch=watch), watch)
            running.add_done_callback(partial(self._ended, job))
            ledger = self._desk.ledger
            with ledger.silence.heard_by(telling) if ledger is not None else nullcontext():
                return await asyncio.shield(running)

        try:
            return await self._unlocking(run)
        except DbdeckError as error:  # where it did not even begin; else it has ended already
            self._desk.jobs.end(job, JobState.NOT_DONE, f"nothing was executed: {clean(error.message)}")
            raise

    def _ended(self, job: int, done: asyncio.Future[Run]) -> None:
        """Also where this screen is gone: the result can be read again in the list of jobs."""

        from console.present import plan as words

        jobs = self._desk.jobs
        error = None if done.cancelled() else done.exception()
        if done.cancelled() or error is not None:
            if isinstance(error, VaultLocked):
                return  # nothing was executed: it is asked once more, or ended by who asked
            said = error.message if isinstance(error, DbdeckError) else "broke off; see 9 Audit"
            state = JobState.NOT_DONE if isinstance(error, DbdeckError) else JobState.UNKNOWN
            jobs.end(job, state, clean(said))
            return
        run = done.result()
        told = words.conclude(run)
        jobs.end(job, _STATES.get(run.exit, JobState.NOT_DONE), told[0][1], [line for _, line in told])

    def action_stop_action(self) -> None:
        """No further step is begun; what was begun is finished, verified and recorded."""
        running = self._desk.stop_actions(hint(self, "a key-press ({action.stop})"))
        self.post_message(Told("stopping: no further step is begun" if running else "no action is running"))

    @work(exclusive=True, group="unsettled")
    async def show_unsettled(self) -> None:
        from console.present.audit import open_line
        from console.tui.screens.text import TextScreen

        try:
            found = await self._desk.unsettled()
            glass = await self._desk.left_of_glass()
        except DbdeckError as error:
            self.post_message(Told(error.message, bad=True))
            return
        if glass:
            self._show_glass(glass)
        if not found and glass:
            return
        if not found:
            self.post_message(Told("the audit ledger is open: every action is recorded before it runs"))
            return
        said = "\n".join(open_line(intent) for intent in found)
        frozen = "\n\nSuch actions are frozen on these targets until `dbdeck audit reconcile` settled them."
        where = hint(self, "({pane.audit} Audit)")
        self.post_message(Told(f"{len(found)} earlier actions have no known outcome {where}", bad=True))
        if self.is_active:
            self.app.push_screen(TextScreen("actions without a known outcome", Text(said + frozen)))

    def _show_glass(self, said: list[str]) -> None:
        from console.tui.screens.text import TextScreen

        self.post_message(Told(f"done by break-glass and not merged, or not reviewed: {len(said)}", bad=True))
        merge = (
            "\n\n`dbdeck audit merge` brings journals into the ledger; somebody else: `dbdeck audit review`."
        )
        if self.is_active:
            self.app.push_screen(TextScreen("done while the ledger was away", Text("\n".join(said) + merge)))


class _Telling:
    """What an action says while it runs, in the status line of the screen that started it."""

    def __init__(self, screen: ActingScreen, name: str, job: int) -> None:
        self._screen = screen
        self._jobs = screen._desk.jobs  # noqa: SLF001 - a part of that screen
        self._job = job
        self._name = name
        self._told = 0.0
        self._key = hint(screen, "({action.stop}")

    def __call__(self, text: str) -> None:
        self._jobs.tell(self._job, clean(text, 300))
        if self._screen.is_attached:
            self._screen.post_message(Told(f"{self._name}: {clean(text, 300)} {self._key} ends the watch)"))

    def advance(self, seen: Advance) -> None:
        """Once a second: a line over SSH is thin."""

        from console.present.advance import told as words_of_advance

        now = time.monotonic()
        if now - self._told < 1.0:
            return
        self._told = now
        self._jobs.tell(self._job, clean(words_of_advance(seen), 300), seen)
        if self._screen.is_attached:
            self._screen.post_message(
                Told(f"{self._name}: {clean(words_of_advance(seen), 300)} {self._key} stops)")
            )
