"""Metadata locks -> claims of the wait graph. Pure.

Which types conflict, and which pending request goes first, is fixed in the servers' sql/mdl.cc
(MDL_scoped_lock, MDL_object_lock; MariaDB also MDL_backup_lock): one matrix against granted locks and
one against pending requests. A request waits behind a pending one of higher priority, whoever came
first: that is how a waiting ALTER TABLE stops every later SELECT.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from console.engine.mysql.rows import Transaction
from console.model.locks import Claim, Edge, Wait
from console.model.sessions import Protection, Session, State

Record = Mapping[str, Any]
SCOPED = frozenset({"GLOBAL", "COMMIT", "SCHEMA", "TABLESPACE", "BACKUP LOCK", "RESOURCE_GROUPS",
                    "FOREIGN KEY", "CHECK CONSTRAINT"})  # fmt: skip
# Keeps requests of one priority apart from the next in Claim.since; wider than any epoch second.
_STEP = 1e10


# Nodes of the server's own threads: below every transaction id, above the unknown blocker.
_THREADS = -(1 << 61)


class _Family(msgspec.Struct, frozen=True):
    """`granted[type]` and `pending[type]`: places in `types` that a request of `type` waits for."""

    types: tuple[str, ...]
    granted: tuple[str, ...]
    pending: tuple[str, ...]


_FAMILIES = {
    "scoped": _Family(
        ("INTENTION_EXCLUSIVE", "SHARED", "EXCLUSIVE"),
        granted=("12", "02", "012"),
        pending=("12", "2", ""),
    ),
    "object": _Family(
        ("SHARED", "SHARED_HIGH_PRIO", "SHARED_READ", "SHARED_WRITE", "SHARED_WRITE_LOW_PRIO",
         "SHARED_UPGRADABLE", "SHARED_READ_ONLY", "SHARED_NO_WRITE", "SHARED_NO_READ_WRITE", "EXCLUSIVE"),
        granted=("9", "9", "89", "6789", "6789", "5789", "3489", "345789", "23456789", "0123456789"),
        pending=("9", "", "89", "789", "6789", "9", "389", "9", "9", ""),
    ),
    "backup": _Family(
        ("BACKUP_START", "BACKUP_FLUSH", "BACKUP_WAIT_FLUSH", "BACKUP_WAIT_DDL", "BACKUP_WAIT_COMMIT",
         "BACKUP_FTWRL1", "BACKUP_FTWRL2", "BACKUP_DML", "BACKUP_TRANS_DML", "BACKUP_SYS_DML",
         "BACKUP_DDL", "BACKUP_BLOCK_DDL", "BACKUP_ALTER_COPY", "BACKUP_COMMIT"),
        granted=("01234b", "0", "07", "07a", "079ad", "789ac", "789acd", "123456", "56", "456", "3456b",
                 "01234ab", "56", "46"),
        pending=("1234", "", "", "", "", "", "", "123456", "56", "456", "3456b", "0", "56", "46"),
    ),
}  # fmt: skip


def family(object_type: str) -> str:
    if object_type == "BACKUP":
        return "backup"
    return "scoped" if object_type in SCOPED else "object"


def _behind(places: str, types: tuple[str, ...]) -> frozenset[str]:
    return frozenset(types[int(place, 16)] for place in places)


@cache
def _waits_for(group: str, mode: str) -> tuple[frozenset[str], frozenset[str]]:
    """(granted, pending) types a request waits for; one of a type we do not know, for everybody."""
    known = _FAMILIES[group]
    if mode not in known.types:
        return frozenset(known.types), frozenset()
    place = known.types.index(mode)
    return _behind(known.granted[place], known.types), _behind(known.pending[place], known.types)


@cache
def _priority(group: str, mode: str) -> int:
    """0 for requests that wait behind no other, then their followers."""
    return max((1 + _priority(group, other) for other in _waits_for(group, mode)[1]), default=0)


def claim(row: Record, node: int, since: float | None) -> Claim:
    """`since`: epoch seconds at which the statement of a waiter began (a wait has no start of its own).

    Granted and pending locks of a type are different modes here, since they conflict differently;
    and `Claim.since` orders a queue by priority first, as the server does.
    """
    group = family(row["type"])
    pending = row["status"] == "PENDING"
    return Claim(
        session=node,
        object=_object(row),
        mode=f"{group} {row['mode']}{' pending' if pending else ''}",
        granted=not pending,
        since=_priority(group, row["mode"]) * _STEP + (since or 0.0) if pending else None,
    )


def conflicts(rows: Iterable[Record]) -> dict[str, frozenset[str]]:
    """For each mode of `claim` that waits, the modes it waits for."""
    found: dict[str, frozenset[str]] = {}
    for row in rows:
        group = family(row["type"])
        granted, pending = _waits_for(group, row["mode"])
        found[f"{group} {row['mode']} pending"] = frozenset(
            [f"{group} {mode}" for mode in granted] + [f"{group} {mode} pending" for mode in pending]
        )
    return found


# Types that a session changes later: MariaDB goes on showing the one it asked for first (MDL_ticket's
# upgrade does not tell performance_schema; MySQL's does). Of each only one session can hold one on an
# object: a copying ALTER TABLE, a FLUSH TABLES WITH READ LOCK, a BACKUP STAGE.
_CHANGED_LATER = {
    "object": frozenset({"SHARED_UPGRADABLE", "SHARED_NO_WRITE", "SHARED_NO_READ_WRITE"}),
    "backup": frozenset({"BACKUP_START", "BACKUP_BLOCK_DDL", "BACKUP_FTWRL1"}),
}


def outdated(rows: Iterable[Record]) -> dict[int, tuple[Edge, ...]]:
    """For each waiter, the holders whose lock may be a stronger one by now than MariaDB shows."""
    rows = list(rows)
    holders: dict[tuple[object, ...], list[int]] = {}
    for row in rows:
        if row["status"] != "PENDING" and row["mode"] in _CHANGED_LATER.get(family(row["type"]), ()):
            holders.setdefault(_object(row), []).append(row["session_id"])
    return {
        row["session_id"]: tuple(
            Edge(row["session_id"], holder)
            for holder in holders.get(_object(row), ())
            if holder not in (None, row["session_id"])
        )
        for row in rows
        if row["status"] == "PENDING" and row["session_id"] is not None
    }


def _object(row: Record) -> tuple[object, ...]:
    return "metadata", row["type"], row["table_schema"], row["table_name"]


def owned(row: Record, prepared: Sequence[int]) -> Record:
    """The row with a node for its owner where that has no connection id.

    A thread of the server has one of its own: InnoDB's statistics and purge threads take metadata locks
    too, and stand in the queues. Without a thread it is a `prepared` transaction whose session is gone.
    """
    if row["session_id"] is not None:
        return row
    if row["thread_id"] is not None:
        return {**row, "session_id": _THREADS - int(row["thread_id"])}
    return {**row, "session_id": prepared[0]} if len(prepared) == 1 else row


def suspects(
    rows: Iterable[Record], transactions: Iterable[Transaction], prepared: Sequence[int]
) -> frozenset[int]:
    """Prepared transactions that may hold a lock which is shown without an owner, or as that of the
    session that prepared it: MySQL goes on showing it as its own, although that is in no transaction.
    """
    at_work = {one.session for one in transactions}
    unsure = any(
        row["status"] != "PENDING" and row["session_id"] not in (*prepared, *at_work) for row in rows
    )
    return frozenset(prepared) if unsure else frozenset()


def threads(rows: Iterable[Record]) -> dict[int, Session]:
    """The threads of the server among the owners, by their nodes. Nothing can be done to them."""
    return {
        row["session_id"]: Session(
            id=0,
            started_at=None,
            kind=str(row["thread"]).rpartition("/")[2],
            application=str(row["thread"]).rpartition("/")[2],
            state=State.BACKGROUND,
            protection=Protection.SERVER,
        )
        for row in rows
        if row["session_id"] is not None and row["session_id"] <= _THREADS
    }


def waits(rows: Iterable[Record], seconds: Mapping[int, float | None]) -> dict[int, Wait]:
    """What each session waits for; for those who only hold, the strongest contended lock they hold.

    `seconds` are ages of the waiters' statements: the most their waits can be.
    """
    found: dict[int, Wait] = {}
    for row in sorted(rows, key=_strength):
        number = row["session_id"]
        if number is not None and number not in found:
            age = seconds.get(number) if row["status"] == "PENDING" else None
            found[number] = Wait(object=describe(row), mode=row["mode"], seconds=age)
    return found


def _strength(row: Record) -> tuple[bool, int]:
    """Pending ones first, then the types with the most conflicts."""
    return row["status"] != "PENDING", -len(_waits_for(family(row["type"]), row["mode"])[0])


def describe(row: Record) -> str:
    schema, name = row["table_schema"], row["table_name"]
    full = ".".join(part for part in (schema, name) if part)
    match row["type"]:
        case "TABLE":
            return f"{full} (metadata)"
        case "GLOBAL":
            return "global read lock"
        case "USER LEVEL LOCK":
            return f"user lock {name!r}"
        case "BACKUP" | "BACKUP LOCK":
            return "backup lock"
        case other:
            return f"{str(other).lower()} {full}".rstrip() + (" lock" if not full else "")
