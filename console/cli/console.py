"""Start the console, or say why it cannot start here."""

from __future__ import annotations

import asyncio
import sys

from console.cli.context import Services
from console.config import Config
from console.errors import UsageError


def start(services: Services, target: str | None) -> int:
    """`target` None: the first one. Raises ConfigError for one that the config has not."""
    config = services.config()
    first = config.target(target).name if target is not None else ""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the console needs a terminal", "`dbdeck --help` lists the commands that do not")
    must_be_seen()
    return asyncio.run(_run(services, config, first))


async def _run(services: Services, config: Config, first: str) -> int:
    return await services.console(config, first)


def must_be_seen() -> None:
    """Raises UsageError where the console would draw into a file."""
    if not sys.stderr.isatty():
        raise UsageError("the console draws on stderr, which goes elsewhere", "start it without 2>")
