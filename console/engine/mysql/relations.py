"""What bears a name, and what an index of a table can be built on; neither read waits for a lock on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.engine.mysql.link import Link
from console.model.indexes import Column, IndexSite
from console.model.tables import Relation

_KINDS = {"BASE TABLE": "table", "SYSTEM VERSIONED": "table", "VIEW": "view", "SYSTEM VIEW": "view",
          "SEQUENCE": "sequence"}  # fmt: skip
# MySQL manual 10.3.5, MariaDB "CREATE INDEX": of these an index takes a stated number of characters only.
_PREFIXED = ("tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob")
# MySQL manual 13.4.10 and 13.5, "Vector Indexes" of MariaDB: a plain index takes none of these.
_NEVER = ("json", "geometry", "linestring", "polygon", "multipoint", "multilinestring",
          "multipolygon", "geomcollection", "geometrycollection", "vector")  # fmt: skip


async def called(link: Link, schema: str, name: str) -> tuple[Relation, ...]:
    rows = await link.fetch("relations_called", "what is called so", schema, schema, name)
    return tuple(
        Relation(
            schema=row["table_schema"],
            name=row["table_name"],
            kind=_KINDS.get(row["kind"], str(row["kind"]).lower()),
        )
        for row in rows
    )


async def index_site(link: Link, schema: str, table: str) -> IndexSite:
    """Without columns where MariaDB cannot open the table just now."""
    rows = await link.fetch("index_site", "columns", schema, table, schema, table)
    return IndexSite(columns=tuple(column(row) for row in rows))


def column(row: Mapping[str, Any]) -> Column:
    kind, family = str(row["type"]), str(row["family"]).lower()
    obstacle = ""
    if family in _PREFIXED:
        obstacle = f"of a {kind} an index takes the first characters only, and dbdeck names no length"
    elif family in _NEVER:
        obstacle = f"a plain index takes no {family}"
    return Column(name=row["name"], type=kind, obstacle=obstacle)
