"""One look at the sessions and transactions of a server: what every other read begins with."""

from __future__ import annotations

from typing import Any

import msgspec

from console.engine.mysql import locks as row_locks
from console.engine.mysql import rows as to
from console.engine.mysql import xa
from console.engine.mysql.checks import SCHEMA_ON
from console.engine.mysql.driver import own_ids
from console.engine.mysql.errors import OutOfCluster
from console.engine.mysql.link import Link
from console.engine.mysql.locks import Clock
from console.errors import PrivilegeMissing
from console.model.sessions import Session
from console.model.target import ServerIdentity


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions and transactions of one poll. `clock` is the server's.

    `hidden` is the privilege that was missing: sessions are left out, or their transaction or program
    name is. `waitless` says why nobody can see who waits, where the sessions themselves are complete.
    """

    identity: ServerIdentity
    sessions: tuple[Session, ...]
    transactions: tuple[to.Transaction, ...]
    clock: Clock
    hidden: PrivilegeMissing | None = None
    waitless: PrivilegeMissing | None = None

    @property
    def prepared(self) -> tuple[int, ...]:
        """Nodes of the prepared XA transactions that have no session."""
        return tuple(one.node for one in self.transactions if not one.session and not one.rolling_back)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the list of sessions; the rest is as in `Seen`."""

    rows: list[dict[str, Any]]
    hidden: PrivilegeMissing | None = None
    waitless: PrivilegeMissing | None = None


async def look_at_all(link: Link, session_id: int | None = None) -> Seen:
    """Raises PrivilegeMissing rather than leave somebody out."""
    seen = await _look(link, session_id)
    if seen.hidden is not None:
        raise seen.hidden
    return seen


async def _look(link: Link, session_id: int | None) -> Seen:
    """Transactions come last: MariaDB's row locks are read from the same short-lived cache."""
    _, identity = await link.connected()
    found = await _session_rows(link, identity, session_id)
    hidden = found.hidden
    names = await _applications(link, identity)
    try:
        await link.settled()
        rows = await link.fetch("transactions", "transactions")
    except PrivilegeMissing as missing:
        rows, hidden = [], missing
    transactions = to.current((to.transaction(row) for row in rows), found.rows)
    server = to.Server(
        started_at=identity.started_at,
        own=own_ids(link.target),
        transactions={one.session: one for one in transactions if one.session},
        applications=names,
    )
    sessions = tuple(to.session(row, server) for row in found.rows)
    return Seen(
        identity=identity,
        sessions=sessions,
        transactions=transactions,
        clock=row_locks.clock(found.rows, sessions),
        hidden=hidden,
        waitless=found.waitless,
    )


async def _session_rows(link: Link, identity: ServerIdentity, session_id: int | None) -> Found:
    """MySQL's performance_schema may be off (no rows) or forbidden; the old list of sessions is left."""
    args = (session_id, session_id)
    if identity.flavor == "mariadb":
        return Found(rows=await link.fetch("processlist", "sessions", *args))
    hidden = None
    try:
        if rows := await link.fetch("sessions", "sessions", *args):
            return Found(rows=rows)
    except PrivilegeMissing as refused:
        hidden = refused
    rows = await link.fetch("processlist", "sessions", *args)
    off = PrivilegeMissing(
        f"{link.target.name}: performance_schema is off: who waits for whom cannot be seen", SCHEMA_ON
    )
    return Found(rows=rows, hidden=hidden, waitless=None if hidden else off)


async def _applications(link: Link, identity: ServerIdentity) -> dict[int, str]:
    """MariaDB keeps program names in performance_schema, which may be off or forbidden."""
    if identity.flavor != "mariadb":
        return {}
    try:
        rows = await link.fetch("applications", "program names")
    except PrivilegeMissing:
        return {}
    return {row["id"]: row["application"] for row in rows}


async def xa_names(link: Link, identity: ServerIdentity) -> xa.Names:
    try:
        rows = await link.fetch("xa_prepared", "XA transactions")
    except PrivilegeMissing:
        return xa.names(None)
    except OutOfCluster:  # with Galera there are none (error 1235)
        return xa.names(())
    if not rows or identity.flavor != "mysql":
        return xa.names(rows)
    try:
        return xa.names(rows, await link.fetch("xa_sessions", "XA transactions"))
    except PrivilegeMissing:
        return xa.names(rows)


async def prepared_sessions(link: Link) -> frozenset[int]:
    """Whose transaction InnoDB's report calls prepared: of a session at work it may be an ordinary commit."""
    from console.engine.mysql.innodb_status import purge

    try:
        rows = await link.fetch("innodb_status", "XA transactions")
    except PrivilegeMissing:
        return frozenset()
    report = purge(str(rows[0]["Status"])) if rows else None
    return report.prepared if report else frozenset()


async def records_metadata_locks(link: Link) -> bool:
    """Whether the server records all of them. Raises PrivilegeMissing."""
    rows = await link.fetch("metadata_instrument", "metadata locks")
    return any(row["complete"] for row in rows)
