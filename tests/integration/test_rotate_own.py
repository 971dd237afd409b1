"""dbdeck's own account: rotated by what each account may do to itself, and never locked out by a death."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import actions
from console.audit.ledger import open_ledger
from console.audit.record import Kind
from console.dispatch.action import Approval
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.effect import Run
from console.dispatch.reconcile import reconcile
from console.dispatch.registry import Registry
from console.engine.open import open_engine
from console.errors import Exit
from console.model.policy import Policy
from console.model.probe import Answer
from console.secrets import entry_of, use_keyring
from tests.integration.actions.conftest import superuser
from tests.integration.actions.rotors import FIRST, new_account
from tests.integration.actions.test_rotate_crash import Crash, Fuse, FusedStore, Setting
from tests.integration.test_probe import probe
from tests.integration.test_rotate_command import Deck
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.targets import target_of

ENTRY = "dbdeck/t/own"


class Own(Deck):
    """The target's monitor and operator are one account; nobody else is in the config."""

    account: str

    async def rotated(self, *words: str) -> Any:
        return await self.rotate(self.account, *words)

    async def moved(self) -> None:
        """The old password ended, and what is stored lets dbdeck in."""
        assert (await probe(self.server, self.account, FIRST)).answer is Answer.REJECTED
        assert await self.kept(f"{ENTRY}#pending") is None
        current = await self.kept(ENTRY)
        assert (await probe(self.server, self.account, current.password)).answer is Answer.ACCEPTED


async def own_on(
    server: Server, folder: Path, *, grants: Sequence[str] = (), how: str = "", **over: Any
) -> Own:
    """`grants` are of the account: SELECT ON mysql.*; without it has none."""
    account = await new_account(server, how)
    await superuser(server, *(f"grant {one} to {account}@'%'" for one in grants))
    login = {"user": account, "password": f"keyring:{ENTRY}"}
    deck = Own(folder, server, operator=dict(login), monitor=dict(login), **over)
    deck.account = account
    await deck.keep(ENTRY, FIRST.reveal())
    return deck


async def recorded(deck: Deck) -> str:
    return (await deck.call("audit", "list", "--json", "--limit", "500")).out


async def test_a_role_changes_itself_without_any_attribute(postgres: PostgresServer, tmp_path: Path) -> None:
    deck = await own_on(postgres, tmp_path)
    done = await deck.rotated()
    assert done.code == 0, done
    await deck.moved()


async def test_a_role_may_not_move_its_own_end_and_that_is_told(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    deck = await own_on(postgres, tmp_path, how="valid until '2100-01-01'")
    words = ("credential.rotate", "-t", "t", f"account={deck.account}")
    plan = await deck.call("plan", *words)
    assert "VALID UNTIL stays 2100-01-01" in plan.out
    done = await deck.rotated()
    assert done.code == 0, done
    await deck.moved()


async def test_mariadb_takes_a_verifier_of_oneself(mysql: MysqlServer, tmp_path: Path) -> None:
    if mysql.flavor != "mariadb":
        pytest.skip("MySQL takes none")
    deck = await own_on(mysql, tmp_path, grants=("process on *.*",))  # which retire looks at sessions with
    for _ in range(2):
        done = await deck.rotated()
        assert done.code == 0, done
        assert "set password for" in done.document["statements"][0]
        assert "verifier>" in done.document["statements"][0]
        await deck.moved()
    retired = await deck.call(
        "apply", "credential.retire", "-t", "t", f"account={deck.account}", "--yes", "--reason", "a test"
    )
    assert retired.code == 0, retired
    assert await deck.kept(f"{ENTRY}#previous") is None


async def test_mysql_wants_a_grant_or_the_password_in_clear(mysql: MysqlServer, tmp_path: Path) -> None:
    if mysql.flavor != "mysql":
        pytest.skip("MariaDB takes a verifier")
    deck = await own_on(mysql, tmp_path)
    done = await deck.rotated()
    assert done.code == 2, done
    assert f"GRANT CREATE USER ON *.* TO '{deck.account}'@'%'" in done.err
    assert "plaintext=true" in done.err
    assert await deck.kinds() == []
    assert (await probe(mysql, deck.account, FIRST)).answer is Answer.ACCEPTED


async def test_mysql_changes_itself_in_clear_when_the_name_is_typed(
    mysql: MysqlServer, tmp_path: Path
) -> None:
    if mysql.flavor != "mysql":
        pytest.skip("MariaDB takes a verifier")
    deck = await own_on(mysql, tmp_path)
    untyped = await deck.rotated("plaintext=true")
    assert untyped.code == 4, untyped
    done = await deck.rotated("plaintext=true", "--confirm", "t")
    assert done.code == 0, done
    assert "<the password in clear>" in done.document["statements"][0]
    await deck.moved()
    new = (await deck.kept(ENTRY)).password.reveal()
    for text in (done.out, done.err, await recorded(deck)):
        assert new not in text
        assert FIRST.reveal() not in text


async def test_mysql_asks_for_the_current_password_where_it_has_to_be_told(
    mysql: MysqlServer, tmp_path: Path
) -> None:
    if mysql.flavor != "mysql":
        pytest.skip("MariaDB has no PASSWORD REQUIRE CURRENT")
    how = f"identified by '{FIRST.reveal()}' password require current"
    deck = await own_on(mysql, tmp_path, how=how)
    done = await deck.rotated("plaintext=true", "--confirm", "t")
    assert done.code == 0, done
    await deck.moved()


@pytest.mark.parametrize("tls", ["require", "off"])
async def test_in_clear_over_a_wire_that_nobody_verified_is_refused(
    mysql: MysqlServer, tmp_path: Path, tls: str
) -> None:
    deck = await own_on(mysql, tmp_path, tls=tls)
    done = await deck.rotated("plaintext=true", "--confirm", "t")
    assert done.code == 2, done
    assert "neither over verified TLS nor by a unix socket" in done.err


async def test_in_clear_over_the_socket(mysql: MysqlServer, tmp_path: Path) -> None:
    deck = await own_on(mysql, tmp_path, host=str(mysql.socket), tls="off")
    done = await deck.rotated("plaintext=true", "--confirm", "t")
    assert done.code == 0, done
    await deck.moved()


async def test_mysql_keeps_both_passwords_with_the_right_to(mysql: MysqlServer, tmp_path: Path) -> None:
    if mysql.flavor != "mysql":
        pytest.skip("MariaDB has no such right")
    grants = (
        "select on mysql.*",
        "select on performance_schema.*",
        "process, application_password_admin on *.*",
    )
    deck = await own_on(mysql, tmp_path, grants=grants)
    done = await deck.rotated("plaintext=true", "--confirm", "t")
    assert done.code == 0, done
    assert (await probe(mysql, deck.account, FIRST)).answer is Answer.ACCEPTED
    words = (f"account={deck.account}", "override=true", "--yes", "--reason", "a test", "--confirm", "t")
    retired = await deck.call("apply", "credential.retire", "-t", "t", *words)
    assert retired.code == 0, retired
    await deck.moved()


async def test_another_account_is_still_refused_with_the_grant(mysql: MysqlServer, tmp_path: Path) -> None:
    deck = await own_on(mysql, tmp_path)
    other = await new_account(mysql)
    done = await deck.rotate(other)
    assert done.code == 3, done
    assert "GRANT SELECT ON" in done.err


class OwnSetting(Setting):
    """The only account of the config, which dbdeck looks up in the store as in a keyring."""

    args: dict[str, object]

    async def rotate(self, fuse: Fuse) -> Exit:
        self.store.fuse = fuse
        return (await self.act({"account": self.account, **self.args}, fuse)).exit

    async def resumed(self) -> None:
        self.store.fuse = Fuse()
        async with (
            open_ledger(f"sqlite:///{self.folder}/audit.db", self.folder / "journal") as ledger,
            open_engine(self.target) as engine,
        ):
            settled = await reconcile(ledger, Registry(actions.ALL), [self.target], store=self.store)
            assert all(one.state != "undecidable" for one in settled), settled
            intents = await ledger.entries(kinds=(Kind.INTENT,), newest_first=True)
            here = Dispatcher(Registry(actions.ALL), ledger, Policy(), store=self.store)
            try:
                plan = await here.resume(intents[0].action_id, engine)
                run = await here.apply(plan, engine, TYPED)
            finally:
                await here.close()
            assert run.exit is Exit.OK, run.error

    async def act(self, given: dict[str, object], fuse: Fuse) -> Run:
        async with (
            open_ledger(f"sqlite:///{self.folder}/audit.db", self.folder / "journal") as ledger,
            open_engine(self.target) as engine,
        ):
            opener = self.opener(fuse)
            here = Dispatcher(Registry(actions.ALL), ledger, Policy(), opener=opener, store=self.store)
            try:
                return await here.apply(await here.plan("credential.rotate", engine, given), engine, TYPED)
            finally:
                await here.close()

    async def refused(self) -> bool:
        """Whether the stored current password is not the right one any more."""
        current = entry_of(self.store.entries["dbdeck/t", "own"]).password
        return (await probe(self.server, self.account, current)).answer is Answer.REJECTED


TYPED = Approval(reason="a test", confirm="t")


async def setting_of(server: Server, folder: Path) -> OwnSetting:
    """In clear on MySQL, where no other way is left to it."""
    account = await new_account(server)
    store = FusedStore()
    await store.put(ENTRY, FIRST)
    here = OwnSetting(server, folder, account, store)
    login = {"user": account, "password": f"keyring:{ENTRY}"}
    here.target = target_of(server, monitor=login, operator=dict(login))
    here.args = {"plaintext": True} if isinstance(server, MysqlServer) and server.flavor == "mysql" else {}
    use_keyring(lambda service, name: store.entries.get((service, name)))
    return here


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_it_dies_at_any_effect_and_lets_itself_in_again(
    any_server: Server, tmp_path: Path, *, after: bool
) -> None:
    """The server keeps no second password: after the statement the pending one alone lets dbdeck in."""
    whole = await setting_of(any_server, tmp_path / "whole")
    counting = Fuse()
    assert await whole.rotate(counting) is Exit.OK
    locked_out = 0
    for point in range(1, counting.count + 1):
        here = await setting_of(any_server, tmp_path / str(point))
        with pytest.raises(Crash):
            await here.rotate(Fuse(point, after=after))
        locked_out += await here.refused()
        await here.resumed()
        assert not await here.refused()
        assert await here.store.get(f"{ENTRY}#pending") is None
        assert (await probe(any_server, here.account, FIRST)).answer is Answer.REJECTED
    assert locked_out
