"""InnoDB's row and table locks, and table flushes -> claims and edges of the wait graph. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from console.engine.mysql.rows import TABLE_FLUSH, Transaction
from console.model.blocking import UNSEEN
from console.model.locks import Claim, Edge, Wait
from console.model.sessions import Session, State

Record = Mapping[str, Any]

# MySQL manual 17.7.1, table "InnoDB Locking": compatible with what is held.
_COMPATIBLE = {
    "S": frozenset({"S", "IS"}),
    "X": frozenset[str](),
    "IS": frozenset({"IS", "IX", "S", "AUTO_INC"}),
    "IX": frozenset({"IS", "IX", "AUTO_INC"}),
    "AUTO_INC": frozenset({"IS", "IX"}),
}
UNKNOWN = UNSEEN


class RowLock(msgspec.Struct, frozen=True, kw_only=True):
    """A lock of InnoDB, asked for or held. `node` is a session id, or negative without a session.

    `since`: epoch seconds of the server; `rule` is the mode as the server's conflict rule reads it.
    `suspects` are the nodes of which one holds it, where the server does not tell which.
    """

    node: int
    lock_id: str
    object: tuple[object, ...]
    place: str
    mode: str
    rule: str
    granted: bool
    since: float | None = None
    seconds: float | None = None
    suspects: tuple[int, ...] = ()


def must_wait(request: str, held: str) -> bool:
    """Whether a request waits for a lock of another transaction on the same record or table;
    lock_rec_has_to_wait() in storage/innobase/lock/lock0lock.cc.

    Nobody waits for an insert intention; a gap lock waits for nobody; what covers only the record
    and what covers only the gap do not meet.
    """
    asked, *wants = request.split(",")
    has, *marks = held.split(",")
    if has in _COMPATIBLE.get(asked, frozenset()) or "INSERT_INTENTION" in marks:
        return False
    if "INSERT_INTENTION" in wants:
        return "REC_NOT_GAP" not in marks
    return "GAP" not in wants and "GAP" not in marks


def claims(locks: Iterable[RowLock]) -> list[Claim]:
    return [
        Claim(session=l.node, object=l.object, mode=f"row {l.rule}", granted=l.granted, since=l.since)
        for l in locks  # noqa: E741 - a lock
    ]


def conflicts(locks: Iterable[RowLock]) -> dict[str, frozenset[str]]:
    rules = {lock.rule for lock in locks}
    return {
        f"row {one}": frozenset(f"row {other}" for other in rules if must_wait(one, other)) for one in rules
    }


def waits(locks: Iterable[RowLock]) -> dict[int, Wait]:
    """What each session waits for; for those who only hold, a contended lock they hold."""
    ordered = sorted(locks, key=lambda lock: lock.granted)
    found: dict[int, Wait] = {}
    for lock in ordered:
        found.setdefault(lock.node, Wait(object=lock.place, mode=lock.mode, seconds=lock.seconds))
    return found


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """When the sessions were read, and when their statements began: epoch seconds of the server."""

    now: float
    statements: Mapping[int, float]

    @property
    def seconds(self) -> dict[int, float | None]:
        """How old the statements are."""
        return {session: max(0.0, self.now - began) for session, began in self.statements.items()}

    def waiting_since(self, found: Transaction) -> float | None:
        """InnoDB gives the whole second a wait began in. The statement began before the wait: where
        it began within that second, it tells the order of those who came in the same one."""
        if found.wait_started is None:
            return None
        return max(found.wait_started, self.statements.get(found.session, 0.0))


def clock(rows: Sequence[Record], sessions: Sequence[Session]) -> Clock:
    """`sessions` as made of `rows`, each with the time its row was made."""
    return Clock(
        now=max((float(row["clock"]) for row in rows), default=0.0),
        statements={
            session.id: float(row["clock"]) - session.query_seconds
            for row, session in zip(rows, sessions, strict=True)
            if session.query_seconds is not None
        },
    )


def requested(rows: Iterable[Record], owners: Mapping[int, Transaction], clock: Clock) -> list[RowLock]:
    """Waiting rows of MySQL's data_locks; a row whose transaction ended meanwhile is gone."""
    found = []
    for row in rows:
        owner = owners.get(int(row["trx_id"]))
        if owner is not None:
            since = clock.waiting_since(owner)
            found.append(_lock(row, owner.node, _mysql_object(row), since, clock.now))
    return found


def to_ask_about(locks: Iterable[RowLock]) -> list[str]:
    """Two waiters of each record and mode, the longest waiting: a holder that is one of them is
    named by the other."""
    asked: dict[tuple[object, ...], list[str]] = {}
    for lock in sorted(locks, key=lambda lock: lock.since or 0.0):
        known = asked.setdefault((lock.object, lock.mode), [])
        if len(known) < 2:
            known.append(lock.lock_id)
    return [lock_id for ids in asked.values() for lock_id in ids]


def held(
    rows: Iterable[Record], waiting: Iterable[RowLock], owners: Mapping[int, Transaction]
) -> list[RowLock]:
    """Granted locks in front of the waiters that were asked about."""
    asked = {lock.lock_id: lock for lock in waiting}
    found: dict[tuple[object, ...], RowLock] = {}
    for row in rows:
        request, owner = asked[row["waiter"]], owners.get(int(row["trx_id"]))
        node = owner.node if owner else row["session_id"] or UNKNOWN
        lock = RowLock(
            node=node,
            lock_id="",
            object=request.object,
            place=request.place,
            mode=row["mode"],
            rule=row["mode"],
            granted=True,
        )
        found[node, request.object, row["mode"]] = lock
    return list(found.values())


def mariadb_locks(rows: Iterable[Record], owners: Iterable[Transaction], clock: Clock) -> list[RowLock]:
    """INNODB_LOCKS: every lock that is waited for or in somebody's way, once.

    All transactions that have not written are number 0 there, so what they ask for and what they hold
    (shared locks both) is one row: see `_nameless`.
    """
    owners = list(owners)
    waiting = [owner for owner in owners if owner.waiting]
    requests = {owner.lock_id for owner in waiting}
    named = {owner.id: owner for owner in owners if owner.id}
    by_id = {row["lock_id"]: row for row in rows}
    found = [
        _lock(row, owner.node, _mariadb_object(row), clock.waiting_since(owner), clock.now)
        for owner in waiting
        if (row := by_id.get(owner.lock_id)) is not None
    ]
    for lock_id, row in by_id.items():
        holder = named.get(int(row["trx_id"]))
        if holder is not None and lock_id not in requests:
            found.append(_held(row, holder.node))
    taken = {lock.object for lock in found if lock.granted}
    for lock_id, row in by_id.items():
        explained = lock_id in requests and _mariadb_object(row) in taken
        if int(row["trx_id"]) == 0 and not explained:
            found.append(_nameless(row, owners))
    return found


def _nameless(row: Record, owners: Iterable[Transaction]) -> RowLock:
    """A lock held by a transaction that has not written: by the only one that can, or by nobody knows.

    Among the rows that a transaction has locked the server counts the one it waits for.
    """
    able = sorted(
        owner.node
        for owner in owners
        if not owner.id and owner.rows_locked > owner.waiting and owner.lock_id != row["lock_id"]
    )
    if len(able) == 1:
        return _held(row, able[0])
    one_of = f", held by one of {', '.join(map(str, able[:10]))}" if able else ""
    unseen = _held(row, UNKNOWN)
    return msgspec.structs.replace(unseen, place=describe(row) + one_of, suspects=tuple(able))


def _lock(row: Record, node: int, place: tuple[object, ...], since: float | None, now: float) -> RowLock:
    # MariaDB shows an insert intention as a gap lock; a mere gap lock never waits.
    intention = ",INSERT_INTENTION" if row["mode"].endswith(",GAP") else ""
    return RowLock(
        node=node,
        lock_id=row["lock_id"],
        object=place,
        place=describe(row),
        mode=row["mode"],
        rule=row["mode"] + intention,
        granted=False,
        since=since,
        seconds=None if since is None else max(0.0, now - since),
    )


def _held(row: Record, node: int) -> RowLock:
    return RowLock(
        node=node,
        lock_id=row["lock_id"],
        object=_mariadb_object(row),
        place=describe(row),
        mode=row["mode"],
        rule=row["mode"],
        granted=True,
    )


def _mariadb_object(row: Record) -> tuple[object, ...]:
    return tuple(row[part] for part in ("table_name", "space", "page", "record"))


def _mysql_object(row: Record) -> tuple[object, ...]:
    """ENGINE_LOCK_ID ends in space:page:heap number:address for a record, table id:address for a
    table; before that it names the transaction."""
    parts = row["lock_id"].split(":")
    return tuple(parts[-4:-1] if row["type"] == "RECORD" else parts[-2:-1])


_QUOTED = re.compile(r"`((?:[^`]|``)*)`")


def describe(row: Record) -> str:
    """`shop.orders partition p0 index PRIMARY (42)`; the key only where the page is in memory."""
    if "table_schema" in row:
        names = [row["table_schema"], row["table_name"]]
        partition = row["partition_name"]
    else:
        parts = [name.replace("``", "`") for name in _QUOTED.findall(row["table_name"])]
        names, partition = parts[:2], ".".join(parts[2:])
    words = ".".join(name for name in names if name)
    words += f" partition {partition}" if partition else ""
    words += f" index {row['index_name']}" if row["index_name"] else ""
    return words + (f" ({row['data']})" if row["data"] else "")


def flush_edges(rows: Sequence[Record], sessions: Iterable[Session]) -> tuple[list[Edge], dict[int, Wait]]:
    """Who keeps a table flush waiting: those who had the table open before the flush began.

    A flush that was killed has marked its tables all the same, so later sessions wait on until the
    old ones end: the sessions that flush are never the blockers. `rows` of kind `wanted` name the
    tables of a waiter; a FLUSH TABLES names none and may wait for any.
    """
    known = {session.id: session for session in sessions}
    waiters = [session for session in known.values() if session.wait == TABLE_FLUSH]
    wanted: dict[int, set[tuple[str, str]]] = {}
    for row in rows:
        if row["kind"] == "wanted":
            wanted.setdefault(row["session_id"], set()).add((row["table_schema"], row["table_name"]))
    opened = [row for row in rows if row["kind"] == "open" and row["session_id"] in known]
    edges: dict[Edge, None] = {}
    found: dict[int, Wait] = {}
    for waiter in waiters:
        tables = wanted.get(waiter.id, set())
        old = [row for row in opened if _holds_up(row, known, waiter, tables)]
        places = sorted({f"{row['table_schema']}.{row['table_name']}" for row in old})
        found[waiter.id] = Wait(
            object=f"table flush of {', '.join(places)}" if places else "table flush",
            mode="FLUSH",
            seconds=waiter.query_seconds,
        )
        edges |= {Edge(waiter.id, row["session_id"]): None for row in old}
        for row in old:
            place = f"{row['table_schema']}.{row['table_name']}"
            found.setdefault(row["session_id"], Wait(object=f"{place} (open)", mode="OPEN"))
    return list(edges), found


def _holds_up(
    row: Record, known: Mapping[int, Session], waiter: Session, tables: set[tuple[str, str]]
) -> bool:
    other = known[row["session_id"]]
    if other.id == waiter.id or other.wait == TABLE_FLUSH:
        return False
    if tables and (row["table_schema"], row["table_name"]) not in tables:
        return False
    # Idle with an open table: LOCK TABLES, older than the time it has been idle (in whole seconds).
    idle = other.state is not State.ACTIVE
    age = (other.state_seconds or 0.0) + 1 if idle else other.query_seconds or 0.0
    return age >= (waiter.query_seconds or 0.0)
