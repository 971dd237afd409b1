"""What bears a name, and what an index of a table can be built on: from catalogs, no table is opened."""

from __future__ import annotations

from console.engine.postgres.link import Link
from console.engine.postgres.rows import Record
from console.model.indexes import Column, IndexSite, Method
from console.model.tables import Relation

KINDS = {
    "r": "table", "m": "materialized view", "p": "partitioned table", "i": "index", "I": "index", "v": "view",
    "f": "foreign table", "S": "sequence", "t": "TOAST table", "c": "type", "g": "property graph",
}  # fmt: skip


async def called(link: Link, schema: str, name: str) -> tuple[Relation, ...]:
    rows = await link.fetch("relations_called", "what is called so", schema, name)
    return tuple(
        Relation(schema=row["schema"], name=row["name"], kind=KINDS.get(row["kind"], "relation"))
        for row in rows
    )


async def index_site(link: Link, schema: str, table: str) -> IndexSite:
    columns = await link.fetch("index_site", "columns", schema, table)
    methods = await link.fetch("index_methods", "kinds of index")
    return IndexSite(
        columns=tuple(_column(row) for row in columns),
        methods=tuple(
            Method(name=row["name"], unique=row["uniquely"], several=row["several"], include=row["include"])
            for row in methods
        ),
    )


def _column(row: Record) -> Column:
    """PostgreSQL 18 has columns that are computed when they are read (manual 5.4)."""
    obstacle = "it is a virtual generated column, which has no index" if row["virtual"] else ""
    return Column(name=row["name"], type=row["type"], methods=tuple(row["methods"]), obstacle=obstacle)
