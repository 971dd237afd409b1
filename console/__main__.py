"""The composition root: the only module that knows both the console and what it is loaded with."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from console.hardening import harden

if TYPE_CHECKING:
    from console.config import Config
    from console.dispatch.registry import Registry


# A plan for thousands of objects is no garbage: looking for some at every 700th takes a tenth of a short run.
COLLECT_AFTER = 100_000


def main() -> int:
    harden()
    gc.set_threshold(COLLECT_AFTER)
    from console.cli.context import Services
    from console.cli.main import main as cli

    try:
        services = Services(registry=_registry, console=_console, runbooks=_runbooks, actions=_action_names)
        return cli(services)
    finally:
        gc.freeze()  # the interpreter would look through all of it, several times, before it forgets it


def _registry() -> Registry:
    import actions
    from console.dispatch.registry import Registry

    return Registry(lambda: actions.ALL, actions.one)


def _action_names() -> tuple[str, ...]:
    import actions

    return tuple(actions.WHERE)


def _runbooks() -> list[tuple[str, str]]:
    from importlib.resources import files

    found = (one for one in files("runbooks").iterdir() if one.name.endswith(".yaml"))
    return sorted((f"runbooks/{one.name}", one.read_text(encoding="utf-8")) for one in found)


async def _console(config: Config, first: str) -> int:
    from console.tui.app import run

    return await run(config, _registry(), _runbooks, first)


if __name__ == "__main__":
    sys.exit(main())
