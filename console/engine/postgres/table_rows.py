"""Rows about tables -> the model, and a query -> what is bound to it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from console.engine.postgres.bloat import Column, Heap, estimate
from console.engine.postgres.rows import Record
from console.model.tables import Bloat, Exhaustion, Table, TableKind, TableQuery

_UNCOUNTED = dict.fromkeys(("dead", "modified", "inserted", "vacuums", "analyzes"))
KINDS = {"r": TableKind.TABLE, "p": TableKind.PARTITIONED, "m": TableKind.MATERIALIZED_VIEW}


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """When autovacuum comes to one table, as the server computes it, and whether it would now (`due`)."""

    enabled: bool = True
    vacuum_at: int | None = None
    insert_at: int | None = None
    analyze_at: int | None = None
    due: bool = False

    @classmethod
    def of(cls, row: Record) -> Limits:
        return cls(
            enabled=row["enabled"],
            vacuum_at=row["vacuum_at"],
            insert_at=row["insert_at"],
            analyze_at=row["analyze_at"],
            due=row["due"],
        )


def bound(wanted: TableQuery) -> tuple[object, ...]:
    """The parameters of tables_chosen.sql, in their order."""
    return (
        str(wanted.order),
        wanted.limit,
        wanted.offset,
        [schema for schema, _ in wanted.names],
        [name for _, name in wanted.names],
        wanted.schema,
        like(wanted.pattern),
        wanted.system,
    )


def like(pattern: str) -> str:
    """A shell pattern (* and ?) as one of LIKE, whose own signs mean themselves."""
    for sign in "\\%_":
        pattern = pattern.replace(sign, "\\" + sign)
    return pattern.replace("*", "%").replace("?", "_")


def settings(options: Sequence[str] | None) -> dict[str, str]:
    """pg_class.reloptions: `name=value` each."""
    return dict(option.split("=", 1) for option in options or () if "=" in option)


def table(
    row: Record,
    limits: Limits,
    *,
    columns: Sequence[Column] = (),
    exhaustion: Exhaustion | None = None,
    busy: int | None = None,
    primary: bool = True,
) -> Table:
    """`why` comes later: it needs to know who is in the way. A standby counts nothing: neither its zeros nor
    what it counted while it was a primary are known.
    """
    options, counted = settings(row["options"]), row if primary else _UNCOUNTED
    analyzed_at, analyzed_by = _last(row["analyzed_at"], row["autoanalyzed_at"])
    vacuumed_at = row["vacuumed_at"]
    return Table(
        schema=row["schema"],
        name=row["name"],
        number=row["oid"],
        kind=KINDS[row["kind"]],
        owner=row["owner"],
        parent=row["parent"],
        partitions=row["partitions"],
        storage=row["storage"],
        bytes=row["bytes"],
        toast_bytes=row["toast_bytes"],
        index_bytes=row["index_bytes"],
        rows=row["rows"],
        dead=counted["dead"],
        modified=counted["modified"],
        inserted=counted["inserted"],
        bloat=None if row["kind"] == "p" else _bloat(row, columns, options),
        vacuumed_at=vacuumed_at,
        vacuumed_by=("manual" if row["by_hand"] else "auto") if vacuumed_at else "",
        vacuums=counted["vacuums"],
        analyzed_at=analyzed_at,
        analyzed_by=analyzed_by,
        analyzes=counted["analyzes"],
        filenode=row["filenode"] or None,
        vacuum_at=limits.vacuum_at if limits.enabled else None,
        insert_at=limits.insert_at if limits.enabled else None,
        analyze_at=limits.analyze_at if limits.enabled else None,
        autovacuum=limits.enabled,
        xid_age=row["xid_age"],
        mxid_age=row["mxid_age"],
        settings=options,
        exhaustion=exhaustion,
        stale_statistics=primary and _stale(row, limits, analyzed_at),
        busy=busy,
    )


def marks(row: Record) -> Table:
    """What `table_marks` knows of one."""
    return Table(
        schema=row["schema"],
        name=row["name"],
        number=row["oid"],
        filenode=row["filenode"] or None,
        dead=row["dead"],
        vacuums=row["vacuums"],
        vacuumed_at=row["vacuumed_at"],
        analyzes=row["analyzes"],
        analyzed_at=row["analyzed_at"],
    )


def _last(by_hand: datetime | None, automatic: datetime | None) -> tuple[datetime | None, str]:
    if automatic is not None and (by_hand is None or automatic > by_hand):
        return automatic, "auto"
    return by_hand, "manual" if by_hand else ""


def _stale(row: Record, limits: Limits, analyzed_at: datetime | None) -> bool:
    """So many rows changed that autoanalyze would come, or nobody ever looked and there are rows.

    The statistics of a partitioned table itself are only made by an ANALYZE of it: autovacuum never does.
    """
    if analyzed_at is None:
        return bool(row["rows"])
    return limits.analyze_at is not None and (row["modified"] or 0) > limits.analyze_at


def _bloat(row: Record, columns: Sequence[Column], options: Mapping[str, str]) -> Bloat | None:
    if row["bytes"] is None or not columns or row["planner_rows"] < 0:
        return None
    heap = Heap(
        pages=row["pages"],
        rows=row["planner_rows"],
        live=row["rows"],
        modified=row["modified"] or 0,
        fillfactor=int(options.get("fillfactor", 100)),
        block=row["block"],
    )
    return estimate(heap, columns)


def by_table(rows: Iterable[Record]) -> dict[int, list[Column]]:
    found: dict[int, list[Column]] = {}
    for row in rows:
        found.setdefault(row["oid"], []).append(Column.of(row))
    return found


def added_up(tables: Sequence[Table]) -> tuple[Table, ...]:
    """A partitioned table wastes what its leaves waste, where all of them are here and known."""
    leaves: dict[str, list[Bloat | None]] = {}
    for one in tables:
        if one.parent is not None and one.kind is not TableKind.PARTITIONED:
            leaves.setdefault(one.parent, []).append(one.bloat)
    return tuple(
        msgspec.structs.replace(one, bloat=_sum(leaves.get(one.key, ()), one.partitions))
        if one.kind is TableKind.PARTITIONED
        else one
        for one in tables
    )


def _sum(parts: Sequence[Bloat | None], expected: int) -> Bloat | None:
    known = [part for part in parts if part is not None]
    if not known or len(known) < expected:
        return None
    return Bloat(
        wasted=sum(part.wasted for part in known),
        low=sum(part.low for part in known),
        high=sum(part.high for part in known),
    )
