"""The reads a runbook may name: what `dbdeck show` shows, with the same fields, as JSON data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from console.engine.plain import plain
from console.engine.port import Engine
from console.model.tables import TableQuery
from console.present import (
    accounts,
    deadlocks,
    horizon,
    indexes,
    locks,
    progress,
    sessions,
    tables,
    transactions,
)

Read = Callable[[Engine], Awaitable[list[dict[str, Any]]]]


def _read(look: Callable[[Engine], Awaitable[Any]], rows: Callable[[Any], list[dict[str, Any]]]) -> Read:
    async def read(engine: Engine) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = plain(rows(await look(engine)))
        return found

    return read


READS: Final[Mapping[str, Read]] = {
    "locks": _read(lambda engine: engine.locks(), locks.document),
    "sessions": _read(lambda engine: engine.sessions(), sessions.document),
    "transactions": _read(lambda engine: engine.transactions(), transactions.document),
    "horizon": _read(lambda engine: engine.horizon(), horizon.document),
    "progress": _read(lambda engine: engine.progress(), progress.document),
    "deadlocks": _read(lambda engine: engine.deadlocks(), deadlocks.document),
    "tables": _read(lambda engine: engine.tables(TableQuery()), tables.document),
    "indexes": _read(lambda engine: engine.index_health(), indexes.document),
    "accounts": _read(lambda engine: engine.accounts(), accounts.document),
    "slots": _read(lambda engine: engine.slots(), msgspec.to_builtins),
}
