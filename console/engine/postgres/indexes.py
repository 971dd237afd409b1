"""Indexes and what is wrong with them, from catalogs and counters: no table is opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from console.engine.postgres import horizon, index_findings, table_findings
from console.engine.postgres import index_rows as to
from console.engine.postgres import table_rows as tables
from console.engine.postgres.bloat import hidden
from console.engine.postgres.link import Link
from console.engine.postgres.remedies import to_read_data
from console.engine.postgres.rows import Record
from console.engine.postgres.twins import shape, twins
from console.engine.postgres.waits import Waits
from console.errors import Unreachable
from console.model.indexes import Index, IndexFinding, IndexHealth, ranked
from console.model.sessions import by_id
from console.model.tables import TableQuery

AT_MOST = 1000  # findings of one kind
LARGE = 128  # pages of a B-tree worth an estimate: a smaller one wastes little
SCANNED_PAGES, SCANS = 1280, 50  # what makes a table a hot spot: 10 MB, and often


class Suspects(msgspec.Struct, frozen=True, kw_only=True):
    """Indexes worth a closer look, their oids by the reason; `total` and `bytes` are of all indexes."""

    reasons: Mapping[str, Sequence[int]]
    total: int
    bytes: int | None

    @classmethod
    def of(cls, rows: Sequence[Record]) -> Suspects:
        reasons: dict[str, list[int]] = {}
        for row in rows:
            if row["oid"] is not None:
                reasons.setdefault(row["reason"], []).append(row["oid"])
        return cls(reasons=reasons, total=rows[0]["total"], bytes=rows[0]["bytes"])

    def among(self, reason: str, rows: Mapping[int, Record]) -> list[Record]:
        return [rows[oid] for oid in self.reasons.get(reason, ()) if oid in rows]


async def health(link: Link, waits: Waits) -> IndexHealth:
    _, identity = await link.connected()
    look = await horizon.look(link, waits)
    since = _since((await link.fetch("statistics_since", "statistics"))[0])
    suspects = Suspects.of(await link.fetch("index_suspects", "indexes", AT_MOST, LARGE))
    oids = sorted({oid for oids in suspects.reasons.values() for oid in oids})
    rows = {row["oid"]: row for row in await link.fetch("index_rows", "indexes", oids)} if oids else {}
    large = [row["oid"] for row in suspects.among("large", rows)]
    statistics = index_findings.by_index(await link.fetch("index_columns", "statistics", large))
    found = [
        *of_indexes(suspects, rows, statistics, _builders(look), since),
        *await _of_tables(link, since),
    ]
    grant = to_read_data(identity.version_num, link.target.monitor.user)
    return IndexHealth(
        findings=ranked(found),
        looked_at=suspects.total,
        bytes=suspects.bytes,
        since=since.at,
        notes=tuple(_notes(suspects, statistics, since, grant)),
    )


def _since(row: Record) -> index_findings.Since:
    return index_findings.Since(
        at=row["since"], seconds=row["seconds"], standbys=row["standbys"], primary=row["is_primary"]
    )


def _builders(look: horizon.Look) -> to.Builders:
    return to.builders(look.progress, look.locks, by_id(look.activity.sessions), look.here)


def of_indexes(
    suspects: Suspects,
    rows: Mapping[int, Record],
    statistics: Mapping[int, index_findings.Statistics],
    builders: to.Builders,
    since: index_findings.Since,
) -> Iterable[IndexFinding]:
    """One that is superfluous is not told once more for being unused or bloated. One that keeps others is
    not told for being unused: who drops all that is named must keep one of them.
    """
    pairs = twins(shape(row) for row in suspects.among("twin", rows))
    gone = {pair.oid for pair in pairs}
    kept = gone | {pair.keeper for pair in pairs}
    idle = [row for row in suspects.among("unused", rows) if row["oid"] not in kept]
    large = [row for row in suspects.among("large", rows) if row["oid"] not in gone]
    single = [
        *(index_findings.broken(row, builders) for row in suspects.among("broken", rows)),
        *(index_findings.unused(row, since) for row in idle),
        *(
            index_findings.bloated(row, index_findings.btree(row, statistics[row["oid"]]))
            for row in large
            if row["oid"] in statistics
        ),
    ]
    yield from (index_findings.superfluous(pair, rows, since) for pair in pairs)
    yield from (one for one in single if one is not None)


async def _of_tables(link: Link, since: index_findings.Since) -> list[IndexFinding]:
    foreign = await link.fetch("foreign_keys", "foreign keys", AT_MOST)
    keyless = await link.fetch("keyless", "tables without a primary key", AT_MOST)
    unchecked = await link.fetch("unvalidated", "constraints", AT_MOST)
    scanned = await link.fetch("scanned", "sequential scans", AT_MOST, SCANNED_PAGES, SCANS)
    spots = [table_findings.hot_spot(row, since) for row in scanned]
    return [
        *(table_findings.bare_foreign_key(row, since) for row in foreign),
        *(table_findings.keyless(row) for row in keyless),
        *(table_findings.unvalidated(row) for row in unchecked),
        *(spot for spot in spots if spot is not None),
    ]


def _notes(
    suspects: Suspects,
    statistics: Mapping[int, index_findings.Statistics],
    since: index_findings.Since,
    grant: str,
) -> Iterable[str]:
    unread = sum(1 for one in statistics.values() if hidden(one.columns) in ("privilege", "row security"))
    if unread:
        many = "1 index" if unread == 1 else f"{unread:,} indexes"
        yield f"bloat of {many} is unknown, the statistics of the columns are hidden: {grant}"
    if since.standbys:
        yield (
            f"{since.standbys} standbys stream from here: scans on them are counted there, "
            "so look there too before dropping what is unused here"
        )
    for reason, oids in suspects.reasons.items():
        if len(oids) >= AT_MOST:
            yield f"only the {AT_MOST} largest were looked at for: {reason}"


async def indexes(
    link: Link, waits: Waits, wanted: TableQuery, names: Sequence[tuple[str, str]]
) -> tuple[Index, ...]:
    _, identity = await link.connected()
    chosen = [] if names else await link.fetch("tables_chosen", "tables", *tables.bound(wanted))
    found = await link.fetch(
        "indexes_of",
        "indexes",
        [row["oid"] for row in chosen if row["oid"] is not None],
        [schema for schema, _ in names],
        [name for _, name in names],
    )
    if not found:
        return ()
    rows = await link.fetch("index_rows", "indexes", [row["oid"] for row in found])
    look = await horizon.look(link, waits)
    building, definitions = _builders(look), await _definitions(link, rows, look)
    told = (
        to.index(row, identity.version_num, building.of(row), definitions.get(row["oid"], "")) for row in rows
    )
    return tuple(sorted(told, key=lambda one: (one.schema, one.table, one.name)))


async def _definitions(link: Link, rows: Sequence[Record], look: horizon.Look) -> dict[int, str]:
    """Of those nobody locks; where one was locked just now, none, and the words for all."""
    shut = to.shut_tables(look.locks, look.here)
    asked = [row["oid"] for row in rows if not shut & {row["oid"], row["table_oid"]}]
    try:
        found = await link.fetch("index_definitions", "definitions of indexes", asked)
    except Unreachable:
        if not link.alive:
            raise
        return {}
    return {row["oid"]: row["definition"] for row in found if row["definition"]}
