"""The main screen: one target and its panes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import ContentSwitcher, Input

from console.errors import DbdeckError
from console.model.instants import steady_now
from console.model.target import server_changes
from console.present import target as bar
from console.secret_store import of_this_process
from console.tui.alerts import call
from console.tui.hints import mapped
from console.tui.messages import (
    Alarm,
    CheckWanted,
    MeasureWanted,
    ReportWanted,
    SessionWanted,
    TargetWanted,
    Told,
    UnlockWanted,
)
from console.tui.panes.deadlocks import DeadlocksPane
from console.tui.panes.locks import LocksPane
from console.tui.panes.pane import Pane
from console.tui.screens import views
from console.tui.screens.guided import GuidedScreen
from console.tui.widgets.bars import Key, KeyLine, Status, TabLine, TargetBar

if TYPE_CHECKING:
    from console.audit.record import Entry
    from console.dispatch.drift import Sentinel
    from console.engine.port import Engine
    from console.model.reading import Problem, Reading
    from console.model.target import ServerIdentity, Target
    from console.tui.desk import Desk

_LEDGER_ROWS = 500
_WIDE = 120
_LOW = 16  # lines of a screen that has none to spare for a sentence
_WATCHING = ("locks", "deadlocks")  # seen or not
_GLANCE_SECONDS = 60.0
_IDENTIFY_SECONDS = 30.0
_FIRST_GLANCE_SECONDS = 10.0
_FIRST_SUGGEST_SECONDS, _SUGGEST_SECONDS = 5.0, 20.0
# Kinds of trouble with the server itself: another one was its answer, or is of the ledger.
_AWAY = frozenset({"unreachable", "no_slot", "login", "tls", "silent"})


class MainScreen(GuidedScreen):
    """Polls go on while actions run."""

    DEFAULT_CSS = """
    MainScreen ContentSwitcher { height: 1fr; }
    MainScreen #filter, MainScreen #filter:focus {
        height: 1; border: none; background: $panel; padding: 0 1;
    }
    MainScreen.low Note { height: 1; text-wrap: nowrap; }
    MainScreen #filter { display: none; }
    MainScreen #filter.open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(key, f"tab('{key}')", views.titles(key), id=f"pane.{views.BY_KEY[key].name}")
            for key in sorted(views.BY_KEY)
        ),
        Binding("right_square_bracket", "view(1)", "Next view", id="view.next", key_display="]"),
        Binding("left_square_bracket", "view(-1)", "View before", id="view.previous", key_display="["),
        Binding("slash", "filter", "Filter", id="view.filter", key_display="/"),
        Binding("escape", "unfilter", "Clear the filter", show=False, id="view.unfilter"),
        Binding("s", "sort", "Sort by the next column", show=False, id="view.sort"),
        Binding("y", "copy", "Copy the line in full", show=False, id="view.copy"),
        Binding("e", "export", "Export this view", id="view.export"),
        Binding("p", "pause", "Pause polling", id="view.pause"),
        Binding("r", "again", "Refresh now", id="view.refresh"),
    ]

    def __init__(self, desk: Desk, target: Target, engine: Engine, replicas: Sequence[Engine] = ()) -> None:
        super().__init__(desk, target, engine)
        self._replicas = replicas
        self._latency = bar.Latency()
        self._known = False
        self._asks_who = False
        self._answered_by: ServerIdentity | None = None
        self._identify_at = 0.0
        self._rotation = desk.config.rotation.of(target.name)
        self._due = 0.0  # before then nothing new is to be said, while all is well
        self._count_at = time.monotonic() + _FIRST_SUGGEST_SECONDS  # which belong to the panes
        self._waits = 0
        self._trouble: Problem | None = None
        self._prepared = False
        self._panes: dict[str, Pane[Any, Any]] = {}
        self._turning = asyncio.Lock()
        self._target_bar = TargetBar(id="target")
        self._switcher = ContentSwitcher(initial="locks")
        self._made("locks").begin()

    def compose(self) -> ComposeResult:
        self._target_bar.add_class(self.target.environment)
        yield self._target_bar
        yield TabLine(views.TABS, views.shown_keys(self._desk.config.keys))
        with self._switcher:
            # The others are made when first asked for: nobody waits at the start for all of them.
            for name in _WATCHING:
                pane = self._made(name)
                pane.set_class(self._wide, "wide")
                yield pane
        yield Input(placeholder="filter: only lines that contain this", id="filter")
        yield Status(id="status")
        yield KeyLine()

    def _made(self, name: str) -> Pane[Any, Any]:
        if name not in self._panes:
            made = self._panes[name] = views.pane(name, self._sources)
            made.feed.budget = self._desk.config.thresholds.budget / 100
            made.feed.overdue = self._tick
            if made.of_server:
                made.feed.heard = lambda: self._engine.heard_at
        return self._panes[name]

    @cached_property
    def _sentinel(self) -> Sentinel:
        from console.dispatch.drift import Sentinel

        return Sentinel(self._engine, self._rotation_rows, of_this_process())

    @cached_property
    def _sources(self) -> views.Sources:
        return views.Sources(
            overview=self._desk.standings,
            engine=self._engine,
            replicas=self._replicas,
            ledger=self._ledger_rows,
            effects=partial(self._desk.looks, self.target),
            refusal=self.refusal,
            thresholds=self._desk.config.thresholds,
            rotation=self._rotation,
            store=self._desk.store,
            actions=partial(self._desk.actions_of, self.target),
            sentinel=lambda: self._sentinel,
            past=self._desk.past_drills,
            backups=self._desk.config.drills.targets,
            shelf=self.shelf,
            runs=self._desk.runs.recent,
            live=self.live_runs,
            jobs=self._desk.jobs.read,
            start_refusal=self.start_refusal,
        )

    def on_mount(self) -> None:
        entry = self.query_one("#filter", Input)
        entry.cursor_blink = False
        self.query_one(TabLine).choose("locks")
        self.pane.grid.focus()
        self.pane.start()
        self.set_interval(0.5, self._watch)
        self.set_timer(_FIRST_GLANCE_SECONDS, self.glance)  # the first seconds belong to the panes
        self.set_interval(_GLANCE_SECONDS, self.glance)
        self._tick()
        self.ledger_changed()

    async def _ledger_rows(self) -> list[Entry]:
        if self._desk.ledger is None:
            self._desk.acting()
            return []
        return await self._desk.ledger.entries(limit=_LEDGER_ROWS)

    async def _rotation_rows(self) -> list[Entry]:
        from console.audit.rotations import rotation_rows

        return await rotation_rows(self._desk.heard_ledger())

    # ---- what is seen -------------------------------------------------------------------------

    @property
    def pane(self) -> Pane[Any, Any]:
        return self._panes[str(self._switcher.current)]

    @property
    def _looked_at(self) -> Pane[Any, Any]:
        """The pane whose readings tell how fresh the screen is; ledger and backups are not of this server."""
        return self.pane if self.pane.of_server else self._panes["locks"]

    def _watch(self) -> None:
        """Every half second, but not while no answer can be late: a reading says itself what it is."""
        if time.monotonic() >= self._due or self.waiting_runs() != self._waits:
            self._tick()

    def _tick(self) -> None:
        """Drawn only when a word changed."""
        if not self._switcher.is_attached:
            return  # left meanwhile
        pane, watching, own = self._looked_at, self._panes["locks"], self.pane
        # Locks are always read: what they say of the server is true of it whatever is in view.
        problem = bar.foremost(pane.reading.problem, watching.reading.problem)
        late = self._late(pane)
        words_, stale = _freshness(pane, problem, late)
        own_words, own_stale = words_, stale
        if own is not pane:  # what is in view is of the ledger, say: a server that answers says nothing of it
            own_words, own_stale = _freshness(own, own.reading.problem, own.feed.late)
        right = words_ if stale else f"{words_} · {self._latency}"
        if own_stale and not stale:
            right = f"this view: {own_words}"
        well = problem is None and not late and not stale and not own_stale and not own.paused
        calm = min(one.feed.calm for one in (pane, watching, own))
        self._due = time.monotonic() + calm if well else 0.0
        if own.paused:
            now_paused = bar.paused(own.reading.taken_at, steady_now())
            right = f"{now_paused} · {right}" if stale else now_paused
        self._target_bar.show(bar.title(self.target, self._identity), right, stale=stale or own_stale)
        for one, old in ((pane, stale), (own, own_stale)):
            faded = old or one.reading.stale or one.outdated
            if one.grid.stale != faded:
                one.grid.stale = faded
                self._show_keys()
        if (waits := self.waiting_runs()) != self._waits:
            self._waits = waits
            self.query_one(TabLine).badge("runs", f"({waits}!)" if waits else "")

    def _late(self, pane: Pane[Any, Any]) -> float:
        """Locks that were asked for after what is in view wait for their turn: as long as that is not late,
        neither are they.
        """
        feed, locks = pane.feed, self._panes["locks"].feed
        behind = feed.waiting() > locks.waiting() > 0.0
        return feed.late if behind else max(feed.late, locks.late)

    def on_pane_read(self, event: Pane.Read) -> None:
        reading = event.pane.reading
        if event.pane is self._looked_at:
            self._complain(reading.problem)
        if event.pane in (self._looked_at, self.pane):
            self._tick()
        if isinstance(event.pane, LocksPane):
            self._locks_read(reading)
        if event.pane is self.pane:
            self._show_keys()
        if time.monotonic() >= self._count_at:
            self._count_at = time.monotonic() + _SUGGEST_SECONDS
            self._count_suggestions()

    def _locks_read(self, reading: Reading[Any]) -> None:
        """What it says of the server counts everywhere."""
        if not self._prepared:
            self._prepared = True
            self.query_one(DeadlocksPane).poll_on()  # they share the connection that the first rows need
            self.call_after_refresh(self.app.prepare)  # type: ignore[attr-defined]
        self._due = 0.0 if reading.problem else self._due
        self._latency.feed(None if reading.stale else reading.latency_ms)
        if reading.problem is not None and reading.problem.kind != "privilege":
            self._known = False  # whoever answers next may be another server
        elif self._unsure and not self._asks_who:
            self._asks_who = True
            self._identify()

    @property
    def _unsure(self) -> bool:
        """Whether another may answer by now: a read opens a lost connection again, a promotion loses none."""
        same = self._known and self._engine.answered_by is self._answered_by
        return not same or time.monotonic() >= self._identify_at

    @work(exclusive=True, group="suggestions")
    async def _count_suggestions(self) -> None:
        """How many runbooks what is seen speaks for, behind their tab: seen from every pane."""
        found = await self.suggestions()
        for line in self.query(TabLine):  # none any more where the screen was left meanwhile
            line.badge("runbooks", f"({len(found)})" if found else "")

    def on_alarm(self, event: Alarm) -> None:
        self.query_one(TabLine).badge(event.pane, event.badge)
        if event.loud and event.text:
            self.post_message(Told(event.text, bad=True))
            call(self.app, self._desk.config.thresholds.alert, f"{self.target.name}: {event.text}")

    async def on_target_wanted(self, event: TargetWanted) -> None:
        """By its address, too: who reads from here is known by that alone."""
        if event.name == self.target.name:
            await self.action_pane("locks")
            return
        targets = self._desk.config.all_targets()
        found = [one.name for one in targets if event.name == one.name]
        found = found or [one.name for one in targets if event.name == one.host]
        if found:
            self.post_message(Told(f"opening {found[0]}"))
            self.app.open_target(found[0])  # type: ignore[attr-defined]
        else:
            self.post_message(Told(f"{event.name} is no target of the config", bad=True))

    async def on_session_wanted(self, event: SessionWanted) -> None:
        """In the lock tree, where what it does to others is seen."""
        await self.action_pane("locks")
        pane = self.query_one(LocksPane)
        keys = [key for key, node in pane.items.items() if node.session.id == event.number]
        if keys and pane.grid.move_to(keys[0]):
            return
        self.post_message(Told(f"session {event.number} is not in the lock tree now", bad=True))

    def on_unlock_wanted(self, event: UnlockWanted) -> None:  # noqa: ARG002 - Textual's signature
        self._unlock_vault()

    @work(exclusive=True, group="unlock")
    async def _unlock_vault(self) -> None:
        if await self.unlocked():
            self.pane.again()

    def on_check_wanted(self, event: CheckWanted) -> None:  # noqa: ARG002 - Textual's signature
        from console.tui.screens.account_check import AccountCheckScreen

        self._sentinel.again()
        self.app.push_screen(AccountCheckScreen(self._engine, self._rotation, self._sentinel.look))

    def on_measure_wanted(self, event: MeasureWanted) -> None:
        from console.tui.screens.measure import MeasureScreen

        self.app.push_screen(MeasureScreen(self._engine, event.schema, event.name))

    def on_report_wanted(self, event: ReportWanted) -> None:
        self._show_report(event)

    @work(exclusive=True, group="report")
    async def _show_report(self, event: ReportWanted) -> None:
        from console.tui.screens.report import shown_report
        from console.tui.screens.text import TextScreen

        self.app.push_screen(TextScreen("report of a drill", await shown_report(event)))

    def acted(self) -> None:
        self.pane.again()

    def job_changed(self, *, begun_or_ended: bool) -> None:
        """A list that is in view follows at once; how far a job is, it reads at its next turn."""
        if begun_or_ended and any(switch.current == "jobs" for switch in self.query(ContentSwitcher)):
            self.pane.again()

    def _complain(self, problem: Problem | None) -> None:
        """The server's trouble stays in the status line until it is over. Who lacked a right was answered."""
        status = self.query_one(Status)
        if problem is not None:
            status.tell(f" {problem.message}", bad=True)
            self._trouble = problem
        elif (over := self._trouble) is not None:
            self._trouble = None
            if over.kind in _AWAY:
                status.tell(" the server answers again")
            elif status.told == f" {over.message}":  # what was said since stays
                status.tell("")

    @work(group="identity")
    async def _identify(self) -> None:
        before, known = self._identity, self._known
        self._identify_at = time.monotonic() + _IDENTIFY_SECONDS
        try:
            now = self._identity = await self._engine.identity()
        except DbdeckError:
            return
        finally:
            self._asks_who = False
        self._known, self._answered_by = True, self._engine.answered_by
        changed = server_changes(before, now) if before is not None else ""
        if changed:
            self.post_message(Told(f"{self.target.name}: {changed}", bad=True))
            self._forget()
        self._tick()
        if changed or not known:
            self._keep_lifeboat(anew=bool(changed))

    def _forget(self) -> None:
        """Who answers now was asked after the locks were read, which stay; other views may be of before."""
        self._view.forget()
        for pane in self._panes.values():
            if pane.of_server and pane.is_attached and not isinstance(pane, LocksPane):
                pane.forget()

    @work(exclusive=True, group="lifeboat")
    async def _keep_lifeboat(self, *, anew: bool = False) -> None:
        """The operator's connection is opened before it is needed: later nobody may get in."""
        dispatcher = self._desk.dispatcher
        if dispatcher is None or self.target.read_only:
            return
        try:
            await dispatcher.lifeboat(self.target).keep(anew=anew)
        except DbdeckError as error:
            self.post_message(Told(f"the operator cannot connect: {error.message}", bad=True))

    def _show_keys(self) -> None:
        common = [
            Key("R", "suggested", "runbook for this", short="runbook", rank=3),
            Key("/", "filter", "filter", rank=4),
            Key("e", "export", "export", rank=6),
            Key("?", "app.help", "help", rank=0),
            Key("^p", "app.command_palette", "commands", rank=7),
            Key("q", "app.quit", "quit", rank=5),
        ]
        self.query_one(KeyLine).show(mapped(self, [*self.pane.keys(), *common]))

    def on_told(self, event: Told) -> None:
        self.query_one(Status).tell(f" {event.text}", bad=event.bad)

    def ledger_changed(self) -> None:
        """The ledger was opened, or could not be: said at once, because nothing can be done without it."""
        problem = self._desk.ledger_problem
        self._mark_ledger()
        if problem is not None and self._desk.glass.left is None:
            self.post_message(Told(f"nothing can be executed: {problem.message}", bad=True))
        elif self._desk.ledger is not None:
            self._sentinel.again()
            self.show_unsettled()
            if self._known:
                self._keep_lifeboat()
        self._show_keys()

    def ledger_heard(self) -> None:
        """The ledger that is open fell silent, or answers again. The mark stays whatever is said."""
        self._mark_ledger()
        if silence := self._desk.silence:
            self.post_message(Told(f"nothing can be executed now: {silence}", bad=True))
        else:
            self.post_message(Told("the audit ledger answers again"))

    def _mark_ledger(self) -> None:
        away = self._desk.silence or self._desk.ledger_problem is not None
        for line in self.query(TabLine):  # none any more where the screen was left meanwhile
            line.badge("audit", "(!)" if away else "")

    # ---- keys ---------------------------------------------------------------------------------

    async def action_tab(self, key: str) -> None:
        """The first view of a tab; the same key again leads to its next one."""
        names = [tab.name for tab in views.TABS if tab.key == key]
        here = self.pane.name_of_subject
        place = (names.index(here) + 1) % len(names) if here in names else 0
        await self.action_pane(names[place])

    async def action_view(self, step: int) -> None:
        names = [tab.name for tab in views.TABS]
        await self.action_pane(names[(names.index(self.pane.name_of_subject) + step) % len(names)])

    async def action_pane(self, name: str) -> None:
        switcher, wanted = self._switcher, self._made(name)
        async with self._turning:
            if not wanted.is_attached:
                wanted.set_class(self._wide, "wide")
                await switcher.add_content(wanted)
        self.pane.stop()
        switcher.current = name
        self.query_one(TabLine).choose(name)
        self.pane.grid.focus()
        self.pane.start()
        self._tick()
        self._show_keys()

    @on(TabLine.Chosen)
    async def _chosen(self, event: TabLine.Chosen) -> None:
        await self.action_pane(event.name)

    async def on_key_line_pressed(self, event: KeyLine.Pressed) -> None:
        name = event.action.partition("(")[0]
        owner = self.pane if hasattr(self.pane, f"action_{name}") else self
        await self.app.run_action(event.action, owner)

    def action_again(self) -> None:
        self.pane.again()

    def action_sort(self) -> None:
        self.pane.sort()

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

    def action_copy(self) -> None:
        """Into the clipboard of the terminal (OSC 52), which others may read: nothing with a secret in it."""

        from console.present.clipboard import credential_word

        item = self.pane.current
        if item is None:
            self.post_message(Told("nothing is selected", bad=True))
            return
        text = self.pane.details(item)
        if (word := credential_word(text)) is not None:
            self.post_message(
                Told(f"not copied: it says {word!r}, and the clipboard is read by others", bad=True)
            )
            return
        self.app.copy_to_clipboard(text)
        self.post_message(Told("copied, where the terminal takes OSC 52"))

    def action_export(self) -> None:
        """The rows of the current view, as the headless command prints them, readable by the owner only."""

        from console.new_file import write_new

        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        path = Path.cwd() / f"dbdeck-{self.pane.name_of_subject}-{self.target.name}-{now}.json"
        try:
            write_new(path, self.pane.export() + "\n")
        except DbdeckError as error:
            self.post_message(Told(error.message, bad=True))
        else:
            self.post_message(Told(f"written: {path}"))

    def on_grid_selected(self) -> None:
        from console.tui.screens.text import TextScreen

        item = self.pane.current
        if item is None:
            return
        wanted = self.pane.opened(item)
        if wanted is not None:
            self.post_message(wanted)
        else:
            self.app.push_screen(TextScreen(self.pane.title, Text(self.pane.details(item))))

    @property
    def _wide(self) -> bool:
        return self.app.size.width >= _WIDE

    def on_resize(self) -> None:
        self.set_class(self.app.size.height < _LOW, "low")
        for pane in self.query(Pane):
            pane.set_class(self._wide, "wide")
        self._tick()


def _freshness(pane: Pane[Any, Any], problem: Problem | None, late: float) -> tuple[str, bool]:
    """(words, stale) of what a pane shows now."""
    taken_at = pane.reading.taken_at
    return bar.freshness(taken_at, steady_now(), problem, late, outdated=pane.outdated)
