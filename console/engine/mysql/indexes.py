"""Indexes and what is wrong with them. No read here waits for a metadata lock; see tables.py."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from console.engine.mysql.checks import SCHEMA_ON
from console.engine.mysql.index_findings import Foreign, Looked, Usage, findings
from console.engine.mysql.keys import Key, keys
from console.engine.mysql.link import Link
from console.engine.mysql.numbers import NO_TABLE, Pair
from console.engine.mysql.table_rows import visibility
from console.errors import PrivilegeMissing, ServerSilent
from console.model.indexes import Index, IndexHealth, ranked

_AT_A_TIME = 1000
_ENOUGH_SECONDS = 2.0
MANY_SCANNED = 1_000_000  # rows read without an index
_NOT_REBUILT = (
    "neither MySQL nor MariaDB rebuilds one index: table.optimize rebuilds them all, with the table"
)
READS_COUNTED = (
    "UPDATE performance_schema.setup_instruments SET ENABLED = 'YES' "
    "WHERE NAME = 'wait/io/table/sql/handler';"
)
USERSTAT_ON = "SET GLOBAL userstat = ON;"
Sizes = dict[tuple[str, str, str], int]


async def index_health(link: Link) -> IndexHealth:
    """Raises PrivilegeMissing rather than find nothing wrong with tables that are hidden."""
    _, identity = await link.connected()
    hidden = int((await link.fetch("tables_hidden", "tables"))[0]["hidden"])
    tables = await link.fetch("index_tables", "tables")
    if not tables and hidden:
        raise PrivilegeMissing(
            f"{link.target.name}: {hidden} tables are hidden from this login", visibility(identity.user)
        )
    engines = {(row["table_schema"], row["table_name"]): row["engine"] for row in tables}
    mariadb = identity.flavor == "mariadb"
    found, left = await _keys_in_time(link, tuple(engines)) if mariadb else (await _keys(link), ())
    sizes, unsized = await _sizes(link, tuple(engines))
    usage, uncounted = await _usage(link, identity.started_at, found)
    looked = Looked(
        keys=found,
        engines={pair: engine for pair, engine in engines.items() if pair not in left},
        foreign=[one for one in await _foreign(link) if one.table not in left],
        sizes=sizes,
        usage=usage,
        hidden_clusters=await _hidden_clusters(link) if mariadb else None,
        mariadb=mariadb,
    )
    return IndexHealth(
        findings=ranked(findings(looked)),
        looked_at=len(found),
        bytes=None if sizes is None else sum(sizes.values()),
        since=usage.since if usage else None,
        notes=(*_unseen(hidden, identity.user, engines, left), *unsized, *uncounted),
    )


async def indexes(link: Link, tables: Sequence[Pair] | None, names: Sequence[Pair]) -> tuple[Index, ...]:
    """`tables` None is all; with `names` (schema, index) only those."""
    found = await _keys(link, tables, names)
    sizes, _ = await _sizes(link, tuple({key.pair for key in found}))
    return tuple(_index(key, sizes or {}) for key in found)


async def _keys(link: Link, tables: Sequence[Pair] | None = None, names: Sequence[Pair] = ()) -> list[Key]:
    which = tables is None, tuple(tables or NO_TABLE)
    only = not names, tuple(names) or NO_TABLE
    return keys(await link.fetch("index_parts", "indexes", *which, *only))


async def _keys_in_time(link: Link, tables: tuple[Pair, ...]) -> tuple[list[Key], frozenset[Pair]]:
    """MariaDB opens each table for this: some at a time, and those left for which there was no time."""
    began, found, done = time.monotonic(), list[Key](), 0
    while done < len(tables) and time.monotonic() - began < _ENOUGH_SECONDS:
        found += await _keys(link, tables[done : done + _AT_A_TIME])
        done += _AT_A_TIME
    return found, frozenset(tables[done:])


async def _hidden_clusters(link: Link) -> frozenset[Pair]:
    """A table that MariaDB could not open at that moment looks as if it had no indexes: ask InnoDB."""
    rows = await link.fetch("hidden_clusters", "indexes")
    return frozenset((row["table_schema"], row["table_name"]) for row in rows)


async def _foreign(link: Link) -> list[Foreign]:
    columns: dict[tuple[str, str, str], list[str]] = {}
    for row in await link.fetch("foreign_keys", "foreign keys"):
        named = row["table_schema"], row["table_name"], row["constraint_name"]
        columns.setdefault(named, []).append(row["column_name"])
    return [
        Foreign(table=(schema, table), name=name, columns=tuple(found))
        for (schema, table, name), found in columns.items()
    ]


async def _sizes(link: Link, tables: tuple[Pair, ...]) -> tuple[Sizes | None, tuple[str, ...]]:
    if not tables:
        return {}, ()
    try:
        rows = await link.fetch("index_sizes", "index sizes", tables, tables)
    except PrivilegeMissing as missing:
        return None, (f"sizes of indexes are unknown: {missing.hint}",)
    except ServerSilent:
        return None, ("sizes of indexes could not be read: somebody locks their table",)
    return {
        (row["table_schema"], row["table_name"], row["index_name"]): int(row["bytes"]) for row in rows
    }, ()


async def _usage(
    link: Link, started_at: datetime, found: Sequence[Key]
) -> tuple[Usage | None, tuple[str, ...]]:
    """None where nobody counts, with what would change that."""
    unknown = "whether indexes are used is unknown"
    try:
        state = await link.fetch("usage_instrument", "index usage")
    except PrivilegeMissing as missing:
        return None, (f"{unknown}: {missing.hint}",)
    if state and state[0]["counted"]:
        rows = await link.fetch("index_usage", "index usage", MANY_SCANNED)
        lost = ("reads of some indexes were not counted: performance_schema ran out of room",)
        return counted(rows, started_at), lost if int(state[0]["lost"] or 0) else ()
    _, identity = await link.connected()
    if identity.flavor == "mariadb" and (rows := await link.fetch("usage_userstat", "index usage")):
        return by_userstat(rows, found), ()
    return None, (f"{unknown}: {_switched_off(bool(state), identity.flavor)}",)


# ---- pure --------------------------------------------------------------------------------------


def counted(rows: Sequence[dict[str, Any]], started_at: datetime) -> Usage:
    """Lost tables have no rows: what is not told is not said to be unused."""
    return Usage(
        unread=frozenset(
            (row["table_schema"], row["table_name"], row["index_name"])
            for row in rows
            if row["index_name"] is not None
        ),
        scanned={
            (row["table_schema"], row["table_name"]): int(row["fetched"])
            for row in rows
            if row["index_name"] is None
        },
        since=started_at,
        seconds=(datetime.now(UTC) - started_at).total_seconds(),
    )


def by_userstat(rows: Sequence[dict[str, Any]], found: Sequence[Key]) -> Usage:
    """It lists indexes that were read, of tables that were, and only those the login may read."""
    tables = {(row["table_schema"], row["table_name"]) for row in rows}
    read = {(row["table_schema"], row["table_name"], row["index_name"]) for row in rows}
    named = {(*key.pair, key.name) for key in found if key.pair in tables}
    return Usage(unread=frozenset(named - read))


def _switched_off(schema_on: bool, flavor: str) -> str:
    if schema_on:
        return READS_COUNTED
    return SCHEMA_ON + (f"; or {USERSTAT_ON}" if flavor == "mariadb" else "")


def _unseen(hidden: int, user: str, engines: Mapping[Pair, Any], left: Collection[Pair]) -> Iterator[str]:
    if hidden:
        yield f"{hidden} tables are hidden from this login: {visibility(user)}"
    locked = [".".join(pair) for pair, engine in engines.items() if engine is None]
    if locked:
        yield f"not looked at, as somebody holds an exclusive lock: {', '.join(locked[:5])}"
    if left:
        yield f"{len(left)} of {len(engines)} tables were not looked at: opening each took too long"


def _index(key: Key, sizes: Sizes) -> Index:
    clustered = sizes.get((*key.pair, "PRIMARY")) or sizes.get((*key.pair, "GEN_CLUST_INDEX"))
    return Index(
        schema=key.schema,
        table=key.table,
        name=key.name,
        bytes=sizes.get((*key.pair, key.name)),
        table_bytes=clustered,
        state="invalid" if key.disabled else "valid",
        unique=key.unique,
        primary=key.primary,
        constraint=key.name if key.unique else "",
        definition=key.definition,
        concurrent=_NOT_REBUILT,
    )
