"""Replication: slots (what each keeps, who reads it, what would be lost with it), and its words."""

from __future__ import annotations

from datetime import datetime

import msgspec

from console.model.sessions import Session
from console.model.target import ServerIdentity


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A row of pg_replication_slots. Ages are in transactions; bytes are WAL; None is unknown or none.

    `reader` is the walsender that streams from it now. `wal_status` is reserved | extended | unreserved |
    lost (PostgreSQL 13+). `inactive_since` and, by the server's clock, `idle_seconds` exist from 17 on.
    `database` is set for logical slots, which can only be dropped from a connection to it.
    """

    name: str
    kind: str
    plugin: str | None = None
    database: str | None = None
    temporary: bool = False
    active_pid: int | None = None
    reader: Session | None = None
    xmin_age: int | None = None
    catalog_xmin_age: int | None = None
    restart_lsn: str | None = None
    confirmed_lsn: str | None = None
    retained_bytes: int | None = None
    safe_bytes: int | None = None
    wal_status: str | None = None
    inactive_since: datetime | None = None
    idle_seconds: float | None = None
    invalidation: str | None = None
    synced: bool = False
    failover: bool = False


def replica_word(server: ServerIdentity) -> str:
    """What statements about replication call it: MySQL since 8.0.22 REPLICA; no statement has both words."""
    new = server.flavor == "mysql" and server.version_num >= 80022
    return "REPLICA" if new else "SLAVE"
