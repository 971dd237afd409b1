"""PostgreSQL's records -> the model. Pure: one function a model, names from a cache of the caller's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

from console.model.sessions import Protection, Session, State, is_ours


class Record(Protocol):
    """A row by column name: asyncpg's Record, or a dict in a test."""

    def __getitem__(self, column: str, /) -> Any: ...


MODES = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)
# PostgreSQL manual, table 13.2 "Conflicting Lock Modes", by the places above.
_CONFLICTING = ("7", "67", "4567", "34567", "23567", "234567", "1234567", "01234567")
CONFLICTS = {
    mode: frozenset(MODES[int(place)] for place in places)
    for mode, places in zip(MODES, _CONFLICTING, strict=True)
}

_STATES = {
    "active": State.ACTIVE,
    "fastpath function call": State.ACTIVE,
    "idle": State.IDLE,
    "idle in transaction": State.IDLE_IN_TRANSACTION,
    "idle in transaction (aborted)": State.ABORTED,
}
_HIDDEN = "<insufficient privilege>"
_DUMPS = ("pg_dump", "pg_dumpall", "pg_basebackup", "pgbackrest", "barman")
Names = Mapping[tuple[str, int], str]


def session(row: Record, names: Names) -> Session:
    hidden = row["query"] == _HIDDEN
    kind = row["backend_type"] or "unknown"
    state = _STATES.get(row["state"], State.UNKNOWN)
    if state is State.UNKNOWN and not hidden and kind != "client backend":
        state = State.BACKGROUND
    now, query, transaction = row["now"], row["query_start"], row["xact_start"]
    return Session(
        id=row["pid"],
        started_at=moment(row["backend_start"]),
        user=_name(names, "role", row["role"]),
        database=_name(names, "database", row["database"]),
        application=row["application_name"] or None,
        client=row["client"],
        kind=kind,
        state=state,
        query=None if hidden else row["query"] or None,
        query_id=row["query_id"],
        query_seconds=_since(query, now),
        state_seconds=_since(row["state_change"], now),
        transaction_seconds=_since(transaction, now),
        query_started_at=moment(query),
        transaction_started_at=moment(transaction),
        wait=wait(row),
        leader=row["leader_pid"],
        protection=_protection(row, kind),
        visible=not hidden,
    )


@lru_cache(16384)  # most sessions are those of the last reading; three of each, and more than all or none
def moment(epoch: float | None) -> datetime | None:
    """Of epoch seconds: a float holds the server's microseconds exactly until the year 2242."""
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC)


def _since(start: float | None, now: float) -> float | None:
    """Seconds between two moments of the server's clock."""
    return None if start is None else now - start


def is_hidden(row: Record) -> bool:
    """Without pg_read_all_stats others' statements and waits are not told."""
    return bool(row["query"] == _HIDDEN)


def wait(row: Record) -> str | None:
    """Type and name of the wait event."""
    event = row["wait_event"]
    return f"{row['wait_event_type']}/{event}" if event else None


def _name(names: Names, kind: str, oid: int | None) -> str | None:
    return names.get((kind, oid)) or f"oid {oid}" if oid else None


def _protection(row: Record, kind: str) -> Protection | None:
    known = _protected(row["application_name"], kind)
    if known is Protection.AUTOVACUUM and "(to prevent wraparound)" in (row["query"] or ""):
        return Protection.WRAPAROUND
    return Protection.SYNC_REP if known is None and row["wait_event"] == "SyncRep" else known


@lru_cache(1024)
def _protected(application: str | None, kind: str) -> Protection | None:
    """As far as name and kind tell."""
    if is_ours(application):
        return Protection.OWN
    if kind == "walsender":
        return Protection.WALSENDER
    if kind == "autovacuum worker":
        return Protection.AUTOVACUUM
    if kind not in ("client backend", "parallel worker", "unknown"):
        return Protection.SERVER
    return Protection.BACKUP if (application or "").lower().startswith(_DUMPS) else None


def prepared(row: Record, names: Names) -> Session:
    """A prepared transaction as a node of the graph: it has no process, and pid 0 in the server's words."""
    return Session(
        id=0,
        started_at=row["prepared"],
        user=_name(names, "role", row["role"]),
        database=_name(names, "database", row["database"]),
        kind="prepared transaction",
        state=State.PREPARED,
        transaction_seconds=row["seconds"],
        transaction_started_at=row["prepared"],
        prepared=row["gid"],
    )
