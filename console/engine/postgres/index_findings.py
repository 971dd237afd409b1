"""What is wrong with indexes, each with why and with what mends it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from console.engine.postgres import btree_bloat, remedies
from console.engine.postgres.bloat import Column
from console.engine.postgres.index_rows import (
    Builders,
    numbers_of,
    option,
    sound,
    state,
    words,
)  # fmt: skip
from console.engine.postgres.rows import Record
from console.engine.postgres.twins import Twin
from console.model.indexes import Finding, IndexFinding, Severity
from console.model.tables import Bloat

NEW, OLD = re.compile(r"_ccnew\d*$"), re.compile(r"_ccold\d*$")
BIG = 10 << 20  # bytes from which a finding is more than untidy
BLOATED = 0.3  # share of an index that is surely waste
WEEK = 7 * 86400.0


class Since(msgspec.Struct, frozen=True, kw_only=True):
    """Since when the counters run; None where they were never reset. `standbys` stream from here."""

    at: datetime | None = None
    seconds: float | None = None
    standbys: int = 0
    primary: bool = True

    @property
    def words(self) -> str:
        return f"since {self.at:%Y-%m-%d %H:%M %Z}" if self.at else "since the statistics began"

    @property
    def short(self) -> bool:
        """So short that a weekly report may not have run in it."""
        return self.seconds is not None and self.seconds < WEEK


def finding(row: Record, kind: Finding, severity: Severity, **more: object) -> IndexFinding:
    return msgspec.structs.replace(
        IndexFinding(
            finding=kind,
            severity=severity,
            schema=row["table_schema"],
            table=row["table"],
            name=row["name"],
            number=row["oid"],
            bytes=row["bytes"],
            definition=words(row),
        ),
        **more,
    )


def key(row: Record) -> str:
    return f"{row['schema']}.{row['name']}"


def _argument(row: Record) -> str:
    return remedies.as_argument(row["schema"], row["name"])


# ---- invalid -------------------------------------------------------------------------------------


def broken(row: Record, builders: Builders) -> IndexFinding | None:
    """One that no query may use. While somebody builds on its table nothing is to be dropped."""
    if sound(row):
        return None
    builder = builders.of(row)
    if state(row, builder) == "building":
        why = f"session {builder} builds on this table now: it is invalid until that is done"
        return finding(row, Finding.BUILDING, Severity.INFO, session=builder, why=why)
    if row["partitioned"]:
        why = "a partitioned index is invalid until an index of each partition is attached to it"
        remedy = remedies.attach_index(row["sql_name"])
        return finding(row, Finding.INVALID, Severity.INFO, why=why, remedy=remedy)
    if row["attached"]:
        why = f"its build failed: no query uses it, and its parent's index keeps it{_costs(row)}"
        remedy = remedies.action("index.reindex", index=_argument(row))
        return finding(row, Finding.INVALID, Severity.WARN, why=why, remedy=remedy)
    return _left(row)


def _left(row: Record) -> IndexFinding:
    """What nobody wants any more, by the name that it was left with."""
    drop = remedies.action("index.drop_invalid", index=_argument(row))
    if NEW.search(row["name"]):
        why = f"a concurrent rebuild failed: the index it should have replaced is still there{_costs(row)}"
        return finding(row, Finding.LEFTOVER_NEW, Severity.WARN, why=why, remedy=drop)
    if OLD.search(row["name"]):
        why = f"a concurrent rebuild could not drop it: its replacement is valid{_costs(row)}"
        return finding(row, Finding.LEFTOVER_OLD, Severity.WARN, why=why, remedy=drop)
    why = f"its concurrent build failed: no query uses it{_costs(row)}"
    return finding(row, Finding.INVALID, Severity.BAD, why=why, remedy=drop)


def _costs(row: Record) -> str:
    """An index that is ready is kept up to date by every write, valid or not."""
    if not row["ready"]:
        return ""
    unique = ", and may refuse rows that are not unique" if row["is_unique"] else ""
    return f", and every write still updates it{unique}"


# ---- superfluous ---------------------------------------------------------------------------------


def superfluous(twin: Twin, rows: Mapping[int, Record], since: Since) -> IndexFinding:
    row, keeper = rows[twin.oid], rows[twin.keeper]
    kind = Finding.DUPLICATE if twin.same else Finding.REDUNDANT
    what = "has the same columns" if twin.same else "begins with its columns"
    bytes_ = row["bytes"] or 0
    return finding(
        row,
        kind,
        Severity.WARN if bytes_ >= BIG else Severity.NOTICE,
        scans=row["scans"],
        last_scan=row["last_scan"],
        since=since.at,
        with_=key(keeper),
        why=f"{key(keeper)} {what}, and can do its work{_idle(keeper, since)}",
        remedy=_dropping(row),
    )


def _idle(keeper: Record, since: Since) -> str:
    return f"; no scan of that one {since.words}: drop one of them, not both" if _spare(keeper) else ""


def _dropping(row: Record) -> str:
    if row["constraint"]:
        return remedies.drop_constraint(row["sql_table"], row["constraint"])
    return remedies.drop_index(row["sql_name"], partitioned=row["partitioned"])


def unused(row: Record, since: Since) -> IndexFinding | None:
    """Never scanned, and nothing hangs on it: no constraint, no foreign key, no replica identity."""
    if not _spare(row):
        return None
    severity = Severity.WARN if (row["bytes"] or 0) >= BIG else Severity.NOTICE
    doubts = []
    if since.short:
        severity = Severity.INFO
        doubts.append("that is less than a week")
    if since.standbys:
        doubts.append("scans on standbys are counted there")
    if not since.primary:
        doubts.append("scans on the primary are counted there")
    return finding(
        row,
        Finding.UNUSED,
        severity,
        scans=row["scans"],
        last_scan=row["last_scan"],
        since=since.at,
        why="; ".join([f"no scan {since.words}", *doubts]),
        remedy=remedies.drop_index(row["sql_name"], partitioned=row["partitioned"]),
    )


def _spare(row: Record) -> bool:
    bound = row["is_unique"] or row["is_exclusion"] or row["replica_identity"] or row["constraint"]
    return sound(row) and not bound and row["scans"] == 0 and not row["attached"] and not supports_key(row)


def supports_key(row: Record) -> bool:
    """Whether it leads with the columns of a foreign key of its table, in whatever order."""
    columns = numbers_of(row["columns"])[: row["keys"]]
    for text in row["foreign_keys"] or ():
        wanted = {int(number) for number in text.strip("{}").split(",")}
        if set(columns[: len(wanted)]) == wanted:
            return True
    return False


# ---- bloated -------------------------------------------------------------------------------------


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Of the columns of one index; `types` are oids, `values` pg_stats.n_distinct."""

    columns: Sequence[Column]
    types: Sequence[int]
    values: Sequence[float | None]


def by_index(rows: Iterable[Record]) -> dict[int, Statistics]:
    found: dict[int, list[Record]] = {}
    for row in rows:
        found.setdefault(row["oid"], []).append(row)
    return {
        oid: Statistics(
            columns=[Column.of(row) for row in here],
            types=[row["type"] for row in here],
            values=[row["distinct_values"] for row in here],
        )
        for oid, here in found.items()
    }


def btree(row: Record, statistics: Statistics) -> Bloat | None:
    """`live` rows of the table are rows of the index unless it is partial."""
    deduplicates = (
        option(row, "deduplicate_items") not in ("off", "false", "no", "0")
        and not row["is_unique"]
        and len(row["names"]) == row["keys"]
        and not btree_bloat.NO_DEDUPLICATION.intersection(statistics.types)
    )
    rows = row["planner_rows"]
    tree = btree_bloat.BTree(
        pages=row["pages"],
        rows=rows,
        live=None if row["predicate"] else row["live"],
        modified=row["modified"] or 0,
        fillfactor=int(option(row, "fillfactor") or 90),
        block=row["block"],
        deduplicates=deduplicates,
        distinct=btree_bloat.distinct_share(statistics.values, rows) if deduplicates else None,
    )
    return btree_bloat.estimate(tree, statistics.columns)


def bloated(row: Record, bloat: Bloat | None) -> IndexFinding | None:
    """Only where even the lower end of the bar is much: a tree filled at random is never full."""
    if bloat is None or row["bytes"] is None or not sound(row) or bloat.low < BLOATED * row["bytes"]:
        return None
    share = bloat.wasted / row["bytes"]
    return finding(
        row,
        Finding.BLOATED,
        Severity.WARN if bloat.low >= BIG else Severity.NOTICE,
        bloat=bloat,
        why=f"about {share:.0%} of it is empty, by the planner's statistics",
        remedy=remedies.action("index.reindex", index=_argument(row)),
    )
