"""Scenarios of accounts and their passwords: the server, the vault and the files of hooks."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import yaml
from pymysql.err import MySQLError

import actions
from console.audit.ledger import open_ledger
from console.config import parse
from console.dispatch.action import Approval, Watch
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.registry import Registry
from console.engine.open import open_engine
from console.errors import Exit
from console.model.policy import Policy
from console.secrets import Entry, Secret, entry_of
from tests.crashing.keeping import store_at
from tests.crashing.situation import Fresh, Ground, Made, Scenario, Situation, Truth, of_many, yes
from tests.integration.actions.admins import drop, new_name, over_for_admin
from tests.integration.actions.conftest import superuser
from tests.integration.actions.rotors import FIRST, new_account, over_for
from tests.integration.actions.test_revoke import granted
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer

VAULT = "vault/vault"


class Keeper:
    """Accounts of one server whose passwords are in a vault below the folder."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.vault = folder / VAULT
        self.mysql = isinstance(server, MysqlServer)

    async def account(self) -> str:
        name = await new_account(self.server)
        await store_at(self.vault).put(f"dbdeck/t/{name}", FIRST)
        return name

    async def drop(self, account: str) -> None:
        await superuser(self.server, f"drop user {account}@'%'" if self.mysql else f"drop role {account}")

    async def verifier(self, account: str) -> str:
        """What the server stores of its password, whatever that is."""
        if not self.mysql:
            where = f"from pg_authid where rolname = '{account}'"
            return str((await superuser(self.server, f"select rolpassword {where}"))[0][0])
        column = "authentication_string" if self.server.name == "mysql" else "priv"
        table = "mysql.user" if self.server.name == "mysql" else "mysql.global_priv"
        rows = await superuser(self.server, f"select {column} from {table} where user = '{account}'")
        return str(rows[0][0])

    async def entries(self, account: str) -> dict[str, Entry]:
        """By what their names end with."""
        ends = ("", "#pending", "#previous")
        found = await store_at(self.vault).some([f"dbdeck/t/{account}{end}" for end in ends])
        return {name.removeprefix(f"dbdeck/t/{account}"): entry_of(one) for name, one in found.items()}

    async def logs_in(self, account: str, password: Secret) -> bool:
        try:
            if isinstance(self.server, MysqlServer):
                (await self.server.connect(account, password.reveal())).close()
                return True
            plain = await asyncpg.connect(
                host="127.0.0.1", port=self.server.tcp_port, user=account, password=password.reveal(),
                database="postgres",
            )  # fmt: skip
            await plain.close()
        except (asyncpg.PostgresError, MySQLError):
            return False
        return True

    async def rotated(self, account: str) -> None:
        """By a run of its own, over a ledger of its own."""
        here = self.folder / f"before-{account}"
        here.mkdir()
        target = self.server.target_dict(**over_for(self.server))
        async with (
            open_ledger(f"sqlite:///{here}/audit.db", here / "journal") as ledger,
            open_engine(parse(yaml.safe_dump({"targets": {"t": target}})).target("t")) as engine,
        ):
            dispatcher = Dispatcher(Registry(actions.ALL), ledger, Policy(), store=store_at(self.vault))
            try:
                plan = await dispatcher.plan("credential.rotate", engine, {"account": account})
                run = await dispatcher.apply(plan, engine, Approval(reason="before"), watch=Watch(seconds=0))
            finally:
                await dispatcher.close()
            assert run.exit is Exit.OK, run

    def ground(self, fresh: Any, beside: Mapping[str, Any] | None = None) -> Ground:
        return Ground(fresh, over=over_for(self.server), beside=beside or {}, vault=str(self.vault))


def rotate(*, held: bool = False) -> Any:
    @asynccontextmanager
    async def ground(server: Server, folder: Path) -> Made:
        keeper = Keeper(server, folder)

        @asynccontextmanager
        async def fresh() -> Fresh:
            account = await keeper.account()
            if not keeper.mysql:
                await superuser(server, f"alter role {account} valid until '2099-01-01'")  # it moves, too
            before = await keeper.verifier(account)

            async def truth() -> Truth:
                kept = await keeper.entries(account)
                told = await keeper.verifier(account) != before
                promoted = kept[""].password != FIRST and "#pending" not in kept
                if told:
                    return "applied" if promoted else "partial"
                assert kept[""].password == FIRST, "a password is kept that the server was not told"
                return "not_applied"

            if not held:
                yield Situation({"account": account}, truth)
            else:
                async with held_account(server, account) as release:
                    yield Situation({"account": account}, truth, release)
            await keeper.drop(account)

        yield keeper.ground(fresh)

    return ground


@asynccontextmanager
async def held_account(server: Server, account: str) -> Any:
    """Another's open transaction on the account's row: ours waits for it. Gives what ends it."""
    assert not isinstance(server, MysqlServer)
    other = await server.connect()
    transaction = other.transaction()
    await transaction.start()
    await other.execute(f"select from pg_authid where rolname = '{account}' for update")

    async def release() -> None:
        if not other.is_closed():
            await transaction.rollback()
            await other.close()

    try:
        yield release
    finally:
        await release()


@asynccontextmanager
async def retire(server: Server, folder: Path) -> Made:
    """In PostgreSQL there is nothing but the kept password: a role has one."""
    keeper = Keeper(server, folder)

    @asynccontextmanager
    async def fresh() -> Fresh:
        account = await keeper.account()
        await keeper.rotated(account)

        async def truth() -> Truth:
            kept = "#previous" in await keeper.entries(account)
            if not keeper.mysql:
                return yes(not kept)
            if await keeper.logs_in(account, FIRST):
                return "not_applied"
            return "partial" if kept else "applied"

        yield Situation({"account": account}, truth)
        await keeper.drop(account)

    yield keeper.ground(fresh)


@asynccontextmanager
async def lock(server: Server, folder: Path) -> Made:
    keeper = Keeper(server, folder)

    async def locked(account: str) -> bool:
        if not keeper.mysql:
            where = f"from pg_roles where rolname = '{account}'"
            return not (await superuser(server, f"select rolcanlogin {where}"))[0][0]
        word = (
            "account_locked = 'Y' from mysql.user"
            if server.name == "mysql"
            else "coalesce(json_value(priv, '$.account_locked'), '0') in ('1', 'true') from mysql.global_priv"
        )
        return bool((await superuser(server, f"select {word} where user = '{account}'"))[0][0])

    @asynccontextmanager
    async def fresh() -> Fresh:
        account = await new_account(server)

        async def truth() -> Truth:
            return yes(await locked(account))

        yield Situation({"account": account}, truth)
        await keeper.drop(account)

    yield keeper.ground(fresh)


@asynccontextmanager
async def revoke(server: Server, folder: Path) -> Made:
    keeper = Keeper(server, folder)

    async def left(account: str, roles: Sequence[str]) -> int:
        if not keeper.mysql:
            asked = (
                "select count(*) from pg_auth_members m join pg_roles r on r.oid = m.member"
                f" where r.rolname = '{account}'"
            )
        elif server.name == "mysql":
            asked = f"select count(*) from mysql.role_edges where to_user = '{account}'"
        else:
            asked = f"select count(*) from mysql.roles_mapping where user = '{account}'"
        return int((await superuser(server, asked))[0][0])

    @asynccontextmanager
    async def fresh() -> Fresh:
        account = await new_account(server)
        roles = await granted(server, account)

        async def truth() -> Truth:
            return of_many(len(roles) - await left(account, roles), len(roles))

        yield Situation({"account": account}, truth)
        await keeper.drop(account)

    yield keeper.ground(fresh)


@asynccontextmanager
async def rehearse(server: Server, folder: Path) -> Made:
    """The account of the rehearsal, and its entries, are what may be left of it."""
    keeper = Keeper(server, folder)

    @asynccontextmanager
    async def fresh() -> Fresh:
        name = f"dbdeck_rehearsal_{uuid.uuid4().hex[:8]}"
        people = "mysql.user where user" if keeper.mysql else "pg_roles where rolname"

        async def truth() -> Truth:
            there = (await superuser(server, f"select count(*) from {people} = '{name}'"))[0][0]
            return "partial" if there or await keeper.entries(name) else "not_applied"

        yield Situation({"account": name}, truth)

    yield keeper.ground(fresh)


@asynccontextmanager
async def create(server: Server, folder: Path) -> Made:
    """An account without all of its rights, or whose password is pending, is half made."""
    keeper = Keeper(server, folder)

    @asynccontextmanager
    async def fresh() -> Fresh:
        account = new_name()
        people = "mysql.user where user" if keeper.mysql else "pg_roles where rolname"

        async def rights() -> bool:
            if not keeper.mysql:
                asked = (
                    "select count(*) from pg_auth_members m join pg_roles r on r.oid = m.member"
                    f" where r.rolname = '{account}'"
                )
                return int((await superuser(server, asked))[0][0]) == 2
            told = str(await superuser(server, f"show grants for {account}@'%'"))
            return "CONNECTION" in told and "performance_schema" in told

        async def truth() -> Truth:
            there = (await superuser(server, f"select count(*) from {people} = '{account}'"))[0][0]
            if not there:
                return "not_applied"
            kept = await keeper.entries(account)
            word = kept.get("", kept.get("#pending"))
            assert word is not None, "there is an account whose password nobody has"
            assert await keeper.logs_in(account, word.password)
            return "applied" if set(kept) == {""} and await rights() else "partial"

        yield Situation({"account": account, "purpose": "operator"}, truth)
        await drop(server, account)

    yield keeper.ground(fresh)._replace(over=over_for_admin(server))


_PROGRAM = """#!{python} -S
import sys
open({got!r}, "w").write(sys.stdin.read())
"""


def propagate(kind: str) -> Any:
    """The file of a hook, or what a program was told: one kind an account."""

    @asynccontextmanager
    async def ground(server: Server, folder: Path) -> Made:
        keeper = Keeper(server, folder)
        account = await keeper.account()
        got = folder / "got"
        program = folder / "bin" / "hook"
        program.parent.mkdir(mode=0o700)
        program.write_text(_PROGRAM.format(python=sys.executable, got=str(got)))
        program.chmod(0o700)
        hooks: dict[str, Any] = {
            "file": {("my_cnf" if keeper.mysql else "pgpass"): {"path": str(got)}},
            "program": {"exec": {"argv": [str(program)]}},
        }
        rule = {"targets": {"t": {"accounts": {account: {"hooks": [hooks[kind]]}}}}}

        @asynccontextmanager
        async def fresh() -> Fresh:
            got.unlink(missing_ok=True)

            async def truth() -> Truth:
                return yes(got.exists() and FIRST.reveal() in got.read_text())

            yield Situation({"account": account}, truth)

        yield keeper.ground(fresh, {"rotation": rule})
        await keeper.drop(account)

    return ground


SCENARIOS = (
    Scenario("credential.rotate", rotate()),
    Scenario("credential.rotate", rotate(held=True), ("postgresql",), variant="held up"),
    Scenario("credential.retire", retire),
    Scenario("credential.lock", lock),
    Scenario("account.revoke", revoke),
    Scenario("account.create", create),
    Scenario("credential.rehearse", rehearse, looks=True, few=10),
    Scenario("credential.propagate", propagate("file"), variant="a file"),
    Scenario("credential.propagate", propagate("program"), variant="a program"),
)
