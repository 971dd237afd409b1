"""The wait graph of a server: row locks, metadata locks and table flushes, added up."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

import msgspec

from console.engine.mysql import locks as row_locks
from console.engine.mysql import metadata, xa
from console.engine.mysql import rows as to
from console.engine.mysql.link import Link
from console.engine.mysql.locks import UNKNOWN, RowLock
from console.engine.mysql.look import Seen, records_metadata_locks, xa_names
from console.errors import PrivilegeMissing
from console.model.blocking import BlockingTree, blocking_forest
from console.model.locks import Claim, Edge, Wait, WaitGraph, wait_graph
from console.model.sessions import UNSEEN_KIND, Session, by_id

# Below, a read of data_locks that runs out of memory leaves InnoDB's list of transactions latched: the
# server hangs (release notes of MySQL 8.0.37). It grows with the locks of the transactions it looks at.
_SAFE_DATA_LOCKS = 80037
_MANY_ROW_LOCKS = 1_000_000


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What one source says about waits; sources are added up. `otherwise` are edges for waiters that
    nothing else explains. `suspects` are nodes that may be the unseen blocker.
    """

    claims: tuple[Claim, ...] = ()
    conflicts: Mapping[str, frozenset[str]] = {}
    edges: tuple[Edge, ...] = ()
    waits: Mapping[int, Wait] = {}
    threads: Mapping[int, Session] = {}
    otherwise: Mapping[int, tuple[Edge, ...]] = {}
    suspects: frozenset[int] = frozenset()

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence(
            claims=self.claims + other.claims,
            conflicts={**self.conflicts, **other.conflicts},
            edges=self.edges + other.edges,
            waits={**other.waits, **self.waits},
            threads={**self.threads, **other.threads},
            otherwise={**self.otherwise, **other.otherwise},
            suspects=self.suspects | other.suspects,
        )

    @property
    def waiters(self) -> set[int]:
        return {claim.session for claim in self.claims if not claim.granted} | {e.waiter for e in self.edges}


async def lock_tree(link: Link, seen: Seen) -> BlockingTree:
    """Raises PrivilegeMissing where nobody can see who waits."""
    if seen.waitless is not None:
        raise seen.waitless
    waiting = {one.id for one in seen.sessions if to.waits_for_lock(one)}
    on_rows = {one.node for one in seen.transactions if one.waiting}
    if not waiting | on_rows:
        return BlockingTree()
    found = await _row_evidence(link, seen) if on_rows else Evidence()
    others = [one for one in seen.sessions if one.id in waiting - on_rows]
    if others:
        found += await _metadata_evidence(link, seen, others)
    if any(one.wait == to.TABLE_FLUSH for one in others):
        found += await _flush_evidence(link, seen)
    return await _forest(link, seen, found)


async def _row_evidence(link: Link, seen: Seen) -> Evidence:
    if seen.identity.flavor == "mariadb":
        rows = await link.fetch("row_locks", "row locks")
        locks = row_locks.mariadb_locks(rows, seen.transactions, seen.clock)
    elif too_many_locks(seen):
        return unread(seen)
    else:
        locks = await _mysql_row_locks(link, seen)
    return Evidence(
        claims=tuple(row_locks.claims(locks)),
        conflicts=row_locks.conflicts(locks),
        waits=row_locks.waits(locks),
        suspects=frozenset(node for lock in locks for node in lock.suspects),
    )


def too_many_locks(seen: Seen) -> bool:
    """Whether asking for row locks could hang this server."""
    if seen.identity.version_num >= _SAFE_DATA_LOCKS:
        return False
    return any(one.rows_locked > _MANY_ROW_LOCKS for one in seen.transactions)


def unread(seen: Seen) -> Evidence:
    """The waiters, and nobody knows for whom they wait."""
    waiting = [one for one in seen.transactions if one.waiting]
    place = (
        f"row lock (not asked for: a transaction holds more than {_MANY_ROW_LOCKS:,} row locks, and "
        f"MySQL {seen.identity.version} may hang on that question; 8.0.37 and later do not)"
    )
    began = {one.node: seen.clock.waiting_since(one) for one in waiting}
    return Evidence(
        edges=tuple(Edge(node, UNKNOWN) for node in began),
        waits={
            node: Wait(
                object=place, mode="?", seconds=None if since is None else max(0.0, seen.clock.now - since)
            )
            for node, since in began.items()
        },
    )


async def _mysql_row_locks(link: Link, seen: Seen) -> list[RowLock]:
    owners = {one.id: one for one in seen.transactions}
    ids = tuple(one.lock_id for one in seen.transactions if one.waiting and one.lock_id)
    rows = await link.fetch("row_waits", "row locks", ids) if ids else []
    waiting = row_locks.requested(rows, owners, seen.clock)
    asked = tuple(row_locks.to_ask_about(waiting))
    holders = await link.fetch("row_holders", "row locks", asked) if asked else []
    return waiting + row_locks.held(holders, waiting, owners)


async def _metadata_evidence(link: Link, seen: Seen, waiters: list[Session]) -> Evidence:
    """Waiters that the server does not explain (no instrument, no privilege, a table-level lock)
    wait for an unknown blocker: they are not dropped."""
    try:
        read = await link.fetch("metadata_locks", "metadata locks")
        rows = [metadata.owned(row, seen.prepared) for row in read]
        missing = {one.id for one in waiters} - {row["session_id"] for row in rows}
        recorded = not missing or await records_metadata_locks(link)
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
        otherwise=metadata.outdated(rows) if seen.identity.flavor == "mariadb" else {},
        suspects=metadata.suspects(rows, seen.transactions, seen.prepared),
    )
    return found + _unexplained(waiters, found.waiters, recorded=recorded)


async def _flush_evidence(link: Link, seen: Seen) -> Evidence:
    try:
        rows = await link.fetch("table_flush", "open tables")
    except PrivilegeMissing:
        rows = []
    edges, waits = row_locks.flush_edges(rows, seen.sessions)
    return Evidence(edges=tuple(edges), waits=waits)


async def _forest(link: Link, seen: Seen, found: Evidence) -> BlockingTree:
    graph = wait_graph(found.claims, found.conflicts, edges=found.edges)
    orphans = _without_blocker(graph, found)
    edges = found.edges
    if orphans:
        more = [found.otherwise.get(waiter) or (Edge(waiter, UNKNOWN),) for waiter in sorted(orphans)]
        edges = (*edges, *chain.from_iterable(more))
        graph = wait_graph(found.claims, found.conflicts, edges=edges)
    known = {**by_id(seen.sessions), **found.threads} | await _without_session(link, seen, graph)
    tree = blocking_forest(graph, known, found.waits)
    # Where nothing at all is told of a blocker it may be anybody.
    anybody = {one.node for one in seen.transactions} if any(e.blocker == UNKNOWN for e in edges) else set()
    tree.suspects = found.suspects | anybody
    return tree


async def _without_session(link: Link, seen: Seen, graph: WaitGraph) -> dict[int, Session]:
    nodes = {UNKNOWN: Session(id=0, started_at=None, kind=UNSEEN_KIND, visible=False)}
    detached = {one.node: one for one in seen.transactions if not one.session}
    if not detached.keys() & set(graph.ids):
        return nodes
    names = await xa_names(link, seen.identity)
    return nodes | {node: xa.node(one, names) for node, one in detached.items()}


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
