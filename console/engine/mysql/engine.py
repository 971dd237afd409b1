"""Reads of a MySQL or MariaDB server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from console.engine.mysql import locks as row_locks
from console.engine.mysql import metadata
from console.engine.mysql import rows as to
from console.engine.mysql.checks import SCHEMA_ON, findings
from console.engine.mysql.driver import own_ids
from console.engine.mysql.link import Link
from console.engine.mysql.locks import UNKNOWN, Clock, RowLock
from console.errors import PrivilegeMissing
from console.model.blocking import LockNode, blocking_forest
from console.model.locks import Claim, Edge, Wait, WaitGraph, wait_graph
from console.model.sessions import Session, by_id
from console.model.target import Check, ServerIdentity, Target


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions and transactions of one poll. `clock` is the server's.

    `hidden` is the privilege that was missing: sessions are left out, or their transaction or program
    name is. `waitless` says why nobody can see who waits, where the sessions themselves are complete.
    """

    sessions: tuple[Session, ...]
    transactions: tuple[to.Transaction, ...]
    clock: Clock
    hidden: PrivilegeMissing | None = None
    waitless: PrivilegeMissing | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the list of sessions; the rest is as in `Seen`."""

    rows: list[dict[str, Any]]
    hidden: PrivilegeMissing | None = None
    waitless: PrivilegeMissing | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What one source says about waits; sources are added up."""

    claims: tuple[Claim, ...] = ()
    conflicts: Mapping[str, frozenset[str]] = {}
    edges: tuple[Edge, ...] = ()
    waits: Mapping[int, Wait] = {}
    threads: Mapping[int, Session] = {}

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence(
            claims=self.claims + other.claims,
            conflicts={**self.conflicts, **other.conflicts},
            edges=self.edges + other.edges,
            waits={**other.waits, **self.waits},
            threads={**self.threads, **other.threads},
        )

    @property
    def waiters(self) -> set[int]:
        return {claim.session for claim in self.claims if not claim.granted} | {e.waiter for e in self.edges}


class MysqlEngine:
    """One polling connection of the monitor identity, opened when first needed and again when lost."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._link = Link(target)

    async def close(self) -> None:
        await self._link.close()

    # ---- reads -------------------------------------------------------------------------------

    async def identity(self) -> ServerIdentity:
        async with self._link.lock:
            return await self._link.identity()

    async def sessions(self) -> tuple[Session, ...]:
        """Raises PrivilegeMissing rather than leave somebody out."""
        async with self._link.lock:
            return (await self._look_at_all()).sessions

    async def session(self, session_id: int) -> Session | None:
        """None when it is gone. Raises PrivilegeMissing where it may only be hidden, or be seen without
        its transaction or program name: it would look idle, or unprotected."""
        async with self._link.lock:
            found = (await self._look_at_all(session_id)).sessions
        return found[0] if found else None

    async def locks(self) -> tuple[LockNode, ...]:
        async with self._link.lock:
            seen = await self._look_at_all()
            if seen.waitless is not None:
                raise seen.waitless
            return await self._locks(seen)

    async def checks(self) -> tuple[Check, ...]:
        async with self._link.lock:
            return await findings(self._link)

    # ---- sessions ----------------------------------------------------------------------------

    async def _look_at_all(self, session_id: int | None = None) -> Seen:
        seen = await self._look(session_id)
        if seen.hidden is not None:
            raise seen.hidden
        return seen

    async def _look(self, session_id: int | None = None) -> Seen:
        """Transactions come last: MariaDB's row locks are read from the same short-lived cache."""
        _, identity = await self._link.connected()
        found = await self._session_rows(identity, session_id)
        hidden = found.hidden
        names = await self._applications(identity)
        try:
            await self._link.settled()
            rows = await self._link.fetch("transactions", "transactions")
        except PrivilegeMissing as missing:
            rows, hidden = [], missing
        transactions = to.current((to.transaction(row) for row in rows), found.rows)
        server = to.Server(
            started_at=identity.started_at,
            own=own_ids(self.target),
            transactions={one.session: one for one in transactions if one.session},
            applications=names,
        )
        sessions = tuple(to.session(row, server) for row in found.rows)
        return Seen(
            sessions=sessions,
            transactions=transactions,
            clock=row_locks.clock(found.rows, sessions),
            hidden=hidden,
            waitless=found.waitless,
        )

    async def _session_rows(self, identity: ServerIdentity, session_id: int | None) -> Found:
        """MySQL's performance_schema may be off (no rows) or forbidden; the old list of sessions is left."""
        args = (session_id, session_id)
        if identity.flavor == "mariadb":
            return Found(rows=await self._link.fetch("processlist", "sessions", *args))
        hidden = None
        try:
            if rows := await self._link.fetch("sessions", "sessions", *args):
                return Found(rows=rows)
        except PrivilegeMissing as refused:
            hidden = refused
        rows = await self._link.fetch("processlist", "sessions", *args)
        off = PrivilegeMissing(
            f"{self.target.name}: performance_schema is off: who waits for whom cannot be seen", SCHEMA_ON
        )
        return Found(rows=rows, hidden=hidden, waitless=None if hidden else off)

    async def _applications(self, identity: ServerIdentity) -> dict[int, str]:
        """MariaDB keeps program names in performance_schema, which may be off or forbidden."""
        if identity.flavor != "mariadb":
            return {}
        try:
            rows = await self._link.fetch("applications", "program names")
        except PrivilegeMissing:
            return {}
        return {row["id"]: row["application"] for row in rows}

    # ---- locks -------------------------------------------------------------------------------

    async def _locks(self, seen: Seen) -> tuple[LockNode, ...]:
        waiting = {one.id for one in seen.sessions if to.waits_for_lock(one)}
        on_rows = {one.node for one in seen.transactions if one.waiting}
        if not waiting | on_rows:
            return ()
        found = await self._row_evidence(seen) if on_rows else Evidence()
        others = [one for one in seen.sessions if one.id in waiting - on_rows]
        if others:
            found += await self._metadata_evidence(seen, others)
        if any(one.wait == to.TABLE_FLUSH for one in others):
            found += await self._flush_evidence(seen)
        return await self._forest(seen, found)

    async def _row_evidence(self, seen: Seen) -> Evidence:
        _, identity = await self._link.connected()
        if identity.flavor == "mariadb":
            rows = await self._link.fetch("row_locks", "row locks")
            locks = row_locks.mariadb_locks(rows, seen.transactions, seen.clock)
        else:
            locks = await self._mysql_row_locks(seen)
        return Evidence(
            claims=tuple(row_locks.claims(locks)),
            conflicts=row_locks.conflicts(locks),
            waits=row_locks.waits(locks),
        )

    async def _mysql_row_locks(self, seen: Seen) -> list[RowLock]:
        owners = {one.id: one for one in seen.transactions}
        ids = tuple(one.lock_id for one in seen.transactions if one.waiting and one.lock_id)
        rows = await self._link.fetch("row_waits", "row locks", ids) if ids else []
        waiting = row_locks.requested(rows, owners, seen.clock)
        asked = tuple(row_locks.to_ask_about(waiting))
        holders = await self._link.fetch("row_holders", "row locks", asked) if asked else []
        return waiting + row_locks.held(holders, waiting, owners)

    async def _metadata_evidence(self, seen: Seen, waiters: list[Session]) -> Evidence:
        """Waiters that the server does not explain (no instrument, no privilege, a table-level lock)
        wait for an unknown blocker: they are not dropped."""
        try:
            read = await self._link.fetch("metadata_locks", "metadata locks")
            rows = [metadata.owned(row) for row in read]
            missing = {one.id for one in waiters} - {row["session_id"] for row in rows}
            recorded = not missing or await self._records_metadata_locks()
        except PrivilegeMissing:
            rows, recorded = [], False
        claims = tuple(
            metadata.claim(row, row["session_id"] or UNKNOWN, seen.clock.statements.get(row["session_id"]))
            for row in rows
        )
        found = Evidence(
            claims=claims,
            conflicts=metadata.conflicts(rows),
            waits=metadata.waits(rows, seen.clock.seconds),
            threads=metadata.threads(rows),
        )
        return found + _unexplained(waiters, found.waiters, recorded=recorded)

    async def _records_metadata_locks(self) -> bool:
        rows = await self._link.fetch("metadata_instrument", "metadata locks")
        return any(row["complete"] for row in rows)

    async def _flush_evidence(self, seen: Seen) -> Evidence:
        try:
            rows = await self._link.fetch("table_flush", "open tables")
        except PrivilegeMissing:
            rows = []
        edges, waits = row_locks.flush_edges(rows, seen.sessions)
        return Evidence(edges=tuple(edges), waits=waits)

    async def _forest(self, seen: Seen, found: Evidence) -> tuple[LockNode, ...]:
        graph = wait_graph(found.claims, found.conflicts, edges=found.edges)
        orphans = _without_blocker(graph, found)
        if orphans:
            edges = (*found.edges, *(Edge(waiter, UNKNOWN) for waiter in sorted(orphans)))
            graph = wait_graph(found.claims, found.conflicts, edges=edges)
        known = {**by_id(seen.sessions), **found.threads} | await self._without_session(seen, graph)
        return blocking_forest(graph, known, found.waits)

    async def _without_session(self, seen: Seen, graph: WaitGraph) -> dict[int, Session]:
        nodes = {UNKNOWN: Session(id=0, started_at=None, kind="unknown blocker", visible=False)}
        prepared = {one.node: one for one in seen.transactions if not one.session}
        if not prepared.keys() & set(graph.ids):
            return nodes
        name = to.which_xid(await self._xids())
        return nodes | {node: to.prepared(one, name) for node, one in prepared.items()}

    async def _xids(self) -> list[str]:
        try:
            return [to.xid(row) for row in await self._link.fetch("xa_prepared", "XA transactions")]
        except PrivilegeMissing:
            return []


def _unexplained(waiters: list[Session], explained: set[int], *, recorded: bool) -> Evidence:
    """Edges to the unknown blocker, for waits that metadata_locks does not show.

    Where it records metadata locks, a session that is missing there does not wait any more; table
    flushes are explained elsewhere, table-level locks nowhere.
    """
    left = [
        one
        for one in waiters
        if one.id not in explained and one.wait != to.TABLE_FLUSH
        if not recorded or one.wait == "Waiting for table level lock"
    ]
    return Evidence(
        edges=tuple(Edge(one.id, UNKNOWN) for one in left),
        waits={one.id: Wait(object=one.wait or "?", mode="?", seconds=one.query_seconds) for one in left},
    )


def _without_blocker(graph: WaitGraph, found: Evidence) -> set[int]:
    """Waiters whose blocker no snapshot shows: it ended meanwhile, or its lock is not recorded."""
    flushing = {session for session, wait in found.waits.items() if wait.mode == "FLUSH"}
    blocked = {graph.ids[bit] for bit, mask in graph.direct.items() if mask}
    return (found.waiters | flushing) - blocked
