"""The drain board of a server, by its accounts and sessions, and by what the store of secrets keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from console.engine.port import Engine
from console.errors import ConfigError, DbdeckError, PrivilegeMissing, SecretsUnavailable
from console.model.accounts import Account
from console.model.drain import Drain
from console.model.drain_board import DrainBoard, Draining, Kept, by_user, draining, ordered, overlapping
from console.model.sessions import Session
from console.model.target import ServerIdentity
from console.secret_store import SecretStore, account_entry
from console.secrets import PENDING, PREVIOUS, Secret, entry_of, split_name

STORE_SECONDS = 5.0
T = TypeVar("T")
Actions = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]
"""The ledger's actions of rotations, as far as it may be read: rotation id -> action id."""
_NO_STORE = SecretsUnavailable("there is no keyring here", "`keyring` in the config names one")


async def nobody_knows(_: Collection[str]) -> Mapping[str, str]:
    return {}


async def drain_board(
    engine: Engine, store: SecretStore | None, actions: Actions = nobody_knows
) -> DrainBoard:
    """Raises an Unreachable error where the accounts may not be read. A store that is locked or does not
    answer is a problem of the board, which then has what the server itself keeps.
    """
    server = await engine.identity()
    found = await engine.accounts()
    users = by_user(found.accounts)
    sessions, notes = await _sessions(engine)
    kept: Mapping[str, Kept] | None = None
    problem: DbdeckError | None = None
    lost: list[Draining] = []
    try:
        kept = await look(store, _entries(engine, users))
        lost = await _gone(engine, store, users)
    except DbdeckError as error:
        problem = error
    lines = [
        _line(rows, None if kept is None else kept.get(user, Kept()), sessions, server, users)
        for user, rows in users.items()
        if overlapping(rows) or (kept is not None and user in kept and kept[user].telling)
    ]
    made = DrainBoard(
        accounts=ordered([*lines, *lost]),
        now=found.now,
        store=store.name if store is not None else "",
        problem=problem,
        unknown=sum(1 for rows in users.values() if overlapping(rows) is None),
        notes=(*notes, *(f"{gap.what} may not be read: {gap.remedy}" for gap in found.gaps if not lines)),
    )
    return await _named(made, actions)


def _line(
    rows: Sequence[Account],
    kept: Kept | None,
    sessions: Sequence[Session] | None,
    server: ServerIdentity,
    users: Mapping[str, Sequence[Account]],
) -> Draining:
    return draining(rows, kept, sessions, server, users.get(kept.turn_over, ()) if kept else ())


async def _sessions(engine: Engine) -> tuple[Sequence[Session] | None, tuple[str, ...]]:
    try:
        return await engine.sessions(), ()
    except PrivilegeMissing as missing:
        return None, (f"sessions may not be seen: {missing.message}. {missing.hint}",)


async def _named(board: DrainBoard, actions: Actions) -> DrainBoard:
    """With the actions that `--resume` takes; asked for only where something broke off."""
    if not board.broken_off:
        return board
    known = await actions(board.broken_off)
    lines = [msgspec.structs.replace(one, action=known.get(one.pending or "", "")) for one in board.accounts]
    return msgspec.structs.replace(board, accounts=tuple(lines))


def _entries(engine: Engine, users: Iterable[str]) -> dict[str, str]:
    """The entry of each user; without those that can have none."""
    found = {}
    for user in users:
        name = account_entry(engine.target, user)
        try:
            split_name(name or "")
        except ConfigError:
            continue
        found[user] = str(name)
    return found


async def _gone(
    engine: Engine, store: SecretStore | None, users: Mapping[str, Sequence[Account]]
) -> list[Draining]:
    """Of accounts that the server has no more: what a rotation left in the store, where it can be listed, or
    the config names them.
    """
    left = await _left_behind(engine, store, users)
    return [
        Draining(
            user=user,
            seen=Drain(user=user, rotated_at=one.proved_at, overlap=False, older=None),
            kept=one,
            overlap=False,
            gone=left[user],
        )
        for user, one in (await look(store, left)).items()
        if not one.users & users.keys()  # of two that take turns the other one may still be there
    ]


async def _left_behind(
    engine: Engine, store: SecretStore | None, users: Mapping[str, Sequence[Account]]
) -> dict[str, str]:
    """The entry of each user that is not there, by the name it has in the store."""
    target, known = engine.target, set(_entries(engine, users).values())
    head = f"dbdeck/{target.name}/"
    listed = (await _in_time(store, store.names()) if store is not None else None) or ()
    ends = [name.rpartition("#")[0] for name in listed if name.endswith((PENDING, PREVIOUS))]
    found = {name.removeprefix(head): name for name in ends if name.startswith(head)}
    found |= _entries(engine, [user for user in target.rotation.accounts if user not in users])
    return {user: name for user, name in found.items() if name not in known}


async def look(store: SecretStore | None, entries: Mapping[str, str]) -> dict[str, Kept]:
    """What is kept of each user of whom more than the current password is. No secret leaves this function.

    Raises SecretsUnavailable, VaultLocked or ConfigError where the store cannot be used.
    """
    if store is None:
        raise _NO_STORE
    beside = [name + end for name in entries.values() for end in (PENDING, PREVIOUS)]
    more = await _in_time(store, store.some(beside))
    telling = {
        user: name for user, name in entries.items() if name + PENDING in more or name + PREVIOUS in more
    }
    current = await _in_time(store, store.some(list(telling.values())))
    return {user: _kept(current.get(name), more, name) for user, name in telling.items()}


async def _in_time(store: SecretStore, answer: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(STORE_SECONDS):
            return await answer
    except TimeoutError:
        raise SecretsUnavailable(
            f"the keyring {store.name} gave no answer within {STORE_SECONDS:g} s",
            "does it wait for somebody?",
        ) from None


def _kept(current: Secret | None, more: Mapping[str, Secret], name: str) -> Kept:
    """Ids and times; an entry without them was stored by hand."""
    now = entry_of(current) if current is not None else None
    pending, before = more.get(name + PENDING), more.get(name + PREVIOUS)
    turns = now.user if now else "", entry_of(before).user if before is not None else ""
    both = all(turns) and turns[0] != turns[1]
    return Kept(
        rotation=now.rotation if now else "",
        proved_at=now.made_at if now else None,
        session=now.session if now else 0,
        current=now is not None,
        pending=entry_of(pending).rotation if pending is not None else None,
        previous=before is not None,
        turn=turns[0] if both else "",
        turn_over=turns[1] if both else "",
        users=frozenset(entry_of(one).user for one in (current, pending, before) if one is not None),
    )
