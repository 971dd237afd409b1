"""`credential.rotate` with a real vault: killed with -9 at any turn, and of accounts dbdeck uses itself."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from console.errors import Exit
from console.keyrings import Keyring, pin
from console.model.probe import Answer
from console.secret_store import KeyringStore
from console.secrets import entry_of
from tests.command import Command, Done
from tests.integration.actions.conftest import superuser
from tests.integration.actions.rotors import FIRST, new_account, over_for
from tests.integration.test_kill import CHILD
from tests.integration.test_probe import probe
from tests.servers.accounts import MONITOR
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

MASTER = "a-l0ng-enough-master"


class Deck(Command):
    """With a vault whose master comes as a systemd credential."""

    def __init__(self, folder: Path, server: Server, **over: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, {"t": server.target_dict(**(over_for(server) | over))})
        self.server = server
        self.vault = folder / "vault" / "vault"
        values = {"audit": self.audit, "keyring": {"backend": "vault", "vault": str(self.vault)}}
        self.values = values | {"targets": {"t": server.target_dict(**(over_for(server) | over))}}
        self.write(self.values)
        credentials = folder / "credentials"
        credentials.mkdir(exist_ok=True)
        (credentials / "dbdeck-vault").write_text(MASTER)
        (credentials / "dbdeck-vault").chmod(0o600)
        self.env = {"CREDENTIALS_DIRECTORY": str(credentials)}

    async def call(self, *words: str, text: str | None = None) -> Done:
        return await self.run(*words, env=self.env, text=text)

    async def keep(self, name: str, password: str) -> None:
        done = await self.call("secret", "set", name, text=password)
        assert done.code == 0, done.err

    async def kept(self, name: str) -> Any:
        pinned = pin(Keyring(backend="vault", vault=str(self.vault)), environ=self.env)
        found = await KeyringStore(pinned).get(name)
        return None if found is None else entry_of(found)

    async def rotate(self, account: str, *words: str) -> Done:
        yes = ("--yes", "--reason", "a test", "--json")
        return await self.call("apply", "credential.rotate", "-t", "t", f"account={account}", *yes, *words)

    async def killed(self, account: str, turn: int, *more: str) -> tuple[int, str]:
        words = ["--config", str(self.config), "apply", "credential.rotate", "-t", "t", f"account={account}"]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD, *words, *more, "--yes", "--reason", "killed", "--json",
            env={**os.environ, **self.env, "KILL_AT": str(turn)},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parent.parent.parent,
        )  # fmt: skip
        _, err = await process.communicate()
        return process.returncode or 0, err.decode()

    async def check(self, account: str) -> None:
        """What is kept logs in, nothing is pending, and the old one is dead exactly where it should be."""
        assert await self.kept(f"dbdeck/t/{account}#pending") is None
        current = await self.kept(f"dbdeck/t/{account}")
        assert (await probe(self.server, account, current.password)).answer is Answer.ACCEPTED
        overlap = isinstance(self.server, MysqlServer)
        old = await probe(self.server, account, FIRST)
        assert old.answer is (Answer.ACCEPTED if overlap else Answer.REJECTED)


async def test_killed_at_any_turn_it_is_settled_and_resumed(any_server: Server, tmp_path: Path) -> None:
    deck = Deck(tmp_path, any_server)
    whole = await new_account(any_server)
    await deck.keep(f"dbdeck/t/{whole}", FIRST.reveal())
    code, err = await deck.killed(whole, 0)
    assert code == 0, err
    turns = int(err.rpartition("turns=")[2])
    died = 0
    for turn in (turns // 4, turns // 2, turns * 3 // 4):
        account = await new_account(any_server)
        await deck.keep(f"dbdeck/t/{account}", FIRST.reveal())
        code, err = await deck.killed(account, turn)
        died += code == -signal.SIGKILL
        assert code in (0, -signal.SIGKILL), err
        if code:
            await settle(deck)
        await deck.check(account)
    assert died


async def settle(deck: Deck) -> None:
    settled = await deck.call("audit", "reconcile", "--json")
    assert settled.code == 0, settled
    rows = (await deck.call("audit", "list", "--json")).rows
    action = next(row["action_id"] for row in rows if row["kind"] == "intent")
    done = await deck.call("apply", "--resume", action, "-t", "t", "--yes", "--reason", "a test", "--json")
    assert done.code == 0, done


async def test_dbdeck_rotates_the_accounts_it_uses_itself(any_server: Server, tmp_path: Path) -> None:
    """The connection that acts stays; the next one takes the new password from the vault."""
    mysql = isinstance(any_server, MysqlServer)
    own = await new_account(any_server)
    name = "dbdeck/t/own"
    login = {"user": own, "password": f"keyring:{name}"}
    if mysql:
        await superuser(
            any_server, f"grant create user, process on *.* to {own}@'%'",
            f"grant select on mysql.* to {own}@'%'", f"grant select on performance_schema.* to {own}@'%'",
        )  # fmt: skip
    else:
        await superuser(any_server, f"alter role {own} createrole", f"grant pg_monitor to {own}")
    deck = Deck(tmp_path, any_server, operator=dict(login), monitor=dict(login))
    await deck.keep(name, FIRST.reveal())
    for _ in range(2):
        done = await deck.rotate(own, *(["overlap=false"] if mysql else []))
        assert done.code == 0, done
        assert done.document["effect"] == "applied"
        seen = await deck.call("show", "sessions", "-t", "t", "--json")
        assert seen.code == 0, seen
    assert (await probe(any_server, own, FIRST)).answer is Answer.REJECTED


@pytest.mark.parametrize("other", ["old", "lost"])
async def test_what_its_own_rotation_left_pending_lets_it_in(
    any_server: Server, tmp_path: Path, other: str
) -> None:
    """It died after the server was told: the current entry has the password from before."""
    own, name = await new_account(any_server), "dbdeck/t/own"
    login = {"user": own, "password": f"keyring:{name}"}
    deck = Deck(tmp_path, any_server, monitor=dict(login), operator=dict(login))
    await deck.keep(name, "the-0ne-from-before")
    await deck.keep(f"{name}#pending", FIRST.reveal() if other == "old" else "n0t-it-either")
    done = await deck.call("plan", "credential.rotate", "-t", "t", f"account={own}")
    assert (done.code == Exit.UNREACHABLE) is (other == "lost"), done


async def test_and_where_it_has_no_right_on_the_database_of_the_target(
    mysql: MysqlServer, tmp_path: Path
) -> None:
    own, name = await new_account(mysql), "dbdeck/t/own"
    login = {"user": own, "password": f"keyring:{name}"}
    database = await mysql.new_database()
    await superuser(mysql, f"grant select on {database}.* to dbdeck_rotator@'%'")
    deck = Deck(tmp_path, mysql, operator=login, database=database)
    await deck.keep(name, "the-0ne-from-before")
    await deck.keep(f"{name}#pending", FIRST.reveal())
    done = await deck.rotate(own, "overlap=false")
    assert done.code != Exit.UNREACHABLE, done.err


async def test_an_account_of_its_own_kept_elsewhere_is_refused(any_server: Server, tmp_path: Path) -> None:
    deck = Deck(tmp_path, any_server)
    done = await deck.rotate(MONITOR if not isinstance(any_server, MysqlServer) else "dbdeck_rotator")
    assert done.code == 2, done
    assert "lock itself out" in done.err


async def test_without_a_master_nothing_happens(postgres18: PostgresServer, tmp_path: Path) -> None:
    deck = Deck(tmp_path, postgres18)
    account = await new_account(postgres18)
    await deck.keep(f"dbdeck/t/{account}", FIRST.reveal())
    deck.env = {}
    done = await deck.rotate(account)
    assert done.code == 2, done
    assert "--master-key-fd" in done.err
    assert (await probe(postgres18, account, FIRST)).answer is Answer.ACCEPTED


@pytest.mark.parametrize("words", [("--json",), ()])
async def test_nothing_secret_is_printed(
    postgres18: PostgresServer, tmp_path: Path, words: tuple[str, ...]
) -> None:
    deck = Deck(tmp_path, postgres18)
    account = await new_account(postgres18)
    await deck.keep(f"dbdeck/t/{account}", FIRST.reveal())
    done = await deck.call(
        "apply", "credential.rotate", "-t", "t", f"account={account}", "--yes", "--reason", "a test", *words
    )
    shown = await deck.call("audit", "list", "--json")
    new = (await deck.kept(f"dbdeck/t/{account}")).password.reveal()
    for text in (
        done.out,
        done.err,
        shown.out,
        json.dumps((await deck.call("secret", "list", "--json")).document),
    ):
        assert new not in text
        assert FIRST.reveal() not in text
