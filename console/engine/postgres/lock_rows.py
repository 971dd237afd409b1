"""Rows of the lock table -> claims, waits and words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter

from console.engine.postgres.rows import MODES, Record
from console.model.locks import Claim, Wait

Relations = Mapping[tuple[int, int], str]
_STRENGTHS = {mode: place for place, mode in enumerate(MODES)}

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
    rows = list(rows)
    asked = [row for row in rows if not row["granted"]]
    kinds, relations = {row["locktype"] for row in asked}, {row["relation"] for row in asked}
    objects = set(map(_object, asked))
    return [
        row
        for row in rows
        if not row["granted"]
        or (row["relation"] in relations and row["locktype"] in kinds and _object(row) in objects)
    ]


def row_locks(rows: Iterable[Record], owners: Owners) -> dict[int, Record]:
    """The row each first waiter stands on: it holds a `tuple` lock while it waits for a transaction."""
    return {owners.of(row): row for row in rows if row["locktype"] == "tuple" and row["granted"]}


def turns(rows: Iterable[Record], owners: Owners) -> frozenset[int]:
    """Who waits behind such a first waiter: next, it waits for the row's transaction itself."""
    return frozenset(owners.of(row) for row in rows if row["locktype"] == "tuple" and not row["granted"])


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
    rows = sorted(rows, key=lambda row: (row["granted"], -_strength(row)))
    whose = {row["virtualxid"]: owners.of(row) for row in rows if _is_own_virtual(row)}
    found: dict[int, Wait] = {}
    for row in rows:
        session_id = owners.of(row)
        if session_id in found:
            continue
        place = describe(row, relations)
        if row["locktype"] == "transactionid" and session_id in tuples:
            place = f"{describe(tuples[session_id], relations)} ({place})"
        elif row["locktype"] == "virtualxid" and row["virtualxid"] in whose:
            place = f"{place} of session {whose[row['virtualxid']]}"
        found[session_id] = Wait(object=place, mode=row["mode"], seconds=row["seconds"])
    return found


def _is_own_virtual(row: Record) -> bool:
    """Every transaction holds its virtual id exclusively; whoever waits for its end asks for a share."""
    return bool(row["locktype"] == "virtualxid" and row["granted"] and row["mode"] == "ExclusiveLock")


def _strength(row: Record) -> int:
    return _STRENGTHS[row["mode"]]


def in_transaction(rows: Iterable[Record], owners: Owners) -> set[int]:
    """Everyone with a transaction, hidden sessions too: the lock table is open to all."""
    return {owners.of(row) for row in rows if _is_own_virtual(row)}


def numbers(rows: Iterable[Record], owners: Owners) -> dict[int, Record]:
    """The row of each session's own transaction number (not of those it waits for)."""
    return {
        owners.of(row): row
        for row in rows
        if row["locktype"] == "transactionid" and row["granted"] and row["mode"] == "ExclusiveLock"
    }


def held_relations(rows: Iterable[Record], owners: Owners) -> dict[int, list[tuple[int, int]]]:
    """(database, relation) of each session's granted locks on relations, the strongest mode first.

    Of equal modes those of users come before the system's, whose oids are below 16384
    (FirstNormalObjectId in access/transam.h).
    """
    held = [row for row in rows if row["locktype"] == "relation" and row["granted"]]
    held.sort(key=lambda row: (-_strength(row), row["relation"] < 16384, row["relation"]))
    found: dict[int, dict[tuple[int, int], None]] = {}
    for row in held:
        found.setdefault(owners.of(row), {}).setdefault((row["database"], row["relation"]))
    return {session_id: list(pairs) for session_id, pairs in found.items()}


def describe(row: Record, relations: Relations) -> str:
    """The locked object in words; a relation only by a name resolved in its own database."""
    words = _WORDS.get(row["locktype"])
    return words(row, relations) if words else str(row["locktype"])


def _relation(row: Record, relations: Relations) -> str:
    key = (row["database"], row["relation"])
    return relations.get(key) or f"relation {key[1]} of database {key[0]} (name unresolved)"


def _advisory(row: Record) -> str:
    return f"advisory lock {advisory_key(row['classid'], row['objid'], row['objsubid'])}"


def advisory_key(high: int, low: int, form: int) -> str:
    """pg_locks documentation: a bigint key is split over classid and objid with objsubid 1."""
    if form != 1:
        return f"({_signed(high, 32)}, {_signed(low, 32)})"
    return str(_signed(high << 32 | low, 64))


def _signed(value: int, size: int) -> int:
    return value - (1 << size) if value >> (size - 1) else value


def relations_of(rows: Iterable[Record]) -> set[tuple[int, int]]:
    """(database, relation) of the rows that have one."""
    return {(row["database"], row["relation"]) for row in rows if row["relation"] is not None}


def _speculative(row: Record, _: Relations) -> str:
    """Up to 16 pg_locks had no columns for these two and puts them into `database` and `classid`."""
    number, token = row["transactionid"], row["objid"]
    if number is None:
        number, token = row["database"], row["classid"]
    return f"speculative token {token} of transaction {number}"


def _remote(row: Record, _: Relations) -> str:
    number, subscription = row["transactionid"], row["objid"]
    if number is None:
        number, subscription = row["objid"], row["classid"]
    return f"remote transaction {number} of subscription {subscription}"


_WORDS: Mapping[str, Callable[[Record, Relations], str]] = {
    "transactionid": lambda row, _: f"transaction {row['transactionid']}",
    "virtualxid": lambda row, _: f"virtual transaction {row['virtualxid']}",
    "advisory": lambda row, _: _advisory(row),
    "relation": _relation,
    "tuple": lambda row, names: f"row ({row['page']},{row['tuple']}) of {_relation(row, names)}",
    "page": lambda row, names: f"page {row['page']} of {_relation(row, names)}",
    "extend": lambda row, names: f"extension of {_relation(row, names)}",
    "object": lambda row, _: f"object {row['classid']}/{row['objid']} of database {row['database']}",
    "spectoken": _speculative,
    "applytransaction": _remote,
    "frozenid": lambda row, _: f"pg_database.datfrozenxid of database {row['database']}",
    "userlock": lambda row, _: f"user lock [{row['database']},{row['classid']},{row['objid']}]",
}
