"""The console: one app over the targets of a config."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.actions import ActionParseResult
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.dom import DOMNode
from textual.events import Event
from textual.filter import LineFilter

from console.config import Config
from console.errors import ConfigError, DbdeckError, Exit, UsageError, VaultLocked, WrongMaster
from console.keyrings import current
from console.model.instants import steady_now
from console.model.jobs import Job
from console.model.keymap import keys_of
from console.model.target import Target
from console.present.plain import Plain, codec_of
from console.present.units import harmless
from console.secrets import in_keyring
from console.tui.alerts import Title, call
from console.tui.commands import Commands
from console.tui.desk import Desk
from console.tui.harmless import Harmless
from console.tui.hints import hint
from console.tui.loading import load_rest
from console.tui.messages import Asking, Told
from console.tui.panes.pane import Pane
from console.tui.run_desk import Shipped
from console.tui.screens.main import MainScreen
from console.tui.terminal import hung_up
from console.tui.themes import OWN
from console.tui.tight import TightApp
from console.tui.typed_ahead import TypedAhead, is_typed

if TYPE_CHECKING:
    from console.dispatch.registry import Registry

_FIRST_SECONDS = 1.0  # belong to the rows
_SETTLED_SECONDS = 2.0  # then the first rows are long there, and the ledger
_HELP = (
    "Every action is written to the audit ledger before it is executed. A key only opens its plan: nothing "
    "happens before you have seen the statement, given a reason and pressed Enter there. When the server "
    "does not answer, what is shown is dimmed and its age counts up in the top line."
)
_TREE = (
    "One tree for each root blocker: ╰ waits for a lock, ┄ waits only for its turn in the queue "
    '(the one it stands behind holds nothing that conflicts). "blocks" counts everyone behind it.'
)
_RUNS = (
    "something runs, which would be stopped where it stands: not now; {action.stop} ends an action after its "
    "step, 6 Jobs tells what runs"
)
_TURNS, _TURN_SECONDS = 50, 0.01
_AT_ONCE_SECONDS = 0.1
# What has no id is the toolkit's: moving the focus where there is one thing to focus.
_EVERYWHERE = ("action", "app", "pane", "runbooks.suggested", "view")
_MOVES = ("details", "grid")


class ConsoleApp(TightApp[int]):
    """Screens and targets; what a pane can handle is handled there."""

    TITLE = "dbdeck"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar[set[type[Provider]]] = {Commands}  # type: ignore[assignment]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit", id="app.quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True, id="app.interrupt"),
        Binding("question_mark,f1", "help", "Help", id="app.help", key_display="?"),
        Binding("o", "targets", "Open a target", id="app.targets"),
        Binding("ctrl+l", "repaint", "Draw the screen again", show=False, priority=True, id="app.repaint"),
        Binding(
            "ctrl+z", "suspend", "Back to the shell until `fg`", show=False, priority=True, id="app.suspend"
        ),
        Binding("ctrl+g", "end_glass", "End the break-glass", show=False, priority=True, id="app.end-glass"),
    ]
    CSS = """
    Screen.glass { border: heavy red; border-title-background: red; border-title-color: white;
                   border-title-style: bold; border-title-align: center; }
    """

    _last_door: ClassVar[LineFilter] = Harmless()

    def __init__(
        self, config: Config, registry: Registry, runbooks: Shipped = tuple, first: str = ""
    ) -> None:
        """`runbooks` are the documents that are shipped, as (name, text); on `first` it opens."""
        super().__init__()
        self._first = first or next(iter(config.targets))
        self.desk = Desk(config, registry, runbooks)
        self.animation_level = "none"
        self.typed = TypedAhead(self, super().on_event)
        self._prepared = False
        self.given_keys: Mapping[str, str] = {}
        self._title_of_jobs = Title()

    def on_mount(self) -> None:
        self._speak_plainly()
        for theme in OWN:
            self.register_theme(theme)
        self.theme = self.desk.config.theme
        self.given_keys = self.desk.config.keys
        self.set_keymap({name: ",".join(keys_of(text)) for name, text in self.given_keys.items()})
        self.desk.glass.changed = self._glass_changed
        self.desk.heard = self._ledger_heard
        self.set_interval(1.0, self._look_around)
        self.set_timer(_FIRST_SECONDS, self.prepare)
        self.desk.jobs.changed, self.desk.jobs.ended = self._job_changed, self._job_ended
        self.open_target(self._first)

    async def on_event(self, event: Event) -> None:
        if is_typed(event):
            await self.typed.take(event)
        else:
            await super().on_event(event)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's own, and the last door of all."""
        return [*super().get_line_filters(), self._last_door]

    def _speak_plainly(self) -> None:
        """A terminal that is not of UTF-8 gets characters that it has, frames and plots included."""
        driver = self._driver
        codec = codec_of(os.environ, getattr(sys.__stderr__, "encoding", None) or "utf-8")
        codec = "ascii" if self.desk.config.ui.ascii else codec
        if driver is None or self.is_headless or codec is None:
            return
        write, plain = driver.write, Plain(codec)
        driver.write = lambda data: write(data.translate(plain))  # type: ignore[method-assign]

    @work(group="prepare")
    async def prepare(self) -> None:
        """What an action needs, once: it waits for the first rows, and for no more than a moment."""
        if self._prepared:
            return
        self._prepared = True
        self.desk.keep_ledger(self._ledger_changed)
        self.set_timer(_SETTLED_SECONDS, self._settle)

    @work(group="settle")
    async def _settle(self) -> None:
        engines = {target.engine for target in self.desk.config.all_targets()}
        await asyncio.to_thread(load_rest, engines)
        await asyncio.to_thread(self.desk.registry.load)
        gc.freeze()  # what is here now stays: looking through it again and again would make keys wait

    def _ledger_heard(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, MainScreen) and screen.is_mounted:
                screen.ledger_heard()

    async def _ledger_changed(self) -> None:
        """A screen that is not there yet looks for itself when it is."""
        for screen in self.screen_stack:
            if isinstance(screen, MainScreen) and screen.is_mounted:
                screen.ledger_changed()

    # ---- jobs ----------------------------------------------------------------------------------

    def _job_changed(self, job: Job) -> None:
        from console.present.jobs import title as jobs_title

        if not self.is_running:
            return
        if self.desk.config.thresholds.title:
            self._title_of_jobs.say(self, jobs_title(self.desk.jobs.all))
        for screen in self.screen_stack:
            if isinstance(screen, MainScreen) and screen.is_mounted:
                screen.job_changed(begun_or_ended=job.ended_at is not None or not job.said)

    def _job_ended(self, job: Job) -> None:
        thresholds = self.desk.config.thresholds
        if self.is_running and (job.seconds or 0.0) >= thresholds.long:
            call(self, thresholds.ended, f"{job.name} on {job.target}: {job.state}")

    def on_unmount(self) -> None:
        self._title_of_jobs.say(self, "")

    # ---- without the ledger ----------------------------------------------------------------------

    def _look_around(self) -> None:
        self._leave_with_the_terminal()
        self._frame()

    def _leave_with_the_terminal(self) -> None:
        """One that is not the controlling one goes away without SIGHUP, and its end is read without end."""
        if not self.is_headless and hung_up(sys.__stdin__):
            self.exit()

    def _frame(self) -> None:
        """Around every screen while the glass is broken, in words and not by colour alone."""
        glass = self.desk.glass
        left = glass.left
        minutes = "" if left is None else f"{int(left) // 60}:{int(left) % 60:02d}"
        ends = hint(self, "{app.end-glass} ends it")
        said = "" if left is None else f" BREAK-GLASS on {glass.target} · {minutes} left · {ends} "
        for screen in self.screen_stack:
            if screen.border_title != (said or None):
                screen.set_class(left is not None, "glass")
                screen.border_title = said or None

    def _glass_changed(self) -> None:
        from console.tui.screens.text import TextScreen

        if not self.is_running:
            return
        self._frame()
        glass = self.desk.glass
        if glass.left is not None:
            said = f"the glass is broken on {glass.target}: recorded in the journal alone"
        else:
            said = f"the break-glass is over: {glass.told}; `dbdeck audit merge` brings it into the ledger"
        self._tell_all(said)
        if glass.left is None and isinstance(self.screen, MainScreen):
            self.push_screen(TextScreen("break-glass", Text(said)))

    @work(group="glass")
    async def action_end_glass(self) -> None:
        await self.desk.glass.end(hint(self, "a key-press ({app.end-glass})"))

    @work(exclusive=True, group="target")
    async def open_target(self, name: str) -> None:
        target = self.desk.config.target(name)
        await self._unlock(target)
        replicas = [await self.desk.engine(one) for one in self.desk.config.replicas_of(name)]
        screen = MainScreen(self.desk, target, await self.desk.engine(target), replicas)
        while len(self.screen_stack) > 1:
            self.pop_screen()
        await self.push_screen(screen)

    async def _unlock(self, target: Target) -> None:
        """Ask for the vault's master where this target, a replica or the ledger needs it; once each time a
        target is opened. What is wrong with the vault itself is told by the panes, which read with it.
        """

        from console.tui.screens.unlock import UnlockScreen

        config = self.desk.config
        seen = (target, *config.replicas_of(target.name))
        logins = [login for one in seen for login in (one.monitor, one.operator) if login]
        wanted = [config.audit.password, *(login.password for login in logins)]
        pinned = current()
        if pinned is None or pinned.vault is None or not any(in_keyring(one) for one in wanted):
            return
        try:
            if await asyncio.to_thread(pinned.vault.exists):
                await asyncio.to_thread(pinned.vault.check)
        except VaultLocked as error:
            why = error.message if isinstance(error, WrongMaster) else ""
            await self.push_screen_wait(UnlockScreen(pinned.vault, why))
        except DbdeckError:
            return

    @work(group="targets")
    async def action_targets(self) -> None:
        from console.tui.screens.choose import ChooseTarget

        name = await self.push_screen_wait(ChooseTarget(self.desk.config.all_targets()))
        if name:
            self.open_target(name)

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """What a key does; nothing while a dialog is on its way that the key was meant for."""
        if isinstance(self.screen, Asking) and self.screen.asking:
            return True
        return await super().run_action(action, default_namespace, namespaces)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """The key is there while there is something to end."""
        return action != "end_glass" or self.desk.glass.left is not None

    @work(exclusive=True, group="suspend")
    async def action_suspend(self) -> None:
        """Not while something runs: it would be stopped where it stands, with what it holds on the server."""
        if self.desk.busy:
            self._tell_all(hint(self, _RUNS))
            return
        await self._between_polls()
        if self.desk.busy:  # begun meanwhile
            self._tell_all(hint(self, _RUNS))
            return
        before = steady_now()
        self.action_suspend_process()  # and is here again when somebody lets it go on
        if not self.is_headless and (steady_now() - before).total_seconds() < _AT_ONCE_SECONDS:
            self._tell_all("there is no shell to go back to: the console goes on")

    async def _between_polls(self) -> None:
        """Soon, where servers answer: an answer would else lie there unread, and be taken for a new one."""
        for _ in range(_TURNS):
            if not any(pane.feed.waiting() for screen in self.screen_stack for pane in screen.query(Pane)):
                return
            await asyncio.sleep(_TURN_SECONDS)

    def _tell_all(self, said: str) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, MainScreen) and screen.is_mounted:
                screen.post_message(Told(said, bad=True))

    def action_repaint(self) -> None:
        """For when something else has written on the terminal: a broadcast, a kernel message."""
        self.repaint()

    def action_help(self) -> None:
        """The keys that work here, from the bindings themselves."""

        from console.tui.screens.text import TextScreen

        parts: dict[str, dict[str, list[str]]] = {"here": {}, "everywhere": {}, "moving about": {}}
        for active in self.screen.active_bindings.values():
            if isinstance(active.node, Pane) and not active.node.offers(active.binding.action):
                continue
            name, shown = active.binding.id or "", self.get_key_display(active.binding)
            keys = parts[_part(name)].setdefault(active.binding.description, [])
            if name and shown not in keys:
                keys.append(shown)
        said = [_HELP, *([_TREE] if "locks.terminate" in self._bound() else [])]
        for title, rows in parts.items():
            lines = [f"  {' '.join(keys):<14} {name}" for name, keys in rows.items() if keys and name]
            said += ["\n".join([title, *lines])] if lines else []
        self.push_screen(TextScreen("help", Text("\n\n".join(said))))

    def _bound(self) -> set[str]:
        return {active.binding.id or "" for active in self.screen.active_bindings.values()}


def _part(name: str) -> str:
    """Of the help: what a key belongs to, by the id of its binding."""
    family = name.partition(".")[0]
    if family in _MOVES:
        return "moving about"
    return "everywhere" if family in _EVERYWHERE or name in _EVERYWHERE else "here"


async def run(config: Config, registry: Registry, runbooks: Shipped = tuple, first: str = "") -> int:
    """The console until it is left, on the target `first`, "" on the config's first one.

    Raises ConfigError for a config it cannot start with.
    """
    if not config.targets:
        raise UsageError("the config has no targets", "add one under `targets:`, or try `dbdeck demo`")
    app = ConsoleApp(config, registry, runbooks, first)
    own = [theme.name for theme in OWN]
    if config.theme not in {*app.available_themes, *own}:
        raise ConfigError(
            f"there is no theme {config.theme!r}",
            f"one of: {', '.join([*own, *sorted(app.available_themes)])}",
        )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGHUP, signal.SIGTERM):
        loop.add_signal_handler(number, app.exit)
    try:
        await app.run_async()
    finally:
        if app.desk.busy:
            _say("finishing and recording what is under way …")
        await app.desk.close()
        for left in app.desk.runs.left:
            _say(f"the run {left} has not ended: `dbdeck runbook resume {left}` goes on with it")
    return Exit.OK


def _say(text: str) -> None:
    """To the terminal that was left, which may be gone: that is no reason to record nothing."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{harmless(text)}\n")
        sys.stderr.flush()
