"""The command palette: keys, actions and targets, by name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from console.tui.messages import ActionRequested, RunbookWanted

if TYPE_CHECKING:
    from console.tui.app import ConsoleApp

_MOVES = ("grid.", "details.")
Command = tuple[str, str, Callable[[], object]]


class Commands(Provider):
    """What can be done here, with the key that does it."""

    def _commands(self) -> Iterator[Command]:
        yield from self._bound()
        yield from self._of_screen()
        app = self._console
        for target in app.desk.config.targets:
            yield f"Target {target}", "look at this target", partial(app.open_target, target)
        for theme in sorted(app.available_themes):
            yield f"Theme {theme}", "until the console is left", partial(setattr, app, "theme", theme)

    @property
    def _console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    def _bound(self) -> Iterator[Command]:
        """Once each, with the first of its keys."""
        app, seen = self._console, set[tuple[str, str]]()
        for binding in self.screen.active_bindings.values():
            name, node = binding.binding.description, binding.node
            known = binding.binding.id  # what has none is the toolkit's
            if name and known and not known.startswith(_MOVES):
                action = binding.binding.action
                if (name, action) in seen:
                    continue
                seen.add((name, action))
                yield name, f"key {app.get_key_display(binding.binding)}", _runner(app, action, node)

    def _of_screen(self) -> Iterator[Command]:
        from console.tui.screens.acting import ActingScreen
        from console.tui.screens.guided import GuidedScreen
        from console.tui.screens.main import MainScreen
        from console.tui.screens.views import TABS

        screen = self.screen
        if isinstance(screen, MainScreen):
            for tab in TABS:
                yield f"View {tab.title}", f"key {tab.key}", partial(screen.action_pane, tab.name)
        if isinstance(screen, ActingScreen):
            for name, note in screen.catalogue():
                wanted = ActionRequested(name, {}, ask=True)
                yield f"Action {name}", note, partial(screen.post_message, wanted)
        if isinstance(screen, GuidedScreen):
            for name, note in screen.runbooks():
                yield f"Run runbook {name}", note, partial(screen.post_message, RunbookWanted(name, {}))

    async def startup(self) -> None:
        """All actions are imported for the list of them, and not before."""
        await asyncio.to_thread(self._console.desk.registry.load)

    async def discover(self) -> Hits:
        for name, note, run in self._commands():
            yield DiscoveryHit(name, run, help=note)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, note, run in self._commands():
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, matcher.highlight(name), run, help=note)


def _runner(app: ConsoleApp, action: str, node: object) -> Callable[[], object]:
    return lambda: app.run_action(action, node)  # type: ignore[arg-type]
