"""What reports progress on a PostgreSQL server, whom it waits for, and at which pace it goes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from console.engine.postgres.link import Link
from console.engine.postgres.progress_rows import Step, repack_step, step
from console.engine.postgres.rows import Names, Record
from console.engine.postgres.waits import Activity, Waits
from console.errors import Unreachable
from console.model.progress import Pace, Progress, ProgressReport
from console.model.sessions import Protection, Session, by_id

Relations = Mapping[tuple[int, int], str]


class Found(msgspec.Struct, frozen=True):
    """One row and what it says."""

    row: Record
    step: Step


class ProgressReader:
    """Remembers earlier looks, so that a later one knows rates."""

    def __init__(self, link: Link, waits: Waits) -> None:
        self._link = link
        self._waits = waits
        self._pace = Pace()

    async def read(self) -> ProgressReport:
        rows = await self._link.fetch("progress", "progress")
        return await self.report(rows, await self._waits.activity())

    async def report(self, rows: Sequence[Record], activity: Activity) -> ProgressReport:
        """Of rows read already."""
        _, identity = await self._link.connected()
        repacks, unread = await self._repacks(identity.version_num)
        steps = [(row, step(row, identity.version_num)) for row in rows]
        steps += [(row, repack_step(row["columns"])) for row in repacks]
        found = [Found(row, one) for row, one in steps if one is not None]
        await self._link.learn_databases(row["database"] for row, _ in steps)
        await self._link.learn_relations(_relations(found))
        blockers = await self._blockers(activity) if found else {}
        names = self._link.names
        work = [
            progress(one, by_id(activity.sessions), blockers, names.shared, names.relations) for one in found
        ]
        work.sort(key=lambda one: (-(one.seconds or 0.0), one.session))
        return ProgressReport(
            work=self._pace.feed(work, time.monotonic()),
            notes=(*unread, *_hidden(len(steps) - len(found), self._link.target.monitor.user)),
        )

    async def _repacks(self, version: int) -> tuple[Sequence[Record], tuple[str, ...]]:
        if version < 190000:
            return (), ()
        try:
            return await self._link.fetch("progress_repack", "REPACK"), ()
        except Unreachable as error:
            if not self._link.alive:
                raise
            return (), (f"REPACK, CLUSTER and VACUUM FULL are not seen: {error.message}",)

    async def _blockers(self, activity: Activity) -> dict[int, tuple[int, ...]]:
        if not activity.anybody_waits:
            return {}
        tree = await self._waits.tree(activity, await self._link.fetch("contended_locks", "locks"))
        return {node.session.id: node.blocked_by for node in tree if node.blocked_by}


def _hidden(count: int, user: str) -> tuple[str, ...]:
    if not count:
        return ()
    return (f"{count} more are hidden from this login: GRANT pg_read_all_stats TO {user};",)


def _relations(found: Iterable[Found]) -> set[tuple[int, int]]:
    wanted = set()
    for one in found:
        database = one.row["database"] or 0
        wanted |= {(database, oid) for oid in (one.row["relation"], one.step.relation) if oid}
    return wanted


def progress(
    found: Found,
    sessions: Mapping[int, Session],
    blockers: Mapping[int, Sequence[int]],
    names: Names,
    relations: Relations,
) -> Progress:
    """`seconds` are those of the statement; an autovacuum worker begins one for each table."""
    row, at = found.row, found.step
    session = sessions.get(row["pid"])
    database = row["database"] or 0
    other = relations.get((database, at.relation or 0))
    waits_for = dict.fromkeys([*([at.locker] if at.locker else []), *blockers.get(row["pid"], ())])
    return Progress(
        session=row["pid"],
        started_at=session.started_at if session else None,
        command=at.command,
        object=_name(relations, database, row["relation"]),
        database=names.get(("database", database), f"oid {database}") if database else "",
        phase=at.phase,
        done=at.done,
        total=at.total,
        unit=at.unit,
        seconds=session.query_seconds if session else None,
        automatic=bool(session and session.kind == "autovacuum worker"),
        wraparound=bool(session and session.protection is Protection.WRAPAROUND),
        waits_for=tuple(waits_for),
        rounds=at.rounds,
        query=session.query if session else None,
        user=session.user if session else None,
        details=({_role_of(at): other} if other else {}) | at.details,
    )


def _role_of(at: Step) -> str:
    return "partition" if at.command == "ANALYZE" else "index"


def _name(relations: Relations, database: int, relation: int | None) -> str:
    if not relation:
        return ""
    return (
        relations.get((database, relation)) or f"relation {relation} of database {database} (name unresolved)"
    )
