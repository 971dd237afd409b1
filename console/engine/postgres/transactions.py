"""Open transactions of PostgreSQL from one look at its activity, its lock table and its wait graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from console.engine.postgres import lock_rows as locks
from console.engine.postgres import rows as to
from console.engine.postgres.link import Link
from console.engine.postgres.rows import Record
from console.engine.postgres.waits import Activity, Waits
from console.model.blocking import BlockingTree
from console.model.transactions import OpenTransaction, oldest_first

LISTED_OBJECTS = 8


class Holdings(msgspec.Struct, frozen=True, kw_only=True):
    """What the lock table says of each owner: a session's pid, or minus the number of a prepared one.

    `locks` counts entries, those waited for included and predicate locks (SIReadLock) not.
    """

    locks: Mapping[int, int]
    relations: Mapping[int, Sequence[tuple[int, int]]]
    numbers: Mapping[int, Record]
    present: frozenset[int]

    def nearest(self, key: int) -> Sequence[tuple[int, int]]:
        """The few worth a name; indexes among them fall out later."""
        return self.relations.get(key, ())[: 4 * LISTED_OBJECTS]

    @classmethod
    def of(cls, rows: Sequence[Record], leaders: Mapping[int, int]) -> Holdings:
        owners = locks.Owners(rows, leaders)
        return cls(
            locks=Counter(owners.of(row) for row in rows),
            relations=locks.held_relations(rows, owners),
            numbers=locks.numbers(rows, owners),
            present=frozenset(locks.in_transaction(rows, owners)),
        )


async def read(link: Link, waits: Waits) -> tuple[OpenTransaction, ...]:
    """One look at each of the three; what began or ended between two of them may be missing in one."""
    activity = await waits.activity()
    found = await link.fetch("locks", "locks")
    prepared = await link.fetch("prepared", "prepared transactions")
    await link.learn(prepared)
    tree = await waits.tree(activity, found) if activity.anybody_waits else BlockingTree()
    holdings = Holdings.of(found, activity.leaders)
    opened = of_sessions(activity, holdings) | of_prepared(prepared, holdings, link.names.shared)
    connection, _ = await link.connected()
    opened.pop(connection.get_server_pid(), None)  # the statement that reads this
    await link.learn_relations({pair for key in opened for pair in holdings.nearest(key)})
    blocks = {(node.session.id, node.session.prepared): node.blocks for node in tree}
    return oldest_first(
        tuple(
            msgspec.structs.replace(
                one,
                objects=link.names.tables(holdings.nearest(key))[:LISTED_OBJECTS],
                blocks=blocks.get((one.session.id, one.session.prepared), 0),
            )
            for key, one in opened.items()
        )
    )


def of_sessions(activity: Activity, holdings: Holdings) -> dict[int, OpenTransaction]:
    """By pid. A parallel worker is part of its leader's transaction.

    Of a session that may not be seen the lock table still tells that it has a transaction, and which.
    """
    leaders = activity.leaders
    found = {}
    for row, session in zip(activity.rows, activity.sessions, strict=True):
        if session.id in leaders:
            continue
        if row["xact_start"] is None and (session.visible or session.id not in holdings.present):
            continue
        own = holdings.numbers.get(session.id)
        number, age = (row["xid"], row["xid_age"]) if session.visible or own is None else _of(own)
        found[session.id] = OpenTransaction(
            session=session,
            number=number,
            statements=(session.query,) if session.query else (),
            locks=holdings.locks.get(session.id, 0),
            pins=_oldest(age, row["xmin_age"]),
        )
    return found


def _of(row: Record) -> tuple[str, int]:
    return row["transactionid"], row["age"]


def _oldest(*ages: int | None) -> int | None:
    """An idle writer has an xid and no xmin, an idle reader neither."""
    return max((age for age in ages if age is not None), default=None)


def of_prepared(rows: Sequence[Record], holdings: Holdings, names: to.Names) -> dict[int, OpenTransaction]:
    """By minus the number of the transaction."""
    found = {}
    for row in rows:
        session, key = to.prepared(row, names), -int(row["xid"])
        found[key] = OpenTransaction(
            session=session,
            number=row["xid"],
            locks=holdings.locks.get(key, 0),
            pins=row["age"],
            resolve=resolve(row["gid"], session.database),
        )
    return found


def resolve(gid: str, database: str | None) -> str:
    """What ends it undone; it has to be sent from a connection to its own database, by its owner."""
    literal = "'" + gid.replace("'", "''") + "'"
    where = f"  -- in database {database}" if database and database.isprintable() else ""
    return f"ROLLBACK PREPARED {literal};{where}"
