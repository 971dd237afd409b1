"""PostgreSQL's records -> the model. Pure: one function a model, names from a cache of the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any, Protocol

from console.model.locks import Claim, Wait
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
Relations = Mapping[tuple[int, int], str]


def session(row: Record, names: Names) -> Session:
    hidden = row["query"] == _HIDDEN
    kind = row["backend_type"] or "unknown"
    state = _STATES.get(row["state"], State.UNKNOWN)
    if state is State.UNKNOWN and not hidden and kind != "client backend":
        state = State.BACKGROUND
    wait = f"{row['wait_event_type']}/{row['wait_event']}" if row["wait_event"] else None
    return Session(
        id=row["pid"],
        started_at=row["backend_start"],
        user=_name(names, "role", row["role"]),
        database=_name(names, "database", row["database"]),
        application=row["application_name"] or None,
        client=row["client"],
        kind=kind,
        state=state,
        query=None if hidden else row["query"] or None,
        query_id=row["query_id"],
        query_seconds=row["query_seconds"],
        state_seconds=row["state_seconds"],
        transaction_seconds=row["transaction_seconds"],
        query_started_at=row["query_start"],
        transaction_started_at=row["xact_start"],
        wait=wait,
        leader=row["leader_pid"],
        protection=_protection(row, kind),
        visible=not hidden,
    )


def _name(names: Names, kind: str, oid: int | None) -> str | None:
    return names.get((kind, oid), f"oid {oid}") if oid else None


def _protection(row: Record, kind: str) -> Protection | None:
    if is_ours(row["application_name"]):
        return Protection.OWN
    if kind == "walsender":
        return Protection.WALSENDER
    if kind == "autovacuum worker":
        wraparound = "(to prevent wraparound)" in (row["query"] or "")
        return Protection.WRAPAROUND if wraparound else Protection.AUTOVACUUM
    if kind not in ("client backend", "parallel worker", "unknown"):
        return Protection.SERVER
    if (row["application_name"] or "").lower().startswith(_DUMPS):
        return Protection.BACKUP
    return Protection.SYNC_REP if row["wait_event"] == "SyncRep" else None


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


_object = itemgetter(
    "locktype", "database", "relation", "page", "tuple", "virtualxid", "transactionid",
    "classid", "objid", "objsubid",
)  # fmt: skip


class Owners:
    """Whose a row of pg_locks is: a parallel worker's claims are its leader's (the server treats them
    as one), and a prepared transaction, which has no pid, is minus its transaction id.
    """

    def __init__(self, rows: Iterable[Record], leaders: Mapping[int, int]) -> None:
        self._leaders = leaders
        self._prepared = {
            row["virtualtransaction"]: -int(row["transactionid"])
            for row in rows
            if row["pid"] is None and row["locktype"] == "transactionid" and row["granted"]
        }

    def of(self, row: Record) -> int:
        pid: int | None = row["pid"]
        if pid is None:
            return self._prepared.get(row["virtualtransaction"], 0)
        return self._leaders.get(pid, pid)


def contended(rows: Iterable[Record]) -> list[Record]:
    """The rows, held or waiting, of objects that somebody waits for: few of the many in pg_locks."""
    keyed = [(_object(row), row) for row in rows]
    wanted = {key for key, row in keyed if not row["granted"]}
    return [row for key, row in keyed if key in wanted]


def row_locks(rows: Iterable[Record], owners: Owners) -> dict[int, Record]:
    """The row each first waiter stands on: it holds a `tuple` lock while it waits for a transaction."""
    return {owners.of(row): row for row in rows if row["locktype"] == "tuple" and row["granted"]}


def claim(row: Record, owners: Owners) -> Claim:
    """One row of pg_locks."""
    return Claim(
        session=owners.of(row),
        object=_object(row),
        mode=row["mode"],
        granted=row["granted"],
        since=row["since"],
    )


def waits(
    rows: Iterable[Record], tuples: Mapping[int, Record], owners: Owners, relations: Relations
) -> dict[int, Wait]:
    """What each waiter waits for; for those who only hold, the strongest contended lock they hold.

    `rows` are the contended ones.
    """
    found: dict[int, Wait] = {}
    for row in sorted(rows, key=lambda row: (row["granted"], -MODES.index(row["mode"]))):
        session_id = owners.of(row)
        if session_id in found:
            continue
        place = describe(row, relations)
        if row["locktype"] == "transactionid" and session_id in tuples:
            place = f"{describe(tuples[session_id], relations)} ({place})"
        found[session_id] = Wait(object=place, mode=row["mode"], seconds=row["seconds"])
    return found


def describe(row: Record, relations: Relations) -> str:
    """The locked object in words; a relation only by a name resolved in its own database."""
    words = _WORDS.get(row["locktype"])
    return words(row, relations) if words else str(row["locktype"])


def _relation(row: Record, relations: Relations) -> str:
    key = (row["database"], row["relation"])
    return relations.get(key) or f"relation {key[1]} of database {key[0]} (name unresolved)"


def _advisory(row: Record) -> str:
    """pg_locks documentation: a bigint key is split over classid and objid with objsubid 1."""
    high, low = row["classid"], row["objid"]
    if row["objsubid"] != 1:
        return f"advisory lock ({_signed(high, 32)}, {_signed(low, 32)})"
    return f"advisory lock {_signed(high << 32 | low, 64)}"


def _signed(value: int, size: int) -> int:
    return value - (1 << size) if value >> (size - 1) else value


def relations_of(rows: Iterable[Record]) -> set[tuple[int, int]]:
    """(database, relation) of the rows that have one."""
    return {(row["database"], row["relation"]) for row in rows if row["relation"] is not None}


_WORDS: Mapping[str, Callable[[Record, Relations], str]] = {
    "transactionid": lambda row, _: f"transaction {row['transactionid']}",
    "virtualxid": lambda row, _: f"virtual transaction {row['virtualxid']}",
    "advisory": lambda row, _: _advisory(row),
    "relation": _relation,
    "tuple": lambda row, names: f"row ({row['page']},{row['tuple']}) of {_relation(row, names)}",
    "page": lambda row, names: f"page {row['page']} of {_relation(row, names)}",
    "extend": lambda row, names: f"extension of {_relation(row, names)}",
    "object": lambda row, _: f"object {row['classid']}/{row['objid']} of database {row['database']}",
}
