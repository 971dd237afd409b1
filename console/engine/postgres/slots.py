"""Replication slots of PostgreSQL: rows -> the model, with the session that reads from each."""

from __future__ import annotations

from collections.abc import Mapping

from console.engine.postgres.link import Link
from console.engine.postgres.rows import Names, Record
from console.engine.postgres.waits import Waits
from console.model.replication import Slot
from console.model.sessions import Session, by_id


async def read(link: Link, waits: Waits) -> tuple[Slot, ...]:
    found = await link.fetch("slots", "replication slots")
    if not found:
        return ()
    await link.learn(found)
    sessions = by_id((await waits.activity()).sessions) if any(row["active_pid"] for row in found) else {}
    return tuple(slot(row, link.names.shared, sessions) for row in found)


def slot(row: Record, names: Names, sessions: Mapping[int, Session]) -> Slot:
    """A lost slot keeps nothing, whatever position it shows: its bytes stay unknown."""
    database = row["database"]
    return Slot(
        name=row["name"],
        kind=row["kind"],
        plugin=row["plugin"],
        database=names.get(("database", database), f"oid {database}") if database else None,
        temporary=row["temporary"],
        active_pid=row["active_pid"],
        reader=sessions.get(row["active_pid"]),
        xmin_age=row["xmin_age"],
        catalog_xmin_age=row["catalog_xmin_age"],
        restart_lsn=row["restart_lsn"],
        confirmed_lsn=row["confirmed_lsn"],
        retained_bytes=row["retained_bytes"],
        safe_bytes=row["safe_bytes"],
        wal_status=row["wal_status"],
        inactive_since=row["inactive_since"],
        idle_seconds=row["idle_seconds"],
        invalidation=row["invalidation"] or row["conflicting"],
        synced=bool(row["synced"]),
        failover=bool(row["failover"]),
    )
