"""How busy the server is, and how far it is behind where it is a replica."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from console.engine.mysql.link import Link
from console.engine.mysql.look import look_at_all
from console.engine.mysql.rows import account_literal
from console.errors import PrivilegeMissing
from console.model.sessions import Protection, Session, State
from console.model.table_locks import Load

Record = Mapping[str, Any]
_ON_A_SOURCE = "a source does not know how far its replicas are behind: make them targets"


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """Behind its source; None where that is not known or it has none (`source`), and `why`. `halted`: it has
    one, and does not replicate.
    """

    seconds: float | None = None
    replica: str = ""
    why: str = ""
    source: bool = False
    halted: bool = False


async def load(link: Link) -> Load:
    """Raises PrivilegeMissing where sessions are hidden. A lag that is not known is None, with a reason."""
    seen = await look_at_all(link)
    found = await lag(link)
    return Load(
        running=running(seen.sessions), lag_seconds=found.seconds, replica=found.replica, why=found.why
    )


async def lag(link: Link) -> Lag:
    """Raises an Unreachable error, but for a missing privilege, which is a reason."""
    _, identity = await link.connected()
    try:
        rows = await link.fetch("replication", "replication")
    except PrivilegeMissing:
        right = "SLAVE MONITOR" if identity.flavor == "mariadb" else "REPLICATION CLIENT"
        needed = f"GRANT {right} ON *.* TO {account_literal(identity.user)};"
        return Lag(why=f"whether this is a replica is unknown: {needed}")
    if not rows:
        return Lag(why=_ON_A_SOURCE, source=True)
    seconds, name = behind(rows)
    stopped = f"replication does not run{f' on {name}' if name else ''}"
    halted = seconds is None
    return Lag(seconds=seconds, replica=name, why=stopped if halted else "", halted=halted)


# ---- pure --------------------------------------------------------------------------------------


def running(sessions: Iterable[Session]) -> int:
    """Statements of clients that run now: Threads_running without dbdeck and without the server's own."""
    return sum(one.state is State.ACTIVE and one.protection is not Protection.OWN for one in sessions)


def behind(rows: Iterable[Record]) -> tuple[float | None, str]:
    """(seconds, channel) of the source it is furthest behind; None where one of them has stopped.

    Seconds_Behind_Source: MySQL manual 15.7.7.35 "SHOW REPLICA STATUS".
    """
    worst: tuple[float, str] = (-1.0, "")
    for row in rows:
        name = str(row.get("Channel_Name") or row.get("Connection_name") or "")
        seconds = row.get("Seconds_Behind_Source", row.get("Seconds_Behind_Master"))
        if seconds is None:
            return None, name
        worst = max(worst, (float(seconds), name))
    return worst
