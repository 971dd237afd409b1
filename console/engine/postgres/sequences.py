"""How far the numbers of columns are used up: sequences of serial, identity and owned columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from console.engine.postgres.link import Link
from console.engine.postgres.rows import CONFLICTS, Record
from console.errors import Unreachable
from console.model.tables import Exhaustion


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """By the oid of the table: the column that is nearest to its end. `notes` say what is not known."""

    tables: Mapping[int, Exhaustion] = {}
    notes: tuple[str, ...] = ()


async def read(link: Link, tables: Sequence[int], locks: Iterable[Record], grant: str) -> Used:
    """`locks` are the rows of the lock table; `grant` is what lets this login read sequences."""
    rows = await link.fetch("sequences", "sequences", tables)
    shut = closed(locks)
    asked = [row for row in rows if row["readable"] and row["oid"] not in shut]
    notes = []
    hidden = sum(1 for row in rows if not row["readable"])
    if hidden:
        notes.append(f"how far sequences are used up is hidden for {hidden} of them: {grant}")
    values: dict[int, int | None] = {}
    try:
        found = await link.fetch("sequence_values", "sequences", [row["oid"] for row in asked])
        values = {row["oid"]: row["last"] for row in found}
    except Unreachable as error:
        if not link.alive:
            raise
        notes.append(f"how far sequences are used up is unknown: {error.message}")
    locked = len([row for row in rows if row["readable"]]) - len(asked)
    if locked:
        notes.append(f"how far sequences are used up is unknown for {locked} of them: somebody locks them")
    return Used(tables=nearest(rows, values), notes=tuple(notes))


def closed(locks: Iterable[Record]) -> set[int]:
    """Relations on which somebody holds or awaits what pg_sequence_last_value() would have to wait for:
    it opens a sequence like nextval() does (lock_and_open_sequence in sequence.c).
    """
    shutting = CONFLICTS["RowExclusiveLock"]
    return {row["relation"] for row in locks if row["locktype"] == "relation" and row["mode"] in shutting}


def nearest(rows: Iterable[Record], values: Mapping[int, int | None]) -> dict[int, Exhaustion]:
    found: dict[int, Exhaustion] = {}
    for row in rows:
        if row["oid"] not in values:
            continue
        one = exhaustion(row, values[row["oid"]])
        other = found.get(row["table"])
        if other is None or one.used > other.used:
            found[row["table"]] = one
    return found


def exhaustion(row: Record, last: int | None) -> Exhaustion:
    """A column may be narrower than its sequence; one that counts down is turned round."""
    holds = (1 << (8 * row["width"] - 1)) - 1
    sign = 1 if row["up"] else -1
    most = min(sign * row["most"], holds if row["up"] else holds + 1)
    return Exhaustion(
        column=row["column"], sequence=row["sequence"], last=max(0, sign * (last or 0)), limit=most
    )
