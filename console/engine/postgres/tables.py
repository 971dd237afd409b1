"""Tables as maintenance sees them, from catalogs and counters: no table is opened, none is waited for."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from console.engine.postgres import autovacuum, horizon, numbers, sequences
from console.engine.postgres import table_rows as to
from console.engine.postgres.bloat import Column, hidden
from console.engine.postgres.link import Link
from console.engine.postgres.progress import ProgressReader
from console.engine.postgres.remedies import past_row_security, role_in_sql, to_read_data
from console.engine.postgres.rows import Record
from console.engine.postgres.waits import Waits
from console.errors import Unreachable
from console.model.blocking import BlockingTree
from console.model.horizon import Holder
from console.model.progress import Progress
from console.model.tables import Table, TableQuery, Tables
from console.model.wraparound import Wraparound

MAINTENANCE = ("VACUUM", "ANALYZE", "CLUSTER")


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one read, and what else is known of the same tables."""

    rows: Sequence[Record]
    limits: Mapping[int, to.Limits]
    columns: Mapping[int, Sequence[Column]]
    used: sequences.Used
    grant: str = ""  # what would let this login see statistics and sequences
    total: int = 0
    due: int = 0


class TableReader:
    """Remembers the next transaction number of earlier looks: how fast they are used up is a difference."""

    def __init__(self, link: Link, waits: Waits, progress: ProgressReader) -> None:
        self._link = link
        self._waits = waits
        self._progress = progress
        self._burn = numbers.Burn()

    async def read(self, wanted: TableQuery) -> Tables:
        if wanted.marks:
            return await self._marks(wanted)
        if wanted.brief:
            return await self._brief(wanted)
        look = await horizon.look(self._link, self._waits)
        chosen = await self._chosen(wanted, look)
        report = await self._progress.report(look.progress, look.activity)
        settings = (await self._link.fetch("autovacuum", "autovacuum's settings"))[0]
        scene = await self._scene(look, autovacuum.Settings.of(settings), chosen)
        tables, why = explained(chosen, look, scene)
        around, unread = await self._wraparound(_vacuums(look, report.work))
        return Tables(
            tables=to.added_up(tables),
            total=chosen.total,
            order=str(wanted.order),
            at=settings["now"],
            wraparound=around,
            why=why,
            notes=(*self._notes(chosen, look), *unread),
        )

    async def _brief(self, wanted: TableQuery) -> Tables:
        """What identifies tables and tells how they were looked after, in two reads."""
        found = await self._link.fetch("tables_chosen", "tables", *to.bound(wanted))
        limits = {row["oid"]: to.Limits.of(row) for row in found if row["oid"] is not None}
        rows = {row["oid"]: row for row in await self._link.fetch("tables", "tables", list(limits))}
        tables = [to.table(rows[oid], limit) for oid, limit in limits.items() if oid in rows]
        return Tables(tables=to.added_up(tables), total=found[0]["total"], order=str(wanted.order))

    async def _marks(self, wanted: TableQuery) -> Tables:
        schemas, names = [schema for schema, _ in wanted.names], [name for _, name in wanted.names]
        rows = await self._link.fetch("table_marks", "tables", schemas, names)
        return Tables(tables=tuple(map(to.marks, rows)), total=len(rows), order=str(wanted.order))

    async def _chosen(self, wanted: TableQuery, look: horizon.Look) -> Chosen:
        """The order of the first read is kept: the second has none. It always has a row, for the counts."""
        found = await self._link.fetch("tables_chosen", "tables", *to.bound(wanted))
        oids = [row["oid"] for row in found if row["oid"] is not None]
        rows = {row["oid"]: row for row in await self._link.fetch("tables", "tables", oids)}
        _, identity = await self._link.connected()
        grant = to_read_data(identity.version_num, self._link.target.monitor.user)
        return Chosen(
            rows=[rows[oid] for oid in oids if oid in rows],
            limits={row["oid"]: to.Limits.of(row) for row in found if row["oid"] is not None},
            columns=to.by_table(await self._link.fetch("columns", "statistics of columns", oids)),
            used=await sequences.read(self._link, oids, look.locks, grant),
            grant=grant,
            total=found[0]["total"],
            due=found[0]["all_due"],
        )

    async def _scene(
        self, look: horizon.Look, settings: autovacuum.Settings, chosen: Chosen
    ) -> autovacuum.Scene:
        tree = BlockingTree()
        if look.activity.anybody_waits:
            tree = await self._waits.tree(look.activity, look.locks)
        blocked = autovacuum.blocked(look, tree)
        here = look.here or 0
        await self._link.learn_relations((here, one.relation) for one in blocked)
        names = self._link.names.relations
        return autovacuum.Scene(
            settings=settings,
            blocked=blocked,
            workers=autovacuum.working(look),
            due=chosen.due,
            names={oid: name for (database, oid), name in names.items() if database == here},
        )

    async def _wraparound(
        self, vacuums: Sequence[tuple[int, Progress]]
    ) -> tuple[Wraparound | None, tuple[str, ...]]:
        """Apart from the rest: pg_control_checkpoint() may have been closed to this login."""
        _, identity = await self._link.connected()
        try:
            row = (await self._link.fetch("wraparound", "transaction numbers"))[0]
        except Unreachable as error:
            if not self._link.alive:
                raise
            return None, (f"how near the transaction numbers are to their end is unknown: {error.message}",)
        server = (identity.system_id, identity.started_at)
        rate = self._burn.rates(server, row, time.monotonic())
        return numbers.wraparound(row, identity.version_num, rate, vacuums), ()

    def _notes(self, chosen: Chosen, look: horizon.Look) -> Iterable[str]:
        user = self._link.target.monitor.user
        if not look.primary:
            yield "this is a standby: dead rows, last vacuums and thresholds are known to the primary only"
        yield from bloat_notes(chosen, user)
        yield from chosen.used.notes
        if any(not session.visible for session in look.activity.sessions):
            yield (
                "sessions of other roles are hidden: who vacuums and who holds the horizon may be missing: "
                f"GRANT pg_read_all_stats TO {role_in_sql(user)};"
            )


def explained(chosen: Chosen, look: horizon.Look, scene: autovacuum.Scene) -> tuple[tuple[Table, ...], str]:
    """The tables, each with what keeps it from being looked after, and the sentence for the server."""
    busy = _busy(look)
    told: list[tuple[Table, list[Holder]]] = []
    for row in chosen.rows:
        limits, holders = chosen.limits[row["oid"]], look.pins(row)
        table = to.table(
            row,
            limits,
            columns=chosen.columns.get(row["oid"], ()),
            exhaustion=chosen.used.tables.get(row["oid"]),
            busy=busy.get(row["oid"]),
            primary=look.primary is not False,
        )
        why = autovacuum.table_why(table, limits, holders, scene) if look.primary else ""
        told.append((msgspec.structs.replace(table, why=why), holders))
    server = autovacuum.server_why(scene, told) if look.primary else ""
    return tuple(table for table, _ in told), server


def _busy(look: horizon.Look) -> dict[int, int]:
    return {
        row["relation"]: row["pid"]
        for row in look.progress
        if row["kind"] in MAINTENANCE and row["database"] == look.here and row["relation"]
    }


def _vacuums(look: horizon.Look, work: Iterable[Progress]) -> list[tuple[int, Progress]]:
    """Plain vacuums of the connected database, with the oid of their table."""
    by_pid = {one.session: one for one in work if one.command == "VACUUM"}
    return [
        (row["relation"], by_pid[row["pid"]])
        for row in look.progress
        if row["kind"] == "VACUUM" and row["database"] == look.here and row["pid"] in by_pid
    ]


def bloat_notes(chosen: Chosen, user: str) -> Iterable[str]:
    """Hidden statistics are not "no bloat"."""
    why = [hidden(chosen.columns.get(row["oid"], ())) for row in chosen.rows if row["kind"] != "p"]
    if unread := why.count("privilege"):
        yield f"bloat of {_tables(unread)} is unknown, their statistics are hidden: {chosen.grant}"
    if secured := why.count("row security"):
        yield (
            f"bloat of {_tables(secured)} is unknown, row security hides their statistics: "
            f"{past_row_security(user)}"
        )


def _tables(number: int) -> str:
    return "1 table" if number == 1 else f"{number:,} tables"
