"""The command palette: keys, actions and targets, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from console.tui.messages import ActionRequested, RunbookWanted
from console.tui.screens.acting import ActingScreen
from console.tui.screens.guided import GuidedScreen

if TYPE_CHECKING:
    from console.tui.app import ConsoleApp

Command = tuple[str, str, Callable[[], object]]


class Commands(Provider):
    """What can be done here, with the key that does it."""

    def _commands(self) -> Iterator[Command]:
        app = cast("ConsoleApp", self.app)
        screen = self.screen
        for binding in screen.active_bindings.values():
            name, node = binding.binding.description, binding.node
            if binding.binding.show and name:
                action = binding.binding.action
                yield name, f"key {app.get_key_display(binding.binding)}", _runner(app, action, node)
        if isinstance(screen, ActingScreen):
            for name, note in screen.catalogue():
                wanted = ActionRequested(name, {}, ask=True)
                yield f"Action {name}", note, partial(screen.post_message, wanted)
        if isinstance(screen, GuidedScreen):
            for name, note in screen.runbooks():
                yield f"Run runbook {name}", note, partial(screen.post_message, RunbookWanted(name, {}))
        for target in app.desk.config.targets:
            yield f"Target {target}", "look at this target", partial(app.open_target, target)

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
