"""The wait graph of a server: one snapshot of its lock table, and its own word where that is not enough."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cached_property

import asyncpg
import msgspec

from console.engine.postgres import lock_rows as locks
from console.engine.postgres import rows as to
from console.engine.postgres.link import Link
from console.errors import ServerSilent
from console.model.blocking import BlockingTree, Forest
from console.model.locks import Claim, Edge, Wait, WaitGraph, wait_graph
from console.model.sessions import Session

# pg_blocking_pids() takes every lock partition for each pid it is asked about. The first poll may ask
# of everyone in a long queue (44 ms for 600, measured); later ones only of those who came since.
ASK_FIRST, ASK_LATER = 1000, 200
SAFE_SNAPSHOT, REPLAY_SNAPSHOT = "IPC/SafeSnapshot", "IPC/RecoveryConflictSnapshot"


class Activity:
    """One read of the backend status array: the rows as they came, and sessions made of them when asked for.

    There are hundreds, and a wait graph needs only those that wait and those they wait for.
    """

    def __init__(self, rows: Sequence[asyncpg.Record], names: to.Names) -> None:
        self.rows = rows
        self._names = names

    @cached_property
    def sessions(self) -> tuple[Session, ...]:
        return tuple(to.session(row, self._names) for row in self.rows)

    def of(self, ids: Collection[int]) -> dict[int, Session]:
        """Those of these ids, by id."""
        return {row["pid"]: to.session(row, self._names) for row in self.rows if row["pid"] in ids}

    @property
    def leaders(self) -> dict[int, int]:
        """The leader of each parallel worker."""
        found = {row["pid"]: row["leader_pid"] for row in self.rows}
        return {pid: leader for pid, leader in found.items() if leader is not None and leader != pid}

    def waiting(self, event: str) -> list[int]:
        name = event.partition("/")[2]
        return [row["pid"] for row in self.rows if row["wait_event"] == name and to.wait(row) == event]

    @property
    def anybody_waits(self) -> bool:
        """Or may do so unseen: a missing privilege is not "nobody waits"."""
        return any(to.is_hidden(row) or _waits(to.wait(row) or "") for row in self.rows)


def _waits(event: str) -> bool:
    return event.startswith("Lock/") or event in (SAFE_SNAPSHOT, REPLAY_SNAPSHOT)


class Waits:
    def __init__(self, link: Link) -> None:
        self._link = link
        self._budget = ASK_FIRST
        self._decided: dict[tuple[int, float | None], frozenset[int]] = {}
        self._seen: tuple[list[Claim], list[Edge], frozenset[int]] | None = None
        self._forest = Forest(WaitGraph(ids=(), hard={}, soft={}))

    async def activity(self, session_id: int | None = None) -> Activity:
        found = await self._link.fetch("sessions", "sessions", session_id)
        await self._link.learn(found)
        return Activity(found, self._link.names.shared)

    async def tree(self, activity: Activity, found: Sequence[to.Record]) -> BlockingTree:
        """`found` are the rows of the lock table, at least the contended ones."""
        leaders = activity.leaders
        owners = locks.Owners(found, leaders)
        rows, tuples = locks.contended(found), locks.row_locks(found, owners)
        claims = [locks.claim(row, owners) for row in rows]
        edges, waits = await self._unlocked(activity)
        forest = await self._shape(claims, edges, locks.turns(rows, owners))
        known = activity.of(set(forest.graph.ids) - leaders.keys())
        known |= await self._prepared(claims)
        await self._link.learn_relations(locks.relations_of([*rows, *tuples.values()]))
        waits |= locks.waits(rows, tuples, owners, self._link.names.relations)
        return forest.drawn(known, waits)

    async def _shape(self, claims: list[Claim], edges: list[Edge], turns: frozenset[int]) -> Forest:
        """Queues mostly stand as they stood two seconds ago: then so do the graph and its tree. They are kept
        until claims, edges or turns differ, unless the server may answer otherwise next time.
        """
        seen = claims, edges, turns
        if seen == self._seen:
            return self._forest
        graph, settled = wait_graph(claims, to.CONFLICTS, edges=edges), True
        if graph.undecided:
            graph, settled = await self._decide(graph, claims, edges)
        self._forest = Forest(msgspec.structs.replace(graph, turns=turns))
        self._seen = seen if settled else None
        return self._forest

    async def _unlocked(self, activity: Activity) -> tuple[list[Edge], dict[int, Wait]]:
        """Waits for others that are not waits for a lock."""
        edges = [*replay_edges(activity)]
        waits = {
            edge.waiter: Wait(object="the end of snapshots that still need rows the primary removed", mode="")
            for edge in edges
        }
        asked = activity.waiting(SAFE_SNAPSHOT)
        for row in await self._link.fetch("safe_snapshots", "blockers", asked) if asked else ():
            edges += [Edge(row["pid"], blocker) for blocker in row["blockers"]]
            waits[row["pid"]] = Wait(object="a safe snapshot (SERIALIZABLE READ ONLY DEFERRABLE)", mode="")
        return edges, waits

    async def _decide(
        self, graph: WaitGraph, claims: Sequence[Claim], edges: Sequence[Edge]
    ) -> tuple[WaitGraph, bool]:
        """Ask the server where the snapshot cannot tell, once for each wait; and whether that is for good.

        Who stands ahead of a waiter can only leave, so an answer stays true for those still there.
        """
        waits = {one.session: (one.session, one.since) for one in claims if not one.granted}
        known = {key: blockers for key, blockers in self._decided.items() if waits.get(key[0]) == key}
        asked = [pid for pid in sorted(graph.undecided) if waits[pid] not in known][: self._budget]
        self._budget = min(ASK_LATER, 2 * self._budget)
        there = set(graph.ids)
        for answer in await self._blockers(asked) if asked else ():
            pid, blockers = answer["pid"], answer["blockers"]
            if blockers:  # nobody: it waits no more, or it is no backend (the startup process of a standby)
                known[waits[pid]] = frozenset(_named(graph, pid, blockers))
        told = {key[0]: sorted(blockers & there) for key, blockers in known.items()}
        self._decided = {
            key: blockers
            for key, blockers in known.items()
            if key[1] is not None and key[0] not in graph.shifting
        }
        settled = all(waits[pid] in self._decided for pid in graph.undecided)
        return wait_graph(claims, to.CONFLICTS, edges=edges, blockers=told), settled

    async def _blockers(self, asked: list[int]) -> Sequence[asyncpg.Record]:
        """A server too busy to answer for so many in time is asked of fewer from now on: until it has told of
        everyone, the snapshot has to do.
        """
        try:
            return await self._link.fetch("blocking_pids", "blockers", asked)
        except ServerSilent:
            if not self._link.alive:
                raise
            self._budget = max(1, len(asked) // 4)
            return ()

    async def _prepared(self, claims: Sequence[Claim]) -> dict[int, Session]:
        if not any(claim.session < 0 for claim in claims):
            return {}
        found = await self._link.fetch("prepared", "prepared transactions")
        await self._link.learn(found)
        return {-int(row["xid"]): to.prepared(row, self._link.names.shared) for row in found}


def replay_edges(activity: Activity) -> Iterable[Edge]:
    """Whom the startup process of a standby waits for while it may not remove rows that a snapshot needs.

    The server tells nobody how old a snapshot may be. It waits for at least one of those of one
    database, so the oldest is certain (hard) where all are of one database; where they are of several,
    the oldest of each is only likely (soft). Waits for locks while replaying are in the lock table.
    """
    waiters = activity.waiting(REPLAY_SNAPSHOT)
    oldest: dict[int, tuple[int, int]] = {}
    for row in activity.rows if waiters else ():
        if row["xmin_age"] is not None and row["database"]:
            mine = (row["xmin_age"], row["pid"])
            oldest[row["database"]] = max(mine, oldest.get(row["database"], mine))
    for waiter in waiters:
        for _, pid in sorted(oldest.values(), reverse=True):
            yield Edge(waiter, pid, hard=len(oldest) == 1)


def _named(graph: WaitGraph, session: int, blockers: Sequence[int]) -> set[int]:
    """The server's answer; its pid 0 is a prepared transaction, which we know by its transaction id."""
    named = {pid for pid in blockers if pid}
    if 0 in blockers:
        mask = graph.direct.get(graph.ids.index(session), 0)
        named |= {other for bit, other in enumerate(graph.ids) if other < 0 and mask >> bit & 1}
    return named
