"""Reads of whole databases on connections of their own: inventories, contents, snapshots, questions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg

from console.engine.plain import plain
from console.engine.port import Selected
from console.engine.postgres import contents, inventory
from console.engine.postgres.aside import LIMITS, OPEN_LONG, Aside, aside
from console.engine.postgres.errors import FAILURES, lost, on_read
from console.errors import ActionFailed
from console.model.inventory import Contents, Inventory, Wanted
from console.model.target import Target

GRACE_SECONDS = 5.0


async def read_databases(target: Target) -> tuple[str, ...]:
    async with aside(target, "", purpose="databases") as held:
        return tuple(row["name"] for row in await held.fetch("databases", "the databases"))


async def read_inventory(target: Target, database: str) -> Inventory:
    limits = LIMITS | OPEN_LONG
    async with aside(target, database, purpose="inventory", limits=limits) as held, held.one_moment():
        return await inventory.read(held, database)


async def read_contents(target: Target, database: str, wanted: Wanted) -> Contents:
    """Each table has its own moment: no snapshot is held for as long as this takes."""
    async with aside(target, database, purpose="contents") as held:
        return await contents.read(held, held.database, wanted)


class PostgresSnapshot:
    """A transaction that is held open, and keeps vacuum from what it sees for as long."""

    def __init__(self, held: Aside, row: asyncpg.Record) -> None:
        self._held = held
        self.id: str = row["id"]
        self.taken_at: datetime = row["taken_at"]
        self.position: str = row["position"]

    async def inventory(self) -> Inventory:
        return await inventory.read(self._held, self._held.database)

    async def contents(self, wanted: Wanted) -> Contents:
        return await contents.read(self._held, self._held.database, wanted)


@asynccontextmanager
async def hold_snapshot(target: Target, database: str) -> AsyncIterator[PostgresSnapshot]:
    limits = LIMITS | OPEN_LONG
    async with aside(target, database, purpose="snapshot", limits=limits) as held, held.one_moment():
        # Not in a savepoint, which cannot give its snapshot away.
        yield PostgresSnapshot(held, await held.first("snapshot", "a snapshot"))


_ANYWHERE = {name: value for name, value in LIMITS.items() if name not in ("search_path", "row_security")}


async def select(target: Target, sql: str, args: Sequence[object], *, seconds: float, limit: int) -> Selected:
    """Raises ActionFailed, or an Unreachable error."""
    async with aside(target, "", purpose="runbook", limits=_ANYWHERE) as held, held.one_moment():
        try:
            async with asyncio.timeout(seconds + GRACE_SECONDS):
                rows = await held.some(sql, args, seconds=seconds, limit=limit + 1)
        except (*FAILURES, ValueError) as error:
            if lost(error) and not isinstance(error, asyncpg.DataError | ValueError):
                raise on_read(error, target, "the answer") from None
            said = " ".join(str(error).split())
            raise ActionFailed(f"{target.name}: the read was not answered: {said}") from None
    found = tuple({name: plain(value) for name, value in row.items()} for row in rows[:limit])
    return Selected(rows=found, truncated=len(rows) > limit)


async def ask(target: Target, database: str, sql: str, *, seconds: float) -> str | None:
    """Names in it are looked for where the database says. Raises ActionFailed, or an Unreachable error."""
    async with aside(target, database, purpose="question", limits=_ANYWHERE) as held, held.one_moment():
        text = held.text("ask").replace("{question}", sql.strip().rstrip(";"), 1)
        try:
            rows = await held.raw(text, seconds=seconds)
        except FAILURES as error:
            if lost(error):
                raise on_read(error, target, "the answer") from None
            said = " ".join(str(error).split())
            raise ActionFailed(f"{target.name}: the question was not answered: {said}") from None
    return None if not rows else rows[0]["answer"]
