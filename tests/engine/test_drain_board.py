"""The drain board of an engine and a store: what is read of both, and what is said where one is silent."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

import pytest

from console.engine import drain_board as reading
from console.engine.drain_board import drain_board
from console.errors import PrivilegeMissing, SecretsUnavailable, VaultLocked
from console.model.accounts import Account, Accounts
from console.model.sessions import State
from console.present import drain as words
from console.secrets import Entry, Secret
from tests.fakes import NOW, MemoryStore, ScriptedEngine, make_session

ROTATED = NOW - timedelta(hours=1)
HUSH = "n0b0dy-may-see-this"


def entry(rotation: str) -> Secret:
    return Entry(password=Secret(HUSH), rotation=rotation, made_at=ROTATED, session=9).sealed()


@pytest.fixture
def engine() -> ScriptedEngine:
    made = ScriptedEngine([make_session(1, user="app", state=State.IDLE, started_at=ROTATED - timedelta(1))])
    people = [Account(name="app", overlap=False), Account(name="two", host="%", overlap=True)]
    made.people = Accounts(accounts=(*people, Account(name="plain", overlap=False)), now=NOW)
    return made


@pytest.fixture
async def store() -> MemoryStore:
    made = MemoryStore()
    for name in ("app", "plain"):
        await made.put(f"dbdeck/shop/{name}", entry("r2"))
    await made.put("dbdeck/shop/app#previous", entry("r1"))
    return made


async def test_a_line_for_each_account_that_keeps_more_than_one(
    engine: ScriptedEngine, store: MemoryStore
) -> None:
    board = await drain_board(engine, store)
    assert [(one.user, one.seen.older) for one in board.accounts] == [("app", 1), ("two", None)]
    assert board.accounts[0].kept is not None
    assert (board.accounts[0].kept.rotation, board.accounts[0].rotated_at) == ("r2", ROTATED)
    assert (board.problem, board.store, board.now) == (None, "memory", NOW)


async def test_no_secret_leaves_the_entries(engine: ScriptedEngine, store: MemoryStore) -> None:
    await store.put("dbdeck/shop/app#pending", entry("r3"))
    assert HUSH not in repr(await drain_board(engine, store))


async def test_a_pending_one_gets_its_action_from_the_ledger(
    engine: ScriptedEngine, store: MemoryStore
) -> None:
    asked: list[Collection[str]] = []

    async def actions(rotations: Collection[str]) -> Mapping[str, str]:
        asked.append(tuple(rotations))
        return {"r3": "a-7"}

    await drain_board(engine, store, actions)
    assert asked == []
    await store.put("dbdeck/shop/app#pending", entry("r3"))
    board = await drain_board(engine, store, actions)
    assert asked == [("r3",)]
    first = board.accounts[0]
    assert (first.user, first.pending, first.action) == ("app", "r3", "a-7")


async def test_a_password_that_was_stored_by_hand_tells_nothing(
    engine: ScriptedEngine, store: MemoryStore
) -> None:
    await store.put("dbdeck/shop/app", Secret(HUSH))
    await store.put("dbdeck/shop/app#pending", Secret(HUSH))
    board = await drain_board(engine, store)
    assert (board.accounts[0].pending, board.accounts[0].seen.older) == ("", None)
    assert HUSH not in repr(board)


@pytest.mark.parametrize("error", [VaultLocked("locked", "unlock it"), SecretsUnavailable("damaged")])
async def test_without_the_store_the_servers_own_overlap_is_shown(
    engine: ScriptedEngine, store: MemoryStore, error: Any
) -> None:
    store.fail["get"] = error
    board = await drain_board(engine, store)
    assert board.problem is error
    assert [(one.user, one.overlap, one.kept) for one in board.accounts] == [("two", True, None)]
    assert (await drain_board(engine, None)).problem is not None


async def test_a_store_that_is_silent_does_not_take_the_board_with_it(
    engine: ScriptedEngine, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: object) -> dict[str, Secret]:
        await asyncio.Event().wait()
        return {}

    monkeypatch.setattr(reading, "STORE_SECONDS", 0.05)
    monkeypatch.setattr(store, "some", hang)
    board = await drain_board(engine, store)
    assert board.problem is not None
    assert "no answer" in board.problem.message


async def test_sessions_that_may_not_be_seen_are_unknown(
    engine: ScriptedEngine, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused() -> tuple[Any, ...]:
        raise PrivilegeMissing("no privilege", "GRANT it;")

    monkeypatch.setattr(engine, "sessions", refused)
    board = await drain_board(engine, store)
    assert board.accounts[0].seen.older is None
    assert "GRANT it;" in board.notes[0]


async def test_overlaps_that_may_not_be_seen_are_counted(engine: ScriptedEngine, store: MemoryStore) -> None:
    engine.people = Accounts(accounts=(Account(name="dark", overlap=None),), now=NOW)
    store.entries.clear()
    board = await drain_board(engine, store)
    assert (board.accounts, board.unknown) == ((), 1)


async def test_what_is_left_of_an_account_that_is_gone_is_listed_and_not_gone_on_with(
    engine: ScriptedEngine, store: MemoryStore
) -> None:
    engine.people = Accounts(accounts=(Account(name="other", overlap=False),), now=NOW)
    board = await drain_board(engine, store)
    (one,) = board.accounts
    assert (one.user, one.gone, one.ready, board.broken_off) == ("app", "dbdeck/shop/app", False, ())


async def test_of_two_that_take_turns_whoever_is_the_other_one_is_left(
    engine: ScriptedEngine, store: MemoryStore
) -> None:
    """Also those who logged in after the rotation: the other role has no new password."""

    def of(user: str) -> Secret:
        return Entry(password=Secret(HUSH), rotation="r2", user=user, made_at=ROTATED).sealed()

    await store.put("dbdeck/shop/app", of("app"))
    await store.put("dbdeck/shop/app#previous", of("app_b"))
    engine.list = [
        make_session(n, user=user, started_at=ROTATED + timedelta(minutes=n))
        for n, user in enumerate(("app_b", "app", "app_b"))
    ]
    engine.people = Accounts(
        accounts=(*engine.people.accounts, Account(name="app_b", overlap=False)), now=NOW
    )
    line = next(one for one in (await drain_board(engine, store)).accounts if one.user == "app")
    assert (line.seen.older, line.seen.newer, line.overlap) == (2, 1, True)
    assert {one.user for one in line.seen.left} == {"app_b"}
    engine.people = Accounts(accounts=(Account(name="app"), Account(name="app_b", may_login=False)), now=NOW)
    line = next(one for one in (await drain_board(engine, store)).accounts if one.user == "app")
    assert line.overlap is False


async def test_what_only_the_ledger_knows_of_two_roles_is_resumed_by_it_alone(
    engine: ScriptedEngine, store: MemoryStore
) -> None:
    other = Entry(password=Secret(HUSH), rotation="r3", user="app_b").sealed()
    await store.put("dbdeck/shop/app#pending", other)
    line = (await drain_board(engine, store)).accounts[0]
    assert line.paired
    assert words.command(line, "shop") == "dbdeck apply --resume ID -t shop"
