"""Every open transaction with what its session did, holds and blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from console.engine.mysql import xa
from console.engine.mysql.graph import lock_tree
from console.engine.mysql.link import Link
from console.engine.mysql.look import Seen, look_at_all, prepared_sessions, records_metadata_locks, xa_names
from console.engine.mysql.rows import Transaction
from console.errors import PrivilegeMissing
from console.model.blocking import BlockingTree
from console.model.locks import closure
from console.model.sessions import Session, State, by_id
from console.model.transactions import OpenTransaction, oldest_first

Record = Mapping[str, Any]
_STATEMENTS = 5


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata locks of one session: how many, and on which tables."""

    locks: int
    objects: tuple[str, ...]


class Extras(msgspec.Struct, frozen=True, kw_only=True):
    """What other views add, by connection id. `held` and `tree` are None where nobody can tell. `prepared`
    are those of whom InnoDB's report says so.
    """

    statements: Mapping[int, tuple[str, ...]] = {}
    held: Mapping[int, Held] | None = None
    tree: BlockingTree | None = None
    names: xa.Names = xa.Names()
    prepared: frozenset[int] = frozenset()


async def open_transactions(link: Link) -> tuple[OpenTransaction, ...]:
    """Raises PrivilegeMissing rather than leave somebody out."""
    seen = await look_at_all(link)
    ids = tuple(sorted({one.session for one in seen.transactions if one.session}))
    try:
        tree = await lock_tree(link, seen)
    except PrivilegeMissing:
        tree = None
    names = await xa_names(link, seen.identity)
    extras = Extras(
        statements=last_statements(await _optional(link, "last_statements", ids)),
        held=await _held(link, ids),
        tree=tree,
        names=names,
        prepared=await prepared_sessions(link) if names.free else frozenset(),
    )
    return oldest_first(transactions(seen, extras))


async def _optional(link: Link, read: str, ids: tuple[int, ...]) -> list[dict[str, Any]]:
    try:
        return await link.fetch(read, read.replace("_", " "), ids) if ids else []
    except PrivilegeMissing:
        return []


async def _held(link: Link, ids: tuple[int, ...]) -> dict[int, Held] | None:
    try:
        if not await records_metadata_locks(link):
            return None
        rows = await link.fetch("transaction_objects", "metadata locks", ids) if ids else []
    except PrivilegeMissing:
        return None
    return held(rows, ids)


# ---- pure --------------------------------------------------------------------------------------


def transactions(seen: Seen, extras: Extras) -> tuple[OpenTransaction, ...]:
    sessions = by_id(seen.sessions)
    idle = {one.id for one in seen.sessions if one.state is State.IDLE_IN_TRANSACTION}
    names = xa.of_sessions(extras.names, extras.prepared & idle)
    extras = msgspec.structs.replace(extras, names=names)
    blocks = _blocks(extras.tree)
    found = [
        _of_session(one, sessions[one.session], blocks, extras)
        for one in seen.transactions
        if one.session in sessions
    ]
    detached = [one for one in seen.transactions if not one.session]
    found += [_detached(one, blocks, extras.names) for one in detached]
    prepared = sum(not one.rolling_back for one in detached)
    return (*found, *xa.rowless(extras.names, prepared))


def _blocks(tree: BlockingTree | None) -> Mapping[int, int | None] | None:
    """How many wait on each node of the graph, directly or through others; None where nobody can tell,
    of all or of one.
    """
    if tree is None:
        return None
    below = closure(tree.graph).below
    found = {node: (below[bit] & ~(1 << bit)).bit_count() for bit, node in enumerate(tree.graph.ids)}
    return {node: None for node in tree.suspects if not found.get(node)} | {
        node: number for node, number in found.items() if number or node not in tree.suspects
    }


def _of_session(
    one: Transaction, session: Session, blocks: Mapping[int, int | None] | None, extras: Extras
) -> OpenTransaction:
    """A prepared one has no `resolve`: only its own session can end it, until it leaves."""
    name = extras.names.connected.get(session.id)
    held = None if extras.held is None else extras.held.get(session.id)
    return OpenTransaction(
        session=msgspec.structs.replace(session, prepared=name) if name else session,
        number=None if one.number is None else str(one.number),
        isolation=None if one.isolation is None else one.isolation.lower(),
        statements=_statements_of(session, extras.statements.get(session.id, ())),
        rows_modified=one.rows_modified,
        rows_locked=one.rows_locked,
        locks=held.locks if held else None,
        objects=held.objects if held else (),
        blocks=None if blocks is None else blocks.get(session.id, 0),
    )


def _statements_of(session: Session, history: tuple[str, ...]) -> tuple[str, ...]:
    """The history has what ended: what runs now stands before it."""
    running = session.query if session.state is State.ACTIVE else None
    return (running, *history)[:_STATEMENTS] if running else history


def _detached(one: Transaction, blocks: Mapping[int, int | None] | None, names: xa.Names) -> OpenTransaction:
    return OpenTransaction(
        session=xa.node(one, names),
        number=None if one.number is None else str(one.number),
        isolation=None if one.isolation is None else one.isolation.lower(),
        rows_modified=one.rows_modified,
        rows_locked=one.rows_locked,
        blocks=None if blocks is None else blocks.get(one.node, 0),
        resolve=None if one.rolling_back else xa.resolution(names),
    )


def last_statements(rows: Iterable[Record]) -> dict[int, tuple[str, ...]]:
    """Newest first; the history is by the order in which statements began."""
    found: dict[int, list[tuple[int, str]]] = {}
    for row in rows:
        if row["statement"]:
            found.setdefault(int(row["session_id"]), []).append((int(row["event_id"]), row["statement"]))
    return {
        session: tuple(text for _, text in sorted(told, reverse=True)[:_STATEMENTS])
        for session, told in found.items()
    }


def held(rows: Iterable[Record], ids: Iterable[int]) -> dict[int, Held]:
    tables: dict[int, set[str]] = {number: set() for number in ids}
    counts = dict.fromkeys(tables, 0)
    for row in rows:
        number = int(row["session_id"])
        counts[number] = counts.get(number, 0) + int(row["locks"])
        if row["type"] == "TABLE":
            tables.setdefault(number, set()).add(f"{row['table_schema']}.{row['table_name']}")
    return {
        number: Held(locks=counts[number], objects=tuple(sorted(names))) for number, names in tables.items()
    }
