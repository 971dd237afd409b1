"""Rows about indexes -> the model, in words that need no look at their tables. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from console.engine.postgres.progress_rows import BUILDS
from console.engine.postgres.rows import CONFLICTS, Record
from console.model.indexes import Index
from console.model.sessions import Session

DESCENDING, NULLS_FIRST = 1, 2  # pg_index.indoption: INDOPTION_DESC, INDOPTION_NULLS_FIRST
_BUILDS = "ShareUpdateExclusiveLock"  # CREATE INDEX, REINDEX and DROP INDEX CONCURRENTLY hold it on the table
_LOCATION = re.compile(r" :location -?\d+")  # where in the statement's text it stood: no difference


class Builders(msgspec.Struct, frozen=True, kw_only=True):
    """Who builds an index now: by its oid, by that of its table, and who may, as they hold its lock."""

    indexes: Mapping[int, int] = {}
    tables: Mapping[int, int] = {}

    def of(self, row: Record) -> int | None:
        """Of an invalid index also who works on its table: a rebuild makes several, one after the other."""
        own = self.indexes.get(row["oid"])
        return own if own is not None or sound(row) else self.tables.get(row["table_oid"])


def builders(
    progress: Iterable[Record], locks: Iterable[Record], sessions: Mapping[int, Session], here: int | None
) -> Builders:
    """A vacuum holds the same lock and builds nothing; so does an autovacuum worker."""
    indexes, tables, others = {}, {}, set()
    for row in progress:
        if row["kind"] != BUILDS:
            others.add(row["pid"])
        elif row["database"] == here and row["relation"]:
            tables[row["relation"]] = row["pid"]
            indexes[row["param7"]] = row["pid"]  # index_relid
    for row in locks:
        pid = row["pid"]
        session = sessions.get(pid)
        if row["locktype"] != "relation" or row["database"] != here or row["mode"] != _BUILDS or pid is None:
            continue
        if row["granted"] and pid not in others and (session is None or session.kind != "autovacuum worker"):
            tables.setdefault(row["relation"], pid)
    return Builders(indexes=indexes, tables=tables)


def sound(row: Record) -> bool:
    return bool(row["valid"] and row["ready"] and row["live_index"])


def state(row: Record, builder: int | None) -> str:
    if sound(row):
        return "valid"
    return "building" if builder is not None else "invalid"


def index(row: Record, version: int, builder: int | None, definition: str = "") -> Index:
    return Index(
        schema=row["schema"],
        table=row["table"],
        name=row["name"],
        number=row["oid"],
        table_number=row["table_oid"],
        filenode=row["filenode"] or None,
        bytes=row["bytes"],
        table_bytes=row["table_bytes"],
        state=state(row, builder),
        unique=row["is_unique"],
        primary=row["is_primary"],
        constraint=row["constraint"],
        definition=definition or words(row),
        concurrent=concurrent(row, version),
        partitioned=row["partitioned"],
        attached=row["attached"],
        builder=builder,
    )


def concurrent(row: Record, version: int) -> str:
    """Why it cannot be rebuilt CONCURRENTLY; empty where it can (PostgreSQL manual, REINDEX)."""
    if row["system"]:
        return "indexes of system catalogs cannot be rebuilt concurrently"
    if row["is_exclusion"]:
        return "the index of an exclusion constraint cannot be rebuilt concurrently"
    if row["toast"] and not row["valid"]:
        return "an invalid index of a TOAST table cannot be rebuilt concurrently: drop it"
    if row["partitioned"] and version < 140000:
        return "before PostgreSQL 14 a partitioned index cannot be rebuilt concurrently, its partitions can"
    if 140000 <= version < 140004:
        return "PostgreSQL 14.0 to 14.3 may corrupt an index that is rebuilt concurrently: upgrade to 14.4"
    return ""


# ---- definitions ---------------------------------------------------------------------------------


def words(row: Record) -> str:
    """Method and columns. Expressions and predicates are only hinted at: the server would lock the
    table to spell them out.
    """
    names, keys = list(row["names"]), row["keys"]
    numbers, options = numbers_of(row["columns"]), numbers_of(row["options_of_keys"])
    shown = [
        _key(name, number, option)
        for name, number, option in zip(names[:keys], numbers[:keys], options[:keys], strict=False)
    ]
    included = f" INCLUDE ({', '.join(names[keys:])})" if names[keys:] else ""
    partial = " WHERE …" if row["predicate"] else ""
    unique = "UNIQUE " if row["is_unique"] else ""
    return f"{unique}{row['method']} ({', '.join(shown)}){included}{partial}"


def _key(name: str, number: int, option: int) -> str:
    shown = name if number else f"{'' if name == 'expr' else name}(…)"
    if option & DESCENDING:
        return f"{shown} DESC" + ("" if option & NULLS_FIRST else " NULLS LAST")
    return f"{shown} NULLS FIRST" if option & NULLS_FIRST else shown


def numbers_of(vector: str) -> tuple[int, ...]:
    """int2vector and oidvector as text."""
    return tuple(int(number) for number in vector.split())


def bare(tree: str | None) -> str:
    """A stored expression without the places where its parts stood in a statement's text."""
    return _LOCATION.sub("", tree or "")


def shut_tables(locks: Iterable[Record], here: int | None) -> set[int]:
    """Relations on which somebody holds or awaits what a mere look would have to wait for."""
    shutting = CONFLICTS["AccessShareLock"]
    return {
        row["relation"]
        for row in locks
        if row["locktype"] == "relation" and row["database"] in (here, 0) and row["mode"] in shutting
    }


def option(row: Record, name: str) -> str | None:
    """A storage parameter of the index."""
    given: Sequence[str] = row["options"] or ()
    return next((one.partition("=")[2] for one in given if one.partition("=")[0] == name), None)
