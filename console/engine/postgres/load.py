"""What maintenance must not push over a limit: statements that run, and replicas that fall behind."""

from __future__ import annotations

from collections.abc import Iterable

from console.engine.postgres.link import Link
from console.engine.postgres.remedies import role_in_sql
from console.engine.postgres.rows import Record
from console.engine.postgres.waits import Waits
from console.errors import PrivilegeMissing
from console.model.sessions import Protection, Session, State
from console.model.table_locks import Load


async def read(link: Link, waits: Waits) -> Load:
    """Raises PrivilegeMissing where other roles' sessions are hidden: they are not "none run"."""
    running = count((await waits.activity()).sessions)
    if running is None:
        raise PrivilegeMissing(
            f"{link.target.name}: how many statements run is hidden from this login",
            f"GRANT pg_monitor TO {role_in_sql(link.target.monitor.user)};",
        )
    return load(running, await link.fetch("replicas", "replicas"))


def count(sessions: Iterable[Session]) -> int | None:
    """Client sessions that run a statement now, without ours; None where some are hidden."""
    clients = [one for one in sessions if one.kind in ("client backend", "unknown")]
    if any(not one.visible for one in clients):
        return None
    return sum(1 for one in clients if one.state is State.ACTIVE and one.protection is not Protection.OWN)


def load(running: int, rows: Iterable[Record]) -> Load:
    """The replica furthest behind in bytes; a base backup is no replica, and replays nothing."""
    rows = list(rows)
    known = [row for row in rows if row["bytes"] is not None and row["state"] != "backup"]
    halted = next((row["halted"] for row in rows if row["halted"]), "")
    if not known:
        return Load(running=running, why=halted, halted=bool(halted))
    worst = max(known, key=lambda row: (row["bytes"], row["seconds"] or 0.0))
    return Load(
        running=running,
        lag_seconds=worst["seconds"],
        lag_bytes=worst["bytes"],
        replica=worst["name"],
        why=halted,
        halted=bool(halted),
    )
