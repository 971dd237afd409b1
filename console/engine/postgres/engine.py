"""Reads of a PostgreSQL server."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from console.engine.port import READ_SECONDS
from console.engine.postgres import rows as to
from console.engine.postgres.driver import READ_LIMITS, Connection, close, connect
from console.engine.postgres.errors import FAILURES, on_read
from console.engine.postgres.names import Names
from console.engine.queries import query
from console.model.blocking import LockNode, blocking_forest
from console.model.locks import Claim, WaitGraph, wait_graph
from console.model.sessions import Session, by_id
from console.model.target import Check, ServerIdentity, Target

# pg_blocking_pids() takes every lock partition for each pid it is asked about. The first poll may ask
# of everyone in a long queue (44 ms for 600, measured); later ones only of those who came since.
ASK_FIRST, ASK_LATER = 1000, 200


class PostgresEngine:
    """One polling connection of the monitor identity, opened when first needed and again when lost."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._link: tuple[Connection, ServerIdentity] | None = None
        self._names = Names(target)
        self._budget = ASK_FIRST
        self._decided: dict[tuple[int, float | None], frozenset[int]] = {}
        self._busy = asyncio.Lock()

    async def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await close(link[0])

    # ---- reads -------------------------------------------------------------------------------

    async def identity(self) -> ServerIdentity:
        async with self._busy:
            connection, _ = await self._connected()
            return await identify(connection, self.target)

    async def sessions(self) -> tuple[Session, ...]:
        async with self._busy:
            return await self._sessions(None)

    async def session(self, session_id: int) -> Session | None:
        if not 0 < session_id < 1 << 31:
            return None  # no pid is so large
        async with self._busy:
            found = await self._sessions(session_id)
        return found[0] if found else None

    async def locks(self) -> tuple[LockNode, ...]:
        async with self._busy:
            sessions = await self._sessions(None)
            if not any(_may_wait(session) for session in sessions):
                return ()
            return await self._locks(sessions)

    async def checks(self) -> tuple[Check, ...]:
        async with self._busy:
            row = (await self._fetch("privileges", "privileges"))[0]
            cost = await self._cost()
        return _checks(dict(row), cost)

    # ---- how ---------------------------------------------------------------------------------

    async def _sessions(self, session_id: int | None) -> tuple[Session, ...]:
        found = await self._fetch("sessions", "sessions", session_id)
        connection, identity = await self._connected()
        seen = [("role", row["role"]) for row in found] + [("database", row["database"]) for row in found]
        await self._names.learn_shared(connection, identity.version_num, seen)
        return tuple(to.session(row, self._names.shared) for row in found)

    async def _locks(self, sessions: tuple[Session, ...]) -> tuple[LockNode, ...]:
        found = await self._fetch("locks", "locks")
        leaders = {s.id: s.leader for s in sessions if s.leader is not None and s.leader != s.id}
        owners = to.Owners(found, leaders)
        rows, tuples = to.contended(found), to.row_locks(found, owners)
        claims = [to.claim(row, owners) for row in rows]
        graph = wait_graph(claims, to.CONFLICTS)
        if graph.undecided:
            graph = await self._decide(graph, claims)
        known = by_id(session for session in sessions if session.id not in leaders)
        known |= await self._prepared(claims)
        connection, identity = await self._connected()
        await self._names.learn_relations(connection, identity, to.relations_of([*rows, *tuples.values()]))
        return blocking_forest(graph, known, to.waits(rows, tuples, owners, self._names.relations))

    async def _decide(self, graph: WaitGraph, claims: Sequence[Claim]) -> WaitGraph:
        """Ask the server where the snapshot cannot tell, once for each wait.

        Who stands ahead of a waiter can only leave, so an answer stays true for those still there.
        """
        waits = {one.session: (one.session, one.since) for one in claims if not one.granted}
        known = {key: blockers for key, blockers in self._decided.items() if waits.get(key[0]) == key}
        asked = [pid for pid in sorted(graph.undecided) if waits[pid] not in known][: self._budget]
        self._budget = ASK_LATER
        there = set(graph.ids)
        for answer in await self._fetch("blocking_pids", "blockers", asked) if asked else ():
            pid = answer["pid"]
            known[waits[pid]] = frozenset(_named(graph, pid, answer["blockers"]))
        told = {key[0]: sorted(blockers & there) for key, blockers in known.items()}
        self._decided = {
            key: blockers
            for key, blockers in known.items()
            if key[1] is not None and key[0] not in graph.shifting
        }
        return wait_graph(claims, to.CONFLICTS, blockers=told)

    async def _prepared(self, claims: Sequence[Claim]) -> dict[int, Session]:
        if not any(claim.session < 0 for claim in claims):
            return {}
        found = await self._fetch("prepared", "prepared transactions")
        return {-int(row["xid"]): to.prepared(row, self._names.shared) for row in found}

    async def _cost(self, rounds: int = 5) -> tuple[float, float]:
        """(ms of one poll beyond the round trip, ms of the round trip): medians of a few."""
        polls, trips = [], []
        for _ in range(rounds):
            connection, _ = await self._connected()
            start = time.perf_counter()
            await connection.fetchval("select 1")
            middle = time.perf_counter()
            await self._fetch("sessions", "sessions", None)
            await self._fetch("locks", "locks")
            polls.append(time.perf_counter() - middle)
            trips.append(middle - start)
        trip = statistics.median(trips)
        return max(0.0, statistics.median(polls) - 2 * trip) * 1000, trip * 1000

    async def _connected(self) -> tuple[Connection, ServerIdentity]:
        if self._link is None or self._link[0].is_closed():
            self._names.clear()
            fresh = await connect(self.target, self.target.monitor, limits=READ_LIMITS)
            try:
                self._link = fresh, await identify(fresh, self.target)
            except BaseException:
                fresh.terminate()
                raise
        return self._link

    async def _fetch(self, name: str, what: str, *args: object) -> list[asyncpg.Record]:
        connection, identity = await self._connected()
        sql = query("postgres", name, "postgresql", identity.version_num)
        try:
            async with asyncio.timeout(READ_SECONDS):
                return await connection.fetch(sql, *args)
        except FAILURES as error:
            if not isinstance(error, asyncpg.PostgresError) or connection.is_closed():
                self._drop(connection)
            raise on_read(error, self.target, what) from None
        except asyncio.CancelledError:
            self._drop(connection)
            raise

    def _drop(self, connection: Connection) -> None:
        """A connection that went silent or was cancelled mid-read is not reused."""
        connection.terminate()
        self._link = None


def _named(graph: WaitGraph, session: int, blockers: Sequence[int]) -> set[int]:
    """The server's answer; its pid 0 is a prepared transaction, which we know by its transaction id."""
    named = {pid for pid in blockers if pid}
    if 0 in blockers:
        mask = graph.direct.get(graph.ids.index(session), 0)
        named |= {other for bit, other in enumerate(graph.ids) if other < 0 and mask >> bit & 1}
    return named


def _may_wait(session: Session) -> bool:
    """Waits for a heavyweight lock, or may do so unseen: a missing privilege is not "nobody waits"."""
    return not session.visible or (session.wait or "").startswith("Lock/")


async def identify(connection: Connection, target: Target) -> ServerIdentity:
    """Raises an Unreachable error; used for the monitor's and the operator's connection alike."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            row = (await connection.fetch(query("postgres", "identity", "postgresql", 0)))[0]
    except FAILURES as error:
        raise on_read(error, target, "identity") from None
    return ServerIdentity(
        flavor="postgresql",
        version=row["version"],
        version_num=row["version_num"],
        system_id=row["system_id"],
        started_at=row["started_at"],
        primary=row["is_primary"],
        tls="unix socket" if target.local else row["tls"] or "off",
        user=row["session_user"],
        database=row["database"],
    )


def _checks(row: dict[str, Any], cost: tuple[float, float]) -> tuple[Check, ...]:
    role = row["role"]
    powerful = row["superuser"] or row["signal_backend"]
    skew = row["clock"] - datetime.now().astimezone().timestamp()
    free = row["max_connections"] - row["reserved"] - row["used"]
    return (
        Check(
            name="sessions and locks",
            ok=row["read_all_stats"],
            detail="sees every session" if row["read_all_stats"] else "other roles' sessions stay hidden",
            hint="" if row["read_all_stats"] else f"GRANT pg_monitor TO {role};",
            vital=True,
        ),
        Check(
            name="monitor cannot act",
            ok=not powerful,
            detail=f"the polling role {'could' if powerful else 'cannot'} end sessions by itself",
            hint="" if not row["signal_backend"] else f"REVOKE pg_signal_backend FROM {role};",
        ),
        Check(
            name="connection slots",
            ok=free > 0,
            detail=f"{row['used']} of {row['max_connections']} used, {row['reserved']} for superusers only",
        ),
        Check(
            name="clock",
            ok=abs(skew) < 2,
            detail=f"the server is {skew:+.1f} s from this machine",
        ),
        Check(
            name="load of one poll",
            ok=cost[0] < 20,
            detail=f"about {cost[0]:.1f} ms on the server every refresh; round trip {cost[1]:.1f} ms",
        ),
    )
