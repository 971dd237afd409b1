"""What holds the cleanup horizon of a PostgreSQL server back, and what cannot be cleaned because of it.

The rules are ComputeXidHorizons in procarray.c: rows of ordinary tables stay for backends and prepared
transactions of the same database, for physical slots and for standby feedback; those of shared catalogs
for every database; those of all catalogs for the catalog_xmin of logical slots too. A process in a plain
VACUUM holds nothing, though its xmin is shown.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from console.engine.postgres import lock_rows as locks
from console.engine.postgres import rows as to
from console.engine.postgres.link import Link
from console.engine.postgres.rows import Record
from console.engine.postgres.waits import Activity, Waits
from console.errors import Unreachable
from console.model.horizon import Holder, HolderKind, Horizon, Uncleaned, ranked
from console.model.sessions import Session, State

EVERY_TABLE = "every table of every database"
ALL_CATALOGS = "system catalogs of every database"
_COMMENTS = r"(?:\s|/\*.*?\*/|--[^\n]*\n)*"
_LAZY = re.compile(
    rf"{_COMMENTS}(?:autovacuum:\s+)?vacuum\b(?!.*\b(?:full|analy[sz]e)\b)", re.IGNORECASE | re.DOTALL
)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A holder and which tables it pins: `database` None is all, `catalogs` only the system's."""

    holder: Holder
    database: int | None = None
    catalogs: bool = False


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One look at all that may hold the horizon; `here` is the oid of the connected database."""

    activity: Activity
    locks: Sequence[Record]
    progress: Sequence[Record]
    held: Sequence[Held]
    here: int | None
    primary: bool | None

    def pins(self, row: Record) -> list[Holder]:
        """Who holds rows of one table: its row says whether it is `system` and `shared`."""
        return [one.holder for one in self.held if _matters(one, row, self.here)]


async def look(link: Link, waits: Waits) -> Look:
    connection, identity = await link.connected()
    activity = await waits.activity()
    found = await link.fetch("locks", "locks")
    prepared = await link.fetch("prepared", "prepared transactions")
    slots = await link.fetch("slots", "replication slots")
    progress = await link.fetch("progress", "progress")
    await link.learn([*prepared, *slots])
    seen = Seen(activity, found, vacuuming(activity, progress), connection.get_server_pid())
    names = link.names.shared
    return Look(
        activity=activity,
        locks=found,
        progress=progress,
        held=[*seen.held(names), *of_prepared(prepared, names), *of_slots(slots, activity)],
        here=_oid(names, identity.database),
        primary=identity.primary,
    )


async def read(link: Link, waits: Waits) -> Horizon:
    seen = await look(link, waits)
    ordinary = {"system": False, "shared": False}
    holders = ranked(
        [msgspec.structs.replace(one.holder, here=_matters(one, ordinary, seen.here)) for one in seen.held]
    )
    uncleaned, unread = await _uncleaned(link, seen)
    return Horizon(
        holders=holders,
        age=max((one.age for one in holders if one.age is not None), default=None),
        uncleaned=uncleaned,
        notes=(*_notes(seen.held, link, primary=seen.primary), *unread),
    )


def vacuuming(activity: Activity, progress: Iterable[Record]) -> set[int]:
    """Who is in a plain VACUUM now. One that waits for its table has no progress yet; the ANALYZE of a
    VACUUM ANALYZE does hold the horizon. VACUUM FULL reports itself as CLUSTER and holds it too.
    """
    commands = {row["pid"]: row["kind"] for row in progress}
    lazy = {session.id for session in activity.sessions if _LAZY.match(session.query or "")}
    lazy = {
        session.id for session in activity.sessions if session.id in lazy and session.state is not State.IDLE
    }
    return {pid for pid, command in commands.items() if command == "VACUUM"} | (lazy - commands.keys())


class Seen:
    """Holders among the sessions: of hidden ones the lock table still tells the transaction number."""

    def __init__(
        self, activity: Activity, rows: Sequence[Record], vacuuming: Collection[int], reader: int
    ) -> None:
        owners = locks.Owners(rows, activity.leaders)
        self._activity = activity
        self._numbers = locks.numbers(rows, owners)
        self._passed = {*vacuuming, *activity.leaders, reader}

    def held(self, names: to.Names) -> Iterator[Held]:
        """Without the session that reads this, whose own snapshot is as old as the read."""
        for row, session in zip(self._activity.rows, self._activity.sessions, strict=True):
            own = None if session.visible else self._numbers.get(session.id)
            xid, xmin = own["age"] if own else row["xid_age"], row["xmin_age"]
            if session.id in self._passed or (xid is None and xmin is None):
                continue
            if session.kind == "walsender" and not row["database"]:
                yield Held(holder=_feedback(session, xmin or 0))
            else:
                scope = _tables_of(names, row["database"])
                yield Held(holder=_session(session, xid, xmin, scope), database=row["database"])


def _session(session: Session, xid: int | None, xmin: int | None, scope: str) -> Holder:
    wrote = xid is not None and xid >= (xmin or 0)
    return Holder(
        kind=HolderKind.TRANSACTION if wrote else HolderKind.SNAPSHOT,
        name=f"session {session.id}",
        age=max(xid or 0, xmin or 0),
        seconds=session.transaction_seconds,
        scope=scope,
        session=session,
        consumer=session.application,
        address=session.client,
        remedy=_ending(session),
    )


def _ending(session: Session) -> str:
    if session.protection is not None:
        return f"wait for it, or stop it where it was started: it is {session.protection}"
    if session.key is None:
        return "its start is hidden: GRANT pg_read_all_stats to the login"
    return f"session.terminate id={session.id} started_at={session.key.started_at.isoformat()}"


def _feedback(session: Session, age: int) -> Holder:
    """A walsender without a database has an xmin only from the feedback of a standby without a slot."""
    standby = session.application or f"walsender {session.id}"
    return Holder(
        kind=HolderKind.STANDBY,
        name=standby,
        age=age,
        scope=EVERY_TABLE,
        session=session,
        consumer=standby,
        address=session.client,
        remedy=_on_standby(standby),
    )


def _on_standby(standby: str) -> str:
    return (
        f"on the standby {standby}: end its oldest query (its horizon shows it); "
        "with hot_standby_feedback = off there it would hold nothing here, and its queries may be cancelled"
    )


def of_prepared(rows: Iterable[Record], names: to.Names) -> Iterator[Held]:
    for row in rows:
        holder = Holder(
            kind=HolderKind.PREPARED,
            name=row["gid"],
            age=row["age"],
            seconds=row["seconds"],
            scope=_tables_of(names, row["database"]),
            session=to.prepared(row, names),
            remedy=f"transaction.rollback_prepared gid={shlex.quote(row['gid'])}",
        )
        yield Held(holder=holder, database=row["database"])


def of_slots(rows: Iterable[Record], activity: Activity) -> Iterator[Held]:
    """Without those that are lost, which hold nothing though their numbers are shown (slot.c,
    ReplicationSlotsComputeRequiredXmin; tried on 15, 17 and 18).
    """
    readers = {session.id: session for session in activity.sessions}
    for row in rows:
        if row["wal_status"] == "lost" or row["invalidation"]:
            continue
        xmin, catalog, reader = row["xmin_age"], row["catalog_xmin_age"], readers.get(row["active_pid"])
        if xmin is not None:
            yield Held(holder=_slot(row, xmin, EVERY_TABLE, reader))
        if catalog is not None:
            holder = _slot(row, catalog, ALL_CATALOGS, reader)
            if xmin is not None:  # one slot, two holders: a key each
                holder = msgspec.structs.replace(holder, name=f"{holder.name} (catalog_xmin)")
            yield Held(holder=holder, catalogs=True)


def _slot(row: Record, age: int, scope: str, reader: Session | None) -> Holder:
    consumer = reader.application if reader else None
    drop = f"slot.drop name={shlex.quote(row['name'])}"
    if row["synced"]:
        remedy = "it is the primary's slot, synchronised to here: what ends it ends it there"
    elif row["active_pid"] is None:
        remedy = f"{drop} (nobody reads from it now)"
    elif row["kind"] == "physical":
        remedy = f"{_on_standby(consumer or row['name'])}; {drop} only when it is not needed any more"
    else:
        remedy = f"let {consumer or 'its reader'} catch up, or stop it and then {drop}"
    return Holder(
        kind=HolderKind.SLOT,
        name=row["name"],
        age=age,
        scope=scope,
        session=reader,
        consumer=consumer,
        address=reader.client if reader else None,
        remedy=remedy,
    )


def _tables_of(names: to.Names, database: int | None) -> str:
    if not database:
        return "shared catalogs"
    name = names.get(("database", database), f"oid {database}")
    return f"tables of database {name}, and the shared catalogs"


# ---- what waits for it ---------------------------------------------------------------------------


def _oid(names: to.Names, database: str) -> int | None:
    return next((oid for (kind, oid), name in names.items() if kind == "database" and name == database), None)


async def _uncleaned(link: Link, seen: Look) -> tuple[tuple[Uncleaned, ...], tuple[str, ...]]:
    """The only part that needs a catalog: while somebody locks it, the rest is still an answer."""
    if not seen.primary:
        return (), ()
    try:
        rows = await link.fetch("uncleaned", "dead rows")
    except Unreachable as error:
        if not link.alive:
            raise
        return (), (f"dead rows are unknown: {error.message}",)
    return uncleaned(rows, seen), ()


def uncleaned(rows: Iterable[Record], seen: Look) -> tuple[Uncleaned, ...]:
    """`pinned`: a holder that matters for the table began before its last vacuum.

    How long a slot or a standby has held on is not known to the server: of those nothing is derived.
    """
    return tuple(
        Uncleaned(
            table=row["name"],
            dead_rows=row["dead_rows"],
            since_vacuum=row["since_vacuum"],
            pinned=pinning(row["vacuumed_at"], seen.pins(row)) is not None,
        )
        for row in rows
    )


def _matters(one: Held, row: Record | Mapping[str, Any], here: int | None) -> bool:
    if one.catalogs:
        return bool(row["system"])
    return one.database is None or bool(row["shared"]) or one.database == here


def pinning(vacuumed_at: datetime | None, holders: Iterable[Holder]) -> Holder | None:
    """The oldest of those that began before the table was vacuumed last."""
    if vacuumed_at is None:
        return None
    began = [(one.session.transaction_started_at, one) for one in holders if one.session]
    before = [(start, one) for start, one in began if start and start < vacuumed_at]
    return min(before, key=lambda pair: pair[0], default=(None, None))[1]


def _notes(held: Iterable[Held], link: Link, *, primary: bool | None) -> Iterator[str]:
    """The server tells everybody how old a snapshot is in transactions, and the rest only with a grant."""
    sessions = [one.holder.session for one in held]
    hidden = sum(1 for session in sessions if session is not None and not session.visible)
    if hidden:
        whose = "a session of another role" if hidden == 1 else f"{hidden} sessions of other roles"
        yield (
            f"of {whose} among them it is hidden since when and by which statement: "
            f"GRANT pg_read_all_stats TO {link.target.monitor.user};"
        )
    if not primary:
        yield (
            "this is a standby, which cleans nothing itself: these sessions may delay replay up to "
            "max_standby_streaming_delay, and with hot_standby_feedback = on they hold the primary's horizon"
        )
