"""What backup.take asks of those who write a backup of one method, and what it gives them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from console.dispatch.operator import Operator
from console.engine.port import Engine
from console.errors import Refused
from console.model.backups import Source
from console.model.inventory import Baseline
from console.model.login import Login
from console.model.target import ServerIdentity, Target

PARTIAL = ".partial"


class Order(NamedTuple):
    """What is to be backed up, and as what. `name` is without the ending that a format gives it."""

    target: Target
    source: Source
    server: ServerIdentity
    database: str
    name: str

    @property
    def folder(self) -> Path:
        return Path(self.source.path).expanduser()

    @property
    def partial(self) -> Path:
        """Where all of it is written, until it is complete."""
        return self.folder / f".{self.name}{PARTIAL}"

    @property
    def login(self) -> Login:
        """Who takes it. Raises Refused where there is nobody."""
        login = self.source.login or self.target.operator
        if login is None:
            raise Refused(
                f"{self.target.name} has no operator, and the source no login; nothing was executed",
                "add `login` to the source, or `operator` to the target",
            )
        return login


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """How a backup would be taken. `commands` write into `Order.partial`, in this order.

    `ending`: the backup is one file, NAME and this; files beside it begin with NAME, too. Empty: it is the
    folder, as NAME. `tool` names the program with its version.
    """

    commands: tuple[tuple[str, ...], ...]
    tool: str
    ending: str = ""
    warnings: tuple[str, ...] = ()
    forecast: tuple[str, ...] = ()

    def place(self, order: Order) -> Path:
        return order.folder / f"{order.name}{self.ending}"


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken. `started_at` is the snapshot's moment by the server's clock."""

    started_at: datetime
    baseline: Baseline
    position: str = ""


class Taker(Protocol):
    """How backups of one method are taken."""

    async def draft(self, order: Order, engine: Engine) -> Draft:
        """Reads only. Raises UsageError or Refused where it cannot be taken so."""
        ...

    async def take(self, order: Order, how: Draft, operator: Operator) -> Taken:
        """Write it into `order.partial`, an empty folder of ours. Raises ActionFailed where it failed."""
        ...
