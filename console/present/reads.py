"""The reads a runbook may name: what `dbdeck show` shows, with the same fields, as JSON data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from console.backups.board import nothing_past, read_backups
from console.engine.drain_board import drain_board
from console.engine.plain import plain
from console.engine.port import Engine
from console.model.overview import Pulse
from console.model.tables import TableQuery
from console.present import (
    accounts,
    backups,
    deadlocks,
    drain,
    horizon,
    indexes,
    locks,
    progress,
    sessions,
    tables,
    transactions,
)
from console.secret_store import of_this_process

Read = Callable[[Engine], Awaitable[list[dict[str, Any]]]]


def _read(look: Callable[[Engine], Awaitable[Any]], rows: Callable[[Any], list[dict[str, Any]]]) -> Read:
    async def read(engine: Engine) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = plain(rows(await look(engine)))
        return found

    return read


async def _drain(engine: Engine) -> Any:
    """Raises where the keyring does not tell: without it nobody may be called drained."""
    board = await drain_board(engine, of_this_process())
    if board.problem is not None:
        raise board.problem
    return board


async def _backups(engine: Engine) -> list[dict[str, Any]]:
    """What lies there; a source that cannot be read is a row without an id. What was proved stands in the
    ledger, and is not told here.
    """
    board = await read_backups(engine.target, nothing_past)
    rows = [
        {name: value for name, value in row.items() if name not in _PROVED} for row in backups.document(board)
    ]
    unread = [{"source": one.partition(": ")[0], "id": "", "faults": [one]} for one in board.problems]
    found: list[dict[str, Any]] = plain([*rows, *unread])
    return found


async def _health(engine: Engine) -> list[dict[str, Any]]:
    """One row: how far the replica that is furthest behind is behind, how many commits wait for a synchronous
    standby that is gone, how full the disk of the data is, and how old the oldest transaction numbers of all
    databases are. What is not known is null, with its reason; one that is hidden hides none of the others.
    """
    pulse = await engine.pulse()
    disk = await engine.disk(*_CATALOG["mysql" if engine.target.engine == "mysql" else "postgres"])
    oldest = {one.kind: one for one in (await engine.numbers()).numbers}
    xid, mxid = oldest.get("xid"), oldest.get("multixact")
    used = None if disk.free is None or not disk.size else round(1 - disk.free / disk.size, 4)
    return [
        {
            "replica": pulse.replica,
            "lag_seconds": pulse.lag_seconds,
            "lag_bytes": pulse.lag_bytes,
            "lag_unknown": pulse.halted or ("; ".join(pulse.unknown) if pulse.lag_seconds is None else ""),
            "halted": bool(pulse.halted),
            "stuck_commits": _stuck(pulse),
            "disk": disk.place,
            "disk_free": disk.free,
            "disk_used": used,
            "disk_unknown": disk.why,
            "xid_age": xid and xid.age,
            "xid_database": xid and xid.database,
            "mxid_age": mxid and mxid.age,
            "mxid_database": mxid and mxid.database,
        }
    ]


def _stuck(pulse: Pulse) -> int | None:
    """None where those who wait are hidden: then nobody was seen to."""
    if pulse.waiting is None:
        return None
    commits = pulse.commits
    return commits.waiting if commits is not None and commits.there < commits.wanted else 0


_CATALOG: Final = {"postgres": ("pg_catalog", "pg_class"), "mysql": ("mysql", "db")}  # lies with the data
_PROVED: Final = ("proved", "proved_at", "report")

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
    "drain": _read(_drain, drain.document),
    "backups": _backups,
    "slots": _read(lambda engine: engine.slots(), msgspec.to_builtins),
    "health": _health,
}
