"""One moment of a server, held open by a transaction: InnoDB shows it whoever writes meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from console.engine.mysql.contents import contents
from console.engine.mysql.inventory import inventory
from console.engine.mysql.reader import Reader, reader
from console.errors import DbdeckError
from console.model.inventory import Contents, Inventory, Wanted
from console.model.target import Target


class MysqlSnapshot:
    """`id` is empty: neither server shares one. `position`, too, where the log moved while it was opened."""

    id = ""

    def __init__(self, opened: Reader, database: str, taken_at: datetime, position: str) -> None:
        self._reader = opened
        self._database = database
        self._taken_at = taken_at
        self._position = position

    @property
    def taken_at(self) -> datetime:
        return self._taken_at

    @property
    def position(self) -> str:
        return self._position

    async def inventory(self) -> Inventory:
        """Definitions are of now: neither server keeps older ones."""
        return await inventory(self._reader, self._database)

    async def contents(self, wanted: Wanted) -> Contents:
        return await contents(self._reader, self._database, wanted)


@asynccontextmanager
async def snapshot(target: Target, database: str) -> AsyncIterator[MysqlSnapshot]:
    """Raises an Unreachable error."""
    async with reader(target, database) as opened:
        await opened.begin("set session transaction isolation level repeatable read")
        before = await _position(opened)
        await opened.begin("start transaction with consistent snapshot, read only")
        row = (await opened.fetch("snapshot_moment"))[0]
        position = _told(row) if row["file"] else before if before == await _position(opened) else ""
        taken_at = row["taken_at"].replace(tzinfo=UTC)
        yield MysqlSnapshot(opened, database, taken_at, position)


async def _position(opened: Reader) -> str:
    """Empty without a binary log, or without the right to ask."""
    try:
        rows = await opened.fetch("log_position")
    except DbdeckError:
        return ""
    if not rows:
        return ""
    row = {key.lower(): value for key, value in rows[0].items()}
    return _told({"file": row["file"], "position": row["position"], "gtid": row.get("executed_gtid_set")})


def _told(row: dict[str, Any]) -> str:
    gtid = "".join(str(row["gtid"] or "").split())
    return f"{row['file']}:{row['position']}{f' {gtid}' if gtid else ''}"
