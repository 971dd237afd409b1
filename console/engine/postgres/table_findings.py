"""What is wrong with tables for want of an index or a checked constraint. Pure."""

from __future__ import annotations

from console.engine.postgres import remedies
from console.engine.postgres.index_findings import BIG, Since
from console.engine.postgres.rows import Record
from console.model.indexes import Finding, IndexFinding, Severity

ROWS_A_SCAN = 10_000  # of fewer rows a scan is no hot spot


def bare_foreign_key(row: Record, since: Since) -> IndexFinding:
    """`deleted` rows of the referenced table: each of them had the whole table read."""
    deleted = row["deleted"] or 0
    large = (row["bytes"] or 0) >= BIG
    severity = Severity.WARN if large and deleted else Severity.NOTICE if large or deleted else Severity.INFO
    counted = f"; {deleted:,} rows were deleted there {since.words}" if deleted else ""
    return IndexFinding(
        finding=Finding.NO_INDEX_ON_FOREIGN_KEY,
        severity=severity,
        schema=row["schema"],
        table=row["table"],
        name=row["name"],
        number=row["oid"],
        bytes=row["bytes"],
        definition=f"({', '.join(row['columns'])}) REFERENCES {row['referenced']}",
        since=since.at,
        why=f"a DELETE or a change of a key in {row['referenced']} reads this whole table{counted}",
        remedy=remedies.action(
            "index.create",
            table=remedies.as_argument(row["schema"], row["table"]),
            column=tuple(row["columns"]),
        ),
    )


def keyless(row: Record) -> IndexFinding:
    published = row["published"]
    why = "nothing tells its rows apart for certain"
    if published:
        why = "it is published without a replica identity: UPDATE and DELETE fail"
    return IndexFinding(
        finding=Finding.NO_PRIMARY_KEY,
        severity=Severity.BAD if published else Severity.NOTICE,
        schema=row["schema"],
        table=row["table"],
        number=row["oid"],
        bytes=row["bytes"],
        why=why,
        remedy=remedies.add_key(row["sql_table"], row["candidate"]),
    )


def unvalidated(row: Record) -> IndexFinding:
    return IndexFinding(
        finding=Finding.NOT_VALID,
        severity=Severity.NOTICE,
        schema=row["schema"],
        table=row["table"],
        name=row["name"],
        number=row["oid"],
        why=f"this {row['kind']} constraint was never checked for the rows that were there before it",
        remedy=remedies.validate(row["sql_table"], row["sql_name"]),
    )


def hot_spot(row: Record, since: Since) -> IndexFinding | None:
    """How often that is in an hour is not known from one look: only since when it was counted."""
    scans, rows = row["scans"], row["rows"]
    if not scans or rows / scans < ROWS_A_SCAN:
        return None
    return IndexFinding(
        finding=Finding.SEQUENTIAL_SCANS,
        severity=Severity.INFO if row["index_scans"] > scans else Severity.NOTICE,
        schema=row["schema"],
        table=row["table"],
        number=row["oid"],
        bytes=row["bytes"],
        scans=scans,
        last_scan=row["last_scan"],
        since=since.at,
        why=(
            f"read from end to end {scans:,} times, {rows:,} rows in all, {since.words}; "
            f"by its indexes {row['index_scans']:,} times"
        ),
        remedy="look for its statements in Sessions, and at their plans with EXPLAIN",
    )
