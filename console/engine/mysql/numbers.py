"""Columns that get their numbers from the server, and how far those are used up.

AUTO_INCREMENT ends at the maximum of the column's type: MySQL manual 11.1.2, MariaDB "INT". MariaDB's
sequences end at their own maximum ("CREATE SEQUENCE"), or at that of the column they fill.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from console.engine.mysql.link import Link
from console.engine.mysql.rows import account_literal
from console.engine.queries import quote_ident
from console.errors import PrivilegeMissing, ServerSilent
from console.model.tables import Exhaustion

Record = Mapping[str, Any]
Pair = tuple[str, str]
NO_TABLE: tuple[Pair, ...] = (("", ""),)  # for SQL, which has no empty lists
_MANY_SEQUENCES = 200
_NEXTVAL = re.compile(r"nextval\(`((?:[^`]|``)+)`\.`((?:[^`]|``)+)`\)", re.DOTALL)


async def exhaustion(
    link: Link, wanted: Sequence[Pair] | None, locked: Sequence[Pair], part: float = 0.0
) -> tuple[dict[Pair, Exhaustion], tuple[str, ...]]:
    """Those used up beyond `part`, by table; a sequence of MariaDB also under its own name. And notes.

    `wanted` None is all tables. `locked` ones are left out, and so is who has no next number: InnoDB
    learns it when the table is opened. Raises an Unreachable error.
    """
    _, identity = await link.connected()
    which = (wanted is None, tuple(wanted or NO_TABLE))
    args: list[object] = [*which, *which, tuple(locked) or NO_TABLE]
    if identity.flavor == "mariadb":
        args += which
    rows = await link.fetch("automatic_numbers", "automatic numbers", *args, part)
    names = sorted({name for row in rows if (name := sequence_of(row))})
    read = {name: await _sequence(link, name) for name in names[:_MANY_SEQUENCES]}
    found = {table: one for table, one in found_in(rows, read).items() if one.used > part}
    return found, tuple(_notes(names, read, identity.user))


async def _sequence(link: Link, name: Pair) -> Record | None:
    """A sequence is a table of one row. None where it may not be read; empty where it is locked now."""
    sql = f"select next_not_cached_value, maximum_value, increment, cycle_option from {_quoted(name)}"  # noqa: S608 - quoted identifiers
    try:
        rows = await link.ask(sql, "sequences", hint="")
    except PrivilegeMissing:
        return None
    except ServerSilent:
        return {}
    return rows[0] if rows else {}


def _quoted(name: Pair) -> str:
    return ".".join(quote_ident(part, "mariadb") for part in name)


# ---- pure --------------------------------------------------------------------------------------


def sequence_of(row: Record) -> Pair | None:
    """The sequence a row is about: itself one, or the default of the column."""
    if row["source"] == "SEQUENCE":
        return row["table_schema"], row["table_name"]
    named = _NEXTVAL.search(row["source"] or "")
    return (named[1].replace("``", "`"), named[2].replace("``", "`")) if named else None


def found_in(rows: Iterable[Record], read: Mapping[Pair, Record | None]) -> dict[Pair, Exhaustion]:
    """The most used-up column of each table."""
    found: dict[Pair, Exhaustion] = {}
    for row in rows:
        name = sequence_of(row)
        one = _of_sequence(row, name, read.get(name)) if name else _of_column(row)
        table = row["table_schema"], row["table_name"]
        if one is not None and (table not in found or one.used > found[table].used):
            found[table] = one
    return found


def _of_column(row: Record) -> Exhaustion | None:
    """A next number at the limit is refused or given for the last time: the server shows no difference."""
    if row["next_number"] is None or row["largest"] is None:
        return None
    following, limit = int(row["next_number"]), int(row["largest"])
    last = limit if following >= limit else max(0, following - 1)
    return Exhaustion(column=row["column_name"], sequence="AUTO_INCREMENT", last=last, limit=limit)


def _of_sequence(row: Record, name: Pair, read: Record | None) -> Exhaustion | None:
    """Numbers that the server keeps in its cache count as given out. One that cycles or counts down has
    no end that is near.
    """
    if not read or int(read["increment"]) <= 0 or int(read["cycle_option"]):
        return None
    limit = int(read["maximum_value"])
    if row["largest"] is not None:
        limit = min(limit, int(row["largest"]))
    last = int(read["next_not_cached_value"]) - int(read["increment"])
    return Exhaustion(
        column=row["column_name"], sequence=".".join(name), last=min(max(last, 0), limit), limit=limit
    )


def _notes(names: Sequence[Pair], read: Mapping[Pair, Record | None], user: str) -> Iterable[str]:
    denied = [name for name, row in read.items() if row is None]
    if denied:
        yield (
            f"how far {len(denied)} sequence{'s are' if len(denied) > 1 else ' is'} used up is unknown: "
            f"GRANT SELECT ON {_quoted(denied[0])} TO {account_literal(user)};"
        )
    if len(names) > len(read):
        yield f"only {len(read)} of {len(names)} sequences were read"
