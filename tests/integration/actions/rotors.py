"""A rotator's desk with a store in memory, and accounts whose passwords are known."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

import actions
from console.audit.ledger import open_ledger
from console.config import parse
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.registry import Registry
from console.engine.open import open_engine
from console.model.policy import Policy
from console.model.probe import Answer
from console.model.target import Target
from console.secrets import Entry, Secret, entry_of
from tests.fakes import MemoryStore
from tests.integration.actions.conftest import Desk, superuser
from tests.servers.accounts import ROTATOR, login
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer

FIRST = Secret("f1rst-Passw0rd")


class Rotor(Desk):
    """`account` is known to the store with its password. MySQL's row is `account`@'%'."""

    store: MemoryStore
    account: str

    @property
    def entry(self) -> str:
        return f"dbdeck/t/{self.account}"

    async def kept(self, end: str = "") -> Entry | None:
        found = await self.store.get(self.entry + end)
        return None if found is None else entry_of(found)

    async def password(self, end: str = "") -> Secret:
        found = await self.kept(end)
        assert found is not None
        return found.password

    async def answer(self, password: Secret) -> Answer:
        return (await self.engine.probe(self.account, password)).answer

    async def settled(self) -> None:
        """What the store says logs in, and nothing is pending."""
        assert await self.kept("#pending") is None
        assert await self.answer(await self.password()) is Answer.ACCEPTED


def over_for(server: Server) -> dict[str, Any]:
    """MySQL's and MariaDB's accounts are only seen with rights on their tables."""
    over = {"operator": login(ROTATOR)}
    return over | ({"monitor": login(ROTATOR)} if isinstance(server, MysqlServer) else {})


async def new_account(server: Server, how: str = "", prefix: str = "acc_") -> str:
    name = f"{prefix}{uuid.uuid4().hex[:8]}"
    word = FIRST.reveal()
    if isinstance(server, MysqlServer):
        identified = how or f"identified by '{word}'"
        await superuser(server, f"create user {name}@'%' {identified}")
        return name
    await superuser(server, f"create role {name} login password '{word}' {how}")
    if server.major >= 16:
        await superuser(server, f"grant {name} to {ROTATOR} with admin option")
    return name


def target_with(server: Server, account: str, rule: dict[str, Any], **over: Any) -> Target:
    """The server as a target whose account has this rule: `entry` and `hooks` as the config writes them."""
    own = {"targets": {"t": {"accounts": {account: rule}}}}
    given = server.target_dict(**(over_for(server) | over))
    return parse(yaml.safe_dump({"targets": {"t": given}, "rotation": own})).target("t")


def no_rule(_: str) -> dict[str, Any]:
    return {}


@asynccontextmanager
async def rotor_on(
    server: Server,
    folder: Path,
    *,
    how: str = "",
    rule: Callable[[str], dict[str, Any]] = no_rule,
    prefix: str = "acc_",
    **over: Any,
) -> AsyncIterator[Rotor]:
    """`rule` gets the account's name."""
    account = await new_account(server, how, prefix)
    try:
        async with (
            open_ledger(f"sqlite:///{folder}/audit.db", folder / "journal") as ledger,
            open_engine(target_with(server, account, rule(account), **over)) as engine,
        ):
            made = Rotor(server, engine, ledger)
            made.store = MemoryStore()
            made.dispatcher = Dispatcher(Registry(actions.ALL), ledger, Policy(), store=made.store)
            made.account = account
            await made.store.put(made.entry, FIRST)
            made.store.calls.clear()
            try:
                yield made
            finally:
                await made.dispatcher.close()
    finally:
        mysql = isinstance(server, MysqlServer)
        await superuser(server, f"drop user {account}@'%'" if mysql else f"drop role {account}")
