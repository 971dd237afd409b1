"""The main screen: one target, its panes, and the way from a key-press to a recorded effect."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Input

from console.audit.record import Entry
from console.dispatch.effect import Run
from console.dispatch.policy import disabled, must_type_name
from console.engine.port import Engine
from console.errors import DbdeckError
from console.model.target import ServerIdentity, Target
from console.present import plan as words
from console.present import target as bar
from console.present.audit import open_line
from console.present.table import Tone
from console.present.units import clean
from console.tui.desk import Desk
from console.tui.messages import ActionRequested, Told
from console.tui.panes.audit import AuditPane
from console.tui.panes.locks import LocksPane
from console.tui.panes.pane import Pane
from console.tui.screens.confirm import ConfirmScreen, drawn
from console.tui.screens.text import TextScreen
from console.tui.widgets.bars import Key, KeyLine, Status, Tab, TabLine, TargetBar

_LEDGER_ROWS = 500
_LEDGER_SECONDS = 5.0
_WIDE = 120
_TABS = (Tab("1", "locks", "Locks"), Tab("2", "audit", "Audit"))


class MainScreen(Screen[None]):
    """Polls go on while actions run; nothing here waits for a server on the way of a key-press."""

    DEFAULT_CSS = """
    MainScreen ContentSwitcher { height: 1fr; }
    MainScreen #filter, MainScreen #filter:focus {
        height: 1; border: none; background: $panel; padding: 0 1;
    }
    MainScreen #filter { display: none; }
    MainScreen #filter.open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(tab.key, f"pane('{tab.name}')", tab.title, id=f"pane.{tab.name}") for tab in _TABS),
        Binding("slash", "filter", "Filter", id="view.filter", key_display="/"),
        Binding("escape", "unfilter", "Clear the filter", show=False, id="view.unfilter"),
        Binding("e", "export", "Export this view", id="view.export"),
        Binding("p", "pause", "Pause polling", id="view.pause"),
        Binding("r", "again", "Refresh now", id="view.refresh"),
    ]

    def __init__(self, desk: Desk, target: Target, engine: Engine) -> None:
        super().__init__()
        self._desk = desk
        self.target = target
        self._engine = engine
        self._identity: ServerIdentity | None = None
        self._latency = bar.Latency()
        self._known = False

    def compose(self) -> ComposeResult:
        every = self._desk.config.thresholds.refresh
        target_bar = TargetBar(id="target")
        target_bar.add_class(self.target.environment)
        yield target_bar
        yield TabLine(_TABS)
        with ContentSwitcher(initial="locks"):
            yield LocksPane(self._engine.locks, every=every, refusal=self._refusal)
            yield AuditPane(self._ledger_rows, every=_LEDGER_SECONDS)
        yield Input(placeholder="filter: only lines that contain this", id="filter")
        yield Status(id="status")
        yield KeyLine()

    def on_mount(self) -> None:
        entry = self.query_one("#filter", Input)
        entry.cursor_blink = False
        self.query_one(TabLine).choose("locks")
        self.pane.grid.focus()
        self.pane.start()
        self.set_interval(0.5, self._tick)
        self._tick()
        self.ledger_changed()

    async def _ledger_rows(self) -> list[Entry]:
        if self._desk.ledger is None:
            self._desk.acting()
            return []
        return await self._desk.ledger.entries(limit=_LEDGER_ROWS)

    # ---- what is seen -------------------------------------------------------------------------

    @property
    def pane(self) -> Pane[Any]:
        current = self.query_one(ContentSwitcher).current
        return self.query_one(f"#{current}", Pane)

    def _tick(self) -> None:
        """Every half second, but drawn only when a word changed."""
        locks = self.query_one(LocksPane)
        reading, feed = locks.reading, locks.feed
        now = datetime.now(UTC)
        words_, stale = bar.freshness(reading.taken_at, now, reading.problem, feed.late)
        right = words_ if stale else f"{words_} · {self._latency}"
        if locks.paused:
            right = f"PAUSED · {right}"
        self.query_one(TargetBar).show(bar.title(self.target, self._identity), right, stale=stale)
        if stale and not locks.grid.stale:
            locks.grid.stale = True
            self._show_keys()

    def on_pane_read(self, event: Pane.Read) -> None:
        reading = event.pane.reading
        if isinstance(event.pane, LocksPane):
            self._latency.feed(None if reading.stale else reading.latency_ms)
            self._complain(reading.problem.message if reading.problem else "")
            if reading.problem is not None:
                self._known = False  # whoever answers next may be another server
            elif not self._known:
                self._identify()
            self._tick()
        self._show_keys()

    def _complain(self, problem: str) -> None:
        """The server's trouble stays in the status line until it is over."""
        status = self.query_one(Status)
        if problem:
            status.tell(f" {problem}", bad=True)
            self._trouble = True
        elif getattr(self, "_trouble", False):
            self._trouble = False
            status.tell(" the server answers again")

    @work(exclusive=True, group="identity")
    async def _identify(self) -> None:
        try:
            self._identity = await self._engine.identity()
        except DbdeckError:
            return
        self._known = True
        self._tick()
        self._keep_lifeboat()

    @work(exclusive=True, group="lifeboat")
    async def _keep_lifeboat(self) -> None:
        """The operator's connection is opened before it is needed: later nobody may get in."""
        dispatcher = self._desk.dispatcher
        if dispatcher is None or self.target.read_only:
            return
        try:
            await dispatcher.lifeboat(self.target).keep()
        except DbdeckError as error:
            self.post_message(Told(f"the operator cannot connect: {error.message}", bad=True))

    def _show_keys(self) -> None:
        common = [
            Key("/", "filter", "filter"),
            Key("e", "export", "export"),
            Key("?", "app.help", "help"),
            Key("^p", "app.command_palette", "commands"),
            Key("q", "app.quit", "quit"),
        ]
        self.query_one(KeyLine).show([*self.pane.keys(), *common])

    def on_told(self, event: Told) -> None:
        self.query_one(Status).tell(f" {event.text}", bad=event.bad)

    def ledger_changed(self) -> None:
        """The ledger was opened, or could not be: said at once, because nothing can be done without it."""
        problem = self._desk.ledger_problem
        if problem is not None:
            self.post_message(Told(f"nothing can be executed: {problem.message}", bad=True))
        elif self._desk.ledger is not None:
            self._show_unsettled()
            if self._known:
                self._keep_lifeboat()
        self._show_keys()

    @work(exclusive=True, group="unsettled")
    async def _show_unsettled(self) -> None:
        try:
            found = await self._desk.unsettled()
        except DbdeckError as error:
            self.post_message(Told(error.message, bad=True))
            return
        if not found:
            self.post_message(Told("the audit ledger is open: every action is recorded before it runs"))
            return
        said = "\n".join(open_line(intent) for intent in found)
        hint = "\n\nSuch actions are frozen on these targets until `dbdeck audit reconcile` settled them."
        self.post_message(Told(f"{len(found)} earlier actions have no known outcome (2 Audit)", bad=True))
        self.app.push_screen(TextScreen("actions without a known outcome", Text(said + hint)))

    # ---- keys ---------------------------------------------------------------------------------

    def action_pane(self, name: str) -> None:
        self.pane.stop()
        self.query_one(ContentSwitcher).current = name
        self.query_one(TabLine).choose(name)
        self.pane.grid.focus()
        self.pane.start()
        self._show_keys()

    @on(TabLine.Chosen)
    def _chosen(self, event: TabLine.Chosen) -> None:
        self.action_pane(event.name)

    async def on_key_line_pressed(self, event: KeyLine.Pressed) -> None:
        name = event.action.partition("(")[0]
        owner = self.pane if hasattr(self.pane, f"action_{name}") else self
        await self.app.run_action(event.action, owner)

    def action_again(self) -> None:
        self.pane.again()

    def action_pause(self) -> None:
        self.pane.paused = not self.pane.paused
        self._tick()

    def action_filter(self) -> None:
        entry = self.query_one("#filter", Input)
        entry.add_class("open")
        entry.focus()

    def action_unfilter(self) -> None:
        entry = self.query_one("#filter", Input)
        entry.value = ""
        entry.remove_class("open")
        self.pane.grid.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.pane.needle = event.value.strip()

    def on_input_submitted(self) -> None:
        entry = self.query_one("#filter", Input)
        entry.set_class(bool(entry.value), "open")
        self.pane.grid.focus()

    def action_export(self) -> None:
        """The rows of the current view, as the headless command prints them, readable by the owner only."""
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        path = Path.cwd() / f"dbdeck-{self.pane.name_of_subject}-{self.target.name}-{now}.json"
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(self.pane.export() + "\n")
        except OSError as error:
            self.post_message(Told(f"could not write {path}: {error.strerror}", bad=True))
        else:
            self.post_message(Told(f"written: {path}"))

    def on_grid_selected(self) -> None:
        item = self.pane.current
        if item is not None:
            self.app.push_screen(TextScreen(self.pane.title, Text(self.pane.details(item))))

    # ---- actions ------------------------------------------------------------------------------

    def _refusal(self, action: str) -> str:
        """Why an action cannot run here now, before anything is planned."""
        refusal = disabled(self._desk.config.policy, self.target, action, datetime.now(UTC))
        if refusal is not None:
            return refusal.reason
        if self._desk.dispatcher is None:
            return "the audit ledger is not open: nothing can be recorded, so nothing can be executed"
        return ""

    def on_action_requested(self, event: ActionRequested) -> None:
        self._act(event.name, event.arguments)

    @work(group="actions")
    async def _act(self, name: str, arguments: dict[str, object]) -> None:
        """Plan, show, ask, run, tell. Whatever goes wrong before the intent ends here, with its reason."""
        try:
            run = await self._planned(name, arguments)
        except DbdeckError as error:
            self.post_message(Told(f"{name}: nothing was executed: {error.message}", bad=True))
            said_ = [(Tone.BAD, clean(error.message)), (Tone.NOTICE, clean(error.hint))]
            self.app.push_screen(TextScreen(f"{name}: nothing was executed", drawn(said_)))
            return
        if run is None:
            self.post_message(Told(f"{name}: nothing was executed"))
            return
        said = words.conclude(run)
        self.post_message(Told(said[0][1], bad=run.effect in ("none", "unknown")))
        self.pane.again()
        self.app.push_screen(TextScreen(name, drawn(said)))

    async def _planned(self, name: str, arguments: dict[str, object]) -> Run | None:
        dispatcher = self._desk.acting()
        plan = await dispatcher.plan(name, self._engine, arguments)
        must_type = self.target.name if must_type_name(plan, self.target) else ""
        approval = await self.app.push_screen_wait(ConfirmScreen(plan, must_type))
        if approval is None:
            return None
        self.post_message(Told(f"{name} is running: recorded, sent, being verified …"))
        running = self._desk.start(dispatcher.apply(plan, self._engine, approval))
        return await asyncio.shield(running)

    def on_resize(self) -> None:
        self.set_class(self.size.width >= _WIDE, "wide")
        for pane in self.query(Pane):
            pane.set_class(self.size.width >= _WIDE, "wide")
        self._tick()
