"""The composition root: the only module that knows both the console and what it is loaded with."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.config import Config
    from console.dispatch.registry import Registry


def main() -> int:
    from console.cli.context import Services
    from console.cli.main import main as cli

    return cli(Services(registry=_registry, console=_console))


def _registry() -> Registry:
    import actions
    from console.dispatch.registry import Registry

    return Registry(actions.ALL)


async def _console(config: Config) -> int:
    from console.tui.app import run

    return await run(config, _registry())


if __name__ == "__main__":
    sys.exit(main())
