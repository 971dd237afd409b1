"""What keeps InnoDB's purge from removing old row versions and undo logs.

Verified by experiment on MySQL 9.7 and MariaDB 10.11, with the history list and purge's own counters:
a read view stops purge in both. It is made by the first read of a REPEATABLE READ transaction or by
START TRANSACTION WITH CONSISTENT SNAPSHOT, under READ COMMITTED it ends with its statement (in MariaDB a
consistent snapshot is kept there too), under SERIALIZABLE and READ UNCOMMITTED there is none between
statements. A transaction that only wrote holds nothing but its own undo log in MySQL; in MariaDB the rows
are purged past it, and yet no undo log of a later transaction leaves the history list until it ends,
prepared ones included.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC

import msgspec

from console.engine.mysql import xa
from console.engine.mysql.innodb_status import Purge, purge
from console.engine.mysql.link import Link
from console.engine.mysql.look import Seen, look_at_all, xa_names
from console.engine.mysql.rows import Transaction
from console.model.horizon import Holder, HolderKind, Horizon
from console.model.sessions import Session, State, by_id
from console.model.target import ServerIdentity

_MUCH = 1_000_000
_SIZES_SECONDS = 60.0
_VERSIONS = "row versions of all InnoDB tables"
_PERHAPS = f"{_VERSIONS}, if it has read without locking too: MySQL does not tell"
_UNDO = "undo logs of all later transactions (the row versions themselves are purged)"


class Undo(msgspec.Struct, frozen=True, kw_only=True):
    """Size of the undo tablespaces, None where they have none of their own, and the purge settings."""

    size: int | None
    max_purge_lag: int


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """One look: sessions, transactions, and purge as InnoDB reports it."""

    seen: Seen
    purge: Purge
    names: xa.Names


class Purger:
    """The sizes are asked for once a minute: they cost a pass over all tablespaces."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._undo: tuple[float, Undo] | None = None
        self._of: ServerIdentity | None = None

    async def horizon(self) -> Horizon:
        """Raises PrivilegeMissing where transactions or InnoDB's report may not be read."""
        seen = await look_at_all(self._link)
        rows = await self._link.fetch("innodb_status", "purge")
        now = purge(str(rows[0]["Status"])) if rows else None
        undo = await self._sizes()
        if now is None:
            return Horizon(undo_bytes=undo.size, notes=("InnoDB's report has no section on purge",))
        return made(Cut(seen=seen, purge=now, names=await xa_names(self._link, seen.identity)), undo)

    async def _sizes(self) -> Undo:
        known = self._undo is not None and self._of is self._link.answered_by
        if not known or self._undo is None or time.monotonic() - self._undo[0] > _SIZES_SECONDS:
            row = (await self._link.fetch("undo_tablespaces", "undo tablespaces"))[0]
            size = None if row["bytes"] is None else int(row["bytes"])
            self._undo = time.monotonic(), Undo(size=size, max_purge_lag=int(row["max_purge_lag"]))
            self._of = self._link.answered_by
        return self._undo[1]


# ---- pure --------------------------------------------------------------------------------------


def made(cut: Cut, undo: Undo) -> Horizon:
    found = ordered(holders(cut), cut.purge)
    return Horizon(
        holders=found,
        age=_age(found, cut.purge),
        history_length=cut.purge.history,
        undo_bytes=undo.size,
        notes=tuple(_notes(cut, undo, found)),
    )


def holders(cut: Cut) -> list[Holder]:
    sessions = by_id(cut.seen.sessions)
    mariadb = cut.seen.identity.flavor == "mariadb"
    found = []
    for one in cut.seen.transactions:
        session = sessions.get(one.session)
        if session is None and not one.session:
            holder = _detached(one, cut) if mariadb else None
        elif session is None:
            continue
        else:
            holder = _mariadb(one, session, cut) if mariadb else _mysql(one, session, cut.purge)
        if holder is not None:
            found.append(holder)
    return found


def _mariadb(one: Transaction, session: Session, cut: Cut) -> Holder | None:
    """Its report lists every read view."""
    view, counter = cut.purge.views.get(session.id), cut.purge.counter
    ages = [counter - view.sees] if view else []
    ages += [counter - one.number] if one.number is not None else []
    if not ages:
        return None
    kind = HolderKind.SNAPSHOT if view else HolderKind.TRANSACTION
    if session.id in cut.purge.prepared:
        kind = HolderKind.PREPARED
    return _holder(session, kind, max(ages), _VERSIONS if view else _UNDO)


def _mysql(one: Transaction, session: Session, now: Purge) -> Holder | None:
    """Its report lists the read views of transactions that have a number; those of readers follow from
    the isolation level."""
    view = now.views.get(session.id)
    if view is not None:
        return _holder(session, HolderKind.SNAPSHOT, max(0, now.counter - view.sees), _VERSIONS)
    if one.number is not None or one.rows_modified:
        return None
    if one.isolation == "REPEATABLE READ":
        return _holder(session, HolderKind.SNAPSHOT, None, _PERHAPS if one.rows_locked else _VERSIONS)
    reading = one.isolation == "READ COMMITTED" and session.state is State.ACTIVE and not one.rows_locked
    return (
        _holder(session, HolderKind.SNAPSHOT, None, f"{_VERSIONS}, until its statement ends")
        if reading
        else None
    )


def _holder(session: Session, kind: HolderKind, age: int | None, scope: str) -> Holder:
    statement = scope.endswith("ends")
    return Holder(
        kind=kind,
        name=f"session {session.id}",
        age=age,
        seconds=session.query_seconds if statement else session.transaction_seconds,
        scope=scope,
        session=session,
        remedy=_remedy(session, kind),
    )


def _remedy(session: Session, kind: HolderKind) -> str:
    if session.protection is not None:
        return f"left alone: {session.protection}"
    if kind is HolderKind.PREPARED:
        return "its own session has to commit it or roll it back; once that leaves, anybody may"
    started = session.started_at.astimezone(UTC).isoformat() if session.started_at else "?"
    return f"session.terminate id={session.id} started_at={started}"


def _detached(one: Transaction, cut: Cut) -> Holder:
    free = cut.names.free
    gid = (
        f"transaction.rollback_prepared gid={xa.shell_word(free[0])}"
        if len(free) == 1
        else "XA RECOVER names those that there are: find out from their coordinator which to end"
    )
    if one.rolling_back:
        gid = "it is being rolled back by the server: wait"
    node = xa.node(one, cut.names)
    return Holder(
        kind=HolderKind.TRANSACTION if one.rolling_back else HolderKind.PREPARED,
        name=f"transaction {one.id}",
        age=max(0, cut.purge.counter - one.id),
        seconds=one.seconds,
        scope=_UNDO,
        session=node,
        remedy=gid,
    )


def ordered(found: Iterable[Holder], now: Purge) -> tuple[Holder, ...]:
    """Oldest first. Ages in transactions decide where all are known (MariaDB). Else time does, except that
    a view which is not where purge stands cannot be the oldest: the transaction may be older than it.
    """
    held = list(found)
    if all(one.age is not None for one in held):
        return tuple(sorted(held, key=lambda one: (-(one.age or 0), -(one.seconds or 0.0), one.name)))
    lag = now.counter - now.done

    def younger(one: Holder) -> bool:
        return one.age is not None and one.age < lag - 1

    return tuple(sorted(held, key=lambda one: (younger(one), -(one.seconds or 0.0), one.name)))


def _age(found: Sequence[Holder], now: Purge) -> int | None:
    """Transactions since the oldest one: purge stands at the oldest view, in units of InnoDB's counter."""
    if not found:
        return None
    known = [one.age for one in found if one.age is not None]
    hidden = [max(0, now.counter - now.done)] if len(known) < len(found) else []
    return max(known + hidden)


def _notes(cut: Cut, undo: Undo, found: Sequence[Holder]) -> list[str]:
    now, notes = cut.purge, []
    if not now.whole:
        notes.append("InnoDB's report was cut at 1 MB: read views of some transactions are not in it")
    lag = now.counter - now.done
    if not found and (now.history or 0) > _MUCH:
        notes.append(
            f"nobody holds purge back; it is {lag} transactions behind ({now.state}): "
            "see innodb_purge_threads and innodb_purge_batch_size"
        )
    if (now.history or 0) > _MUCH and not undo.max_purge_lag:
        notes.append("innodb_max_purge_lag is 0: no writer is slowed down while the history grows")
    if undo.size is None:
        notes.append(
            "undo logs lie in the system tablespace (innodb_undo_tablespaces = 0), which never shrinks"
        )
    if not cut.names.known and any(not one.session for one in cut.seen.transactions):
        notes.append("prepared XA transactions are shown without their names: see `doctor` for the privilege")
    return notes
