"""What the commands share: the config, the registry, and the doors to engines, ledger and TUI."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from console.errors import UsageError

_DIGITS = 19  # of the largest id there can be

if TYPE_CHECKING:
    from console.audit.ledger import Ledger
    from console.config import Config
    from console.dispatch.dispatcher import Dispatcher
    from console.dispatch.registry import Registry
    from console.keyrings import Keyring
    from console.model.target import Target


class Services:
    """Given by the composition root: the CLI knows neither an action nor the TUI."""

    def __init__(
        self,
        *,
        registry: Callable[[], Registry],
        console: Callable[[Config, str], Awaitable[int]],
        runbooks: Callable[[], Iterable[tuple[str, str]]] = tuple,
        actions: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """`console` opens on the target of that name, "" on the first; `runbooks` are the documents that are
        shipped, as (name, text); `actions` gives the names of actions and loads none.
        """
        self.runbooks = runbooks
        self.actions = actions
        self.registry = registry
        self.console = console
        self.config_path: str | None = None
        self.master_fd: int | None = None
        self._config: Config | None = None

    def config(self) -> Config:
        """Read once; it pins the keyring of this process."""
        from console.config import find, load
        from console.dispatch.policy import check_policy
        from console.present.plain import FORCED

        if self._config is None:
            config = load(find(self.config_path))
            check_policy(config.policy, config.all_targets(), self.actions)
            self.pin(config.keyring)
            self._config = config
            if config.ui.ascii:
                os.environ[FORCED] = "1"  # as the variable asks for it, and --ascii
        return self._config

    def use(self, config: Config) -> None:
        """As if this had been read; its keyring is pinned already."""
        self._config = config

    def pin(self, section: Keyring) -> None:
        """The keyring of this process, with the master that was given."""
        from console.keyrings import pin
        from console.vault.masters import from_fd

        pin(section, from_fd(self.master_fd) if self.master_fd is not None else None)


def choose(config: Config, names: tuple[str, ...], select: str) -> list[Target]:
    """The targets meant by -t or --select. Raises UsageError for an empty selection."""
    from console.dispatch.selection import selects

    if names:
        return [config.target(name) for name in names]
    found = [target for target in config.all_targets() if selects(select, target)]
    if not found:
        raise UsageError(
            f"no target fits {select!r}" if select else "the config has no targets",
            "`dbdeck targets` lists them",
        )
    return found


def one(config: Config, name: str | None) -> Target:
    """The target of -t; without it the only one there is."""
    if name:
        return config.target(name)
    targets = config.all_targets()
    if len(targets) != 1:
        raise UsageError(
            "which target? nothing was started", f"-t one of: {', '.join(config.targets) or 'none'}"
        )
    return targets[0]


@asynccontextmanager
async def ledger(config: Config, *, write: bool) -> AsyncIterator[Ledger]:
    """The configured ledger. Raises AuditUnavailable naming the sink."""
    import asyncio  # half of what `--help` takes, which needs no loop

    from console.audit.ledger import open_ledger
    from console.cli.unlock import unlock
    from console.secrets import resolve

    await unlock(config.audit.password)
    password = await asyncio.to_thread(resolve, config.audit.password) if config.audit.password else None
    async with open_ledger(
        config.audit.url, config.journal, password=password, write=write, tell=_tell_late
    ) as opened:
        yield opened


def _tell_late(text: str) -> None:
    """What is done goes on where nobody listens any more."""
    from console.cli import output
    from console.present.units import clean

    with contextlib.suppress(OSError):
        output.note(f"dbdeck: {clean(text)}")


@asynccontextmanager
async def dispatcher(config: Config, registry: Registry) -> AsyncIterator[Dispatcher]:
    from console.dispatch.dispatcher import Dispatcher
    from console.secret_store import of_this_process

    async with ledger(config, write=True) as opened:
        made = Dispatcher(registry, opened, config.policy, store=of_this_process())
        try:
            yield made
        finally:
            await made.close()


def row_number(text: str) -> int | None:
    """Of a row of the ledger; None for what is no such number. Raises UsageError for one that no row has."""
    if not (text.isascii() and text.isdecimal()):
        return None
    if len(text) > _DIGITS or int(text) >= 1 << 63:
        raise UsageError(f"the ledger has no row {text[: _DIGITS + 1]}")
    return int(text)
