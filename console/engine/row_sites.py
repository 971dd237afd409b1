"""What is read of a table before rows of it are deleted; never polled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from console.engine.port import READ_SECONDS, Engine
from console.engine.queries import query
from console.errors import ActionFailed, PrivilegeMissing, UsageError
from console.model.row_sites import Reference, RowColumn, RowSite

MOST = 2000
COUNT_SECONDS = 30.0
MOST_COUNTED = 1_000_000
_KINDS = {"r": "table", "p": "partitioned table", "v": "view", "m": "materialized view", "f": "foreign table"}
_RULES = {"a": "no action", "r": "restrict", "c": "cascade", "n": "set null", "d": "set default"}


async def row_site(engine: Engine, schema: str, name: str) -> RowSite | None:
    """None where there is none. Raises UsageError where the name is that of several."""
    server = await engine.identity()
    postgres = server.flavor == "postgresql"
    schema = schema or ("" if postgres else engine.target.database)
    sql = query("postgres" if postgres else "mysql", "row_site", server.flavor, server.version_num)
    args = (schema, name) if postgres else (schema, name) * 5
    found = await engine.select(sql, args, seconds=READ_SECONDS, limit=MOST)
    tables = [row for row in found.rows if row["kind"] == "table"]
    if not tables:
        return None
    if len(tables) > 1:
        named = ", ".join(f"{row['a']}.{row['b']}" for row in tables)
        raise UsageError(f"{name!r} is several: {named}; nothing was executed", "name it with its schema")
    return _site(tables[0], found.rows)


def _site(table: dict[str, Any], rows: Sequence[dict[str, Any]]) -> RowSite:
    of = {kind: [row for row in rows if row["kind"] == kind] for kind in _PARTS}
    indexes: dict[str, list[str]] = {}
    for row in of["index"]:
        indexes.setdefault(row["a"], []).append(row["b"])
    kind, told = str(table["c"]), str(table["d"] or "")
    return RowSite(
        schema=table["a"],
        name=table["b"],
        number=int(table["number"]),
        kind=_KINDS.get(kind, "table" if kind == "base table" else kind),
        columns=tuple(
            RowColumn(name=row["b"], type=str(row["c"]), generated=row["d"] is not None)
            for row in of["column"]
        ),
        primary=tuple(row["b"] for row in of["primary"]),
        indexes=tuple(tuple(one) for one in indexes.values()),
        references=tuple(
            Reference(name=row["a"], table=row["b"], rule=_RULES.get(str(row["c"]), str(row["c"])))
            for row in of["referred"]
        ),
        triggers=tuple(row["a"] for row in of["trigger"]),
        children=tuple(row["a"] for row in of["child"]),
        secured=told.endswith("row security"),
        storage=told.removesuffix("row security").removesuffix(", "),
    )


_PARTS = ("column", "primary", "index", "referred", "trigger", "child")


async def now_there(engine: Engine) -> datetime:
    """The server's clock."""
    postgres = (await engine.identity()).flavor == "postgresql"
    sql = "select extract(epoch from clock_timestamp())::float8 as now" if postgres else _NOW
    found = await engine.select(sql, (), seconds=READ_SECONDS, limit=1)
    return datetime.fromtimestamp(float(found.rows[0]["now"]), UTC)


_NOW = "select unix_timestamp(now(6)) as now"


async def names_looked_for(engine: Engine) -> str:
    """Where PostgreSQL looks for names (search_path) for the monitor in its database; empty elsewhere.

    Operators are looked for there, too: what is equal may depend on it.
    """
    if (await engine.identity()).flavor != "postgresql":
        return ""
    sql = "select pg_catalog.current_setting('search_path') as path"
    found = await engine.select(sql, (), seconds=READ_SECONDS, limit=1)
    return str(found.rows[0]["path"])


async def counted_there(engine: Engine, table: str, where: str, shown: str) -> int:
    """How many rows of a quoted table fit, a million and one at most.

    Raises PrivilegeMissing with the GRANT where the monitor may not read it, or it took too long.
    """
    some = f"select 1 as one from {table} where {where} limit {MOST_COUNTED + 1}"  # noqa: S608 - quoted names
    sql = f"select count(*) as n from ({some}) x"  # noqa: S608
    try:
        found = await engine.select(sql, (), seconds=COUNT_SECONDS, limit=1)
    except ActionFailed as error:
        name = table.removeprefix("only ")
        raise PrivilegeMissing(
            f"the rows of {shown} could not be counted: {error.message}",
            f"GRANT SELECT ON {name} TO {engine.target.monitor.user}; it reads them to count, and to prove",
        ) from None
    return int(found.rows[0]["n"])


async def samples_there(
    engine: Engine, table: str, columns: Sequence[str], where: str
) -> list[dict[str, Any]]:
    """A few of them, by quoted columns. Raises ActionFailed."""
    sql = f"select {', '.join(columns)} from {table} where {where} limit 5"  # noqa: S608 - quoted
    found = await engine.select(sql, (), seconds=COUNT_SECONDS, limit=5)
    return list(found.rows)
