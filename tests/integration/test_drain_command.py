"""`show drain` with a real vault, and real sessions of before and after a rotation that leave one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from console.secrets import Entry
from tests.command import Done
from tests.integration.actions.conftest import superuser, until
from tests.integration.actions.rotors import FIRST, new_account
from tests.integration.test_rotate_command import Deck
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer


@asynccontextmanager
async def client(server: Server, account: str, password: str, application: str) -> AsyncIterator[None]:
    if isinstance(server, MysqlServer):
        session = await server.connect(account, password, program_name=application)
        try:
            yield
        finally:
            session.close()
        return
    plain = await asyncpg.connect(
        host="127.0.0.1", port=server.tcp_port, user=account, password=password, database="postgres",
        server_settings={"application_name": application},
    )  # fmt: skip
    try:
        yield
    finally:
        await plain.close()


async def rotated(deck: Deck) -> str:
    """An account with a session from before its rotation counts from here on."""
    account = await new_account(deck.server)
    await deck.keep(f"dbdeck/t/{account}", FIRST.reveal())
    return account


async def board(deck: Deck, *words: str) -> Done:
    return await deck.call("show", "drain", "-t", "t", *words)


async def row(deck: Deck, account: str) -> dict[str, Any] | None:
    done = await board(deck, "--json")
    assert done.code == 0, done
    return next((one for one in done.rows if one["account"] == account), None)


async def test_sessions_from_before_leave_one_by_one_until_it_can_be_retired(
    any_server: Server, tmp_path: Path
) -> None:
    deck = Deck(tmp_path, any_server)
    account = await rotated(deck)
    mysql = isinstance(any_server, MysqlServer)
    assert await row(deck, account) is None
    async with AsyncExitStack() as left, AsyncExitStack() as second:
        await left.enter_async_context(client(any_server, account, FIRST.reveal(), "shop"))
        await second.enter_async_context(client(any_server, account, FIRST.reveal(), "shop"))
        assert (await deck.rotate(account)).code == 0
        new = (await deck.kept(f"dbdeck/t/{account}")).password.reveal()
        async with client(any_server, account, new, "shop-new"):
            found = await row(deck, account)
            assert found is not None
            assert (found["before"], found["since"], found["drained"]) == (2, 1, False), found
            assert (found["overlap"], found["previous"], found["pending"]) == (mysql, True, False)
            [group] = found["groups"]
            assert (group["sessions"], group["client"], group["application"]) == (2, "127.0.0.1", "shop")
            assert (group["oldest"] is None) is mysql
            assert len(found["sessions"]) == 2
            told = await board(deck)
            assert f"{account}" in told.out
            assert "2 to go" in told.out

            for stack, rest in ((second, 1), (left, 0)):
                await stack.aclose()

                async def gone(rest: int = rest) -> bool:
                    now = await row(deck, account)
                    return now is not None and now["before"] == rest

                await until(gone, 60.0)
            drained = await row(deck, account)
            assert drained is not None
            assert (drained["drained"], drained["since"], drained["groups"]) == (True, 1, [])
            assert "drained: retire" in (await board(deck)).out
    yes = ("--yes", "--reason", "a test")
    done = await deck.call("apply", "credential.retire", "-t", "t", f"account={account}", *yes)
    assert done.code == 0, done
    assert await row(deck, account) is None


async def test_nothing_secret_is_on_the_board(any_server: Server, tmp_path: Path) -> None:
    deck = Deck(tmp_path, any_server)
    account = await rotated(deck)
    assert (await deck.rotate(account)).code == 0
    new = (await deck.kept(f"dbdeck/t/{account}")).password.reveal()
    for words in ((), ("--json",), ("--csv",)):
        done = await board(deck, *words)
        assert done.code == 0, done
        assert account in done.out
        for secret in (new, FIRST.reveal()):
            assert secret not in done.out + done.err


async def test_a_locked_vault_is_said_and_the_servers_own_overlap_is_shown(
    any_server: Server, tmp_path: Path
) -> None:
    deck = Deck(tmp_path, any_server)
    account = await rotated(deck)
    assert (await deck.rotate(account)).code == 0
    deck.env = {}
    done = await board(deck, "--json")
    assert done.code == 2, done
    assert done.document["problem"]["kind"] == "vault_locked"
    assert "--master-key-fd" in done.err
    found = [one for one in done.rows if one["account"] == account]
    if isinstance(any_server, MysqlServer):
        [only] = found
        assert (only["overlap"], only["before"], only["since"], only["pending"]) == (True, None, None, None)
        assert (only["rotation"], only["drained"]) == (None, None)
    else:
        assert found == []


async def test_a_rotation_that_died_is_named_with_how_to_go_on(any_server: Server, tmp_path: Path) -> None:
    """Killed at a turn where the pending password is kept; what the board says is then done."""
    deck = Deck(tmp_path, any_server)
    whole = await new_account(any_server)
    await deck.keep(f"dbdeck/t/{whole}", FIRST.reveal())
    code, err = await deck.killed(whole, 0)
    assert code == 0, err
    turns = int(err.rpartition("turns=")[2])
    for turn in range(turns // 3, turns, max(1, turns // 12)):
        account = await rotated(deck)
        await deck.killed(account, turn)
        found = await row(deck, account)
        if found is not None and found["pending"]:
            break
    else:
        raise AssertionError("it never died with a pending password")
    assert found["drained"] is not True
    assert found["action_id"]
    told = await board(deck, "--json")
    assert "broke off" in (await board(deck)).out
    settled = await deck.call("audit", "reconcile", "--json")
    assert settled.code == 0, settled
    yes = ("--yes", "--reason", "a test")
    done = await deck.call("apply", "--resume", found["action_id"], "-t", "t", *yes)
    assert done.code == 0, (done, told)
    after = await row(deck, account)
    assert after is None or after["pending"] is False


async def test_what_is_left_of_an_account_that_is_gone_is_listed_until_it_is_removed(
    any_server: Server, tmp_path: Path
) -> None:
    deck = Deck(tmp_path, any_server)
    account = await rotated(deck)
    assert (await deck.rotate(account)).code == 0
    mysql = isinstance(any_server, MysqlServer)
    await superuser(any_server, f"drop user {account}@'%'" if mysql else f"drop role {account}")
    found = await row(deck, account)
    assert found is not None
    assert (found["gone"], found["previous"], found["drained"], found["before"]) == (True, True, None, None)
    assert "the account is gone" in (await board(deck)).out
    for name in (f"dbdeck/t/{account}", f"dbdeck/t/{account}#previous"):
        assert (await deck.call("secret", "remove", name)).code == 0
    assert await row(deck, account) is None


async def test_of_two_that_take_turns_one_may_be_gone(postgres18: PostgresServer, tmp_path: Path) -> None:
    """The entry has the name of one, and is of the other now."""
    deck = Deck(tmp_path, postgres18)
    there = await new_account(postgres18)
    kept = Entry(password=FIRST, rotation="r", user=there).sealed().reveal()
    for end in ("", "#previous"):
        await deck.keep(f"dbdeck/t/not_{there}{end}", kept)
    assert await row(deck, f"not_{there}") is None


async def test_without_rotations_nothing_is_kept_or_valid(postgres18: PostgresServer, tmp_path: Path) -> None:
    done = await board(Deck(tmp_path, postgres18))
    assert done.code == 0, done
    assert "no old password is kept or valid" in done.err + done.out


async def test_doctor_tells_what_rotations_left_and_what_is_overdue(
    any_server: Server, tmp_path: Path
) -> None:
    deck = Deck(tmp_path, any_server)
    account = await rotated(deck)
    assert (await deck.rotate(account)).code == 0
    deck.write(deck.values | {"rotation": {"every": "90d"}})
    checks = {one["name"]: one for one in (await deck.call("doctor", "-t", "t", "--json")).rows[-1]["checks"]}
    assert "to finish" in checks["rotations"]["detail"]
    assert "show drain" in checks["rotations"]["hint"]
    assert "overdue" in checks["passwords"]["detail"]
    assert checks["passwords"]["ok"] is (True if isinstance(any_server, MysqlServer) else None)
    deck.env = {}
    locked = {one["name"]: one for one in (await deck.call("doctor", "-t", "t", "--json")).rows[-1]["checks"]}
    assert locked["rotations"]["ok"] is None
    assert "locked" in locked["rotations"]["detail"]
