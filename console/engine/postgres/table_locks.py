"""Who holds or waits for a lock on a few tables: the rows of the lock table that are about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from console.engine.postgres import lock_rows as locks
from console.engine.postgres import rows as to
from console.engine.postgres.link import Link
from console.engine.postgres.rows import Record
from console.engine.postgres.waits import Waits
from console.model.sessions import Session, by_id
from console.model.table_locks import TableLock


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What an oid is: a table, an index of it, or a part of it, by name: a partition or its TOAST table."""

    table: str
    number: int
    index: str = ""
    part: str = ""
    toast: bool = False


async def read(link: Link, waits: Waits, tables: Sequence[tuple[str, str]]) -> tuple[TableLock, ...]:
    """Without those of the connection that reads: its catalog look-ups lock no user's table.

    Names are asked for what is locked: that is little beside what is asked about, when it is many tables.
    """
    connection, _ = await link.connected()
    found = await link.fetch("locks", "locks")
    activity = await waits.activity()
    own = connection.get_server_pid()
    about = here(found, activity_database(activity.rows, own), own)
    oids = list({row["relation"] for row in about})
    named = await link.fetch("relations_held", "tables", oids) if oids else []
    rows = on(about, places(named, tables))
    sessions = dict(by_id(activity.sessions))
    owners = locks.Owners(found, activity.leaders)
    if any(row["pid"] is None for row, _ in rows):
        prepared = await link.fetch("prepared", "prepared transactions")
        await link.learn(prepared)
        sessions |= {-int(row["xid"]): to.prepared(row, link.names.shared) for row in prepared}
    return tuple(lock(row, place, owners, sessions) for row, place in rows)


def here(rows: Iterable[Record], database: int, own: int) -> list[Record]:
    """Locks on relations of one database, and on shared catalogs, but not those of the session `own`."""
    return [
        row
        for row in rows
        if row["locktype"] == "relation" and row["database"] in (database, 0) and row["pid"] != own
    ]


def places(rows: Iterable[Record], tables: Iterable[tuple[str, str]]) -> dict[int, list[Place]]:
    """Of the relations that are these tables, or indexes or parts of them; a partition may be several."""
    wanted, found = set(tables), defaultdict[int, list[Place]](list)
    for row in rows:
        if (row["schema"], row["name"]) in wanted:
            table = f"{row['schema']}.{row['name']}"
            what = {name: row[name] for name in ("index", "part", "toast")}
            found[row["held"]].append(Place(table=table, number=row["oid"], **what))
    return found


def activity_database(rows: Iterable[Record], pid: int) -> int:
    """The oid of the database that one session is in."""
    return next((row["database"] for row in rows if row["pid"] == pid), 0)


def on(rows: Iterable[Record], places: Mapping[int, Sequence[Place]]) -> list[tuple[Record, Place]]:
    """Held before waited for, the longest wait first."""
    found = [(row, place) for row in rows for place in places.get(row["relation"], ())]
    found.sort(key=lambda pair: (not pair[0]["granted"], -(pair[0]["seconds"] or 0.0), pair[0]["pid"] or 0))
    return found


def lock(row: Record, place: Place, owners: locks.Owners, sessions: Mapping[int, Session]) -> TableLock:
    """One who ended between two reads, or came, is told by its number alone."""
    owner = owners.of(row)
    return TableLock(
        session=sessions.get(owner) or Session(id=max(owner, 0), started_at=None, visible=False),
        table=place.table,
        number=place.number,
        index=place.index,
        part=place.part,
        toast=place.toast,
        mode=row["mode"],
        granted=row["granted"],
    )
