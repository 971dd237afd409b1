"""The fingerprint of what a rotation set is in its outcome, and nothing that it was made of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import actions
from console.audit.record import Entry, Kind
from console.dispatch.action import Approval
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.registry import Registry
from console.errors import Exit
from console.model.policy import Policy
from console.model.verifiers import FINGERPRINT_KEY, fingerprint, fingerprint_key, key_id
from console.secrets import Secret
from tests.fakes import MemoryStore
from tests.integration.actions.conftest import superuser
from tests.integration.actions.rotors import FIRST, Rotor, rotor_on
from tests.integration.actions.test_rotate_crash import Crash, Fuse, Setting, setting
from tests.servers.accounts import ROTATOR, login
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.targets import target_of


@pytest_asyncio.fixture
async def desk(any_server: Server, tmp_path: Path) -> AsyncIterator[Rotor]:
    async with rotor_on(any_server, tmp_path) as made:
        yield made


def key_of(store: MemoryStore) -> bytes:
    kept = store.entries["dbdeck", FINGERPRINT_KEY.partition("/")[2]]
    key = fingerprint_key(kept)
    assert key is not None
    return key


async def stored(server: Server, account: str) -> str:
    """What the server keeps, as its superuser reads it."""
    if not isinstance(server, MysqlServer):
        [(text,)] = await superuser(server, f"select rolpassword from pg_authid where rolname = '{account}'")
    elif server.flavor == "mysql":
        sql = f"select authentication_string from mysql.user where user = '{account}' limit 1"
        [(text,)] = await superuser(server, sql)
    else:
        [(priv,)] = await superuser(server, f"select priv from mysql.global_priv where user = '{account}'")
        kept = json.loads(priv)
        first = kept.get("auth_or", [{}])[0] or kept  # an empty one stands for what is beside the list
        text = first["authentication_string"]
    return text.decode() if isinstance(text, bytes) else str(text)


def ends(entries: list[Entry]) -> list[dict[str, Any]]:
    """The evidence of each outcome, newest first."""
    found = [json.loads(one.body or "{}") for one in entries if one.kind == Kind.OUTCOME]
    return [one["verify"]["evidence"] for one in found]


def labels(desk: Rotor) -> list[str]:
    return [f"{desk.account}@%" if desk.mysql else desk.account]


async def test_the_outcome_has_the_fingerprint_of_what_the_server_keeps(desk: Rotor) -> None:
    assert (await desk.run("credential.rotate", account=desk.account)).exit is Exit.OK
    [evidence] = ends(await desk.ledger.entries())
    key = key_of(desk.store)
    expected = fingerprint(key, await stored(desk.server, desk.account))
    assert evidence["fingerprints"] == dict.fromkeys(labels(desk), expected)
    assert evidence["fingerprint_key"] == key_id(key)
    assert list(evidence["set_at"]) == labels(desk)


async def test_the_key_is_made_once_in_a_step_of_its_own(desk: Rotor) -> None:
    overlap = {"overlap": False}
    assert (await desk.run("credential.rotate", account=desk.account, **overlap)).exit is Exit.OK
    key = key_of(desk.store)
    assert (await desk.run("credential.rotate", account=desk.account, **overlap)).exit is Exit.OK
    assert key_of(desk.store) == key
    rows = [one for one in await desk.ledger.entries() if one.kind == Kind.STEP]
    told = [json.loads(one.body or "{}")["statement"] for one in rows]
    assert sum(f"store {FINGERPRINT_KEY} in memory" in one for one in told) == 1
    first, second = ends(await desk.ledger.entries())
    assert first["fingerprint_key"] == second["fingerprint_key"]
    assert first["fingerprints"] != second["fingerprints"]


async def test_neither_key_nor_verifier_is_in_any_row(desk: Rotor) -> None:
    run = await desk.run("credential.rotate", account=desk.account)
    rows = " ".join(str(one.body) for one in await desk.ledger.entries())
    verifier = await stored(desk.server, desk.account)
    pieces = [key_of(desk.store).hex(), verifier, *(one for one in verifier.split("$") if len(one) > 16)]
    for piece in pieces:
        assert piece not in rows
        assert piece not in str(run)


async def test_an_entry_that_is_no_key_is_left_alone_and_none_is_known(desk: Rotor) -> None:
    await desk.store.put(FINGERPRINT_KEY, Secret("somebody else's"))
    assert (await desk.run("credential.rotate", account=desk.account)).exit is Exit.OK
    [evidence] = ends(await desk.ledger.entries())
    assert evidence["fingerprints"] == dict.fromkeys(labels(desk))
    assert await desk.store.get(FINGERPRINT_KEY) == Secret("somebody else's")


async def test_all_rows_of_a_user_have_one(mysql: MysqlServer, tmp_path: Path) -> None:
    async with rotor_on(mysql, tmp_path) as desk:
        await superuser(mysql, f"create user {desk.account}@'10.%' identified by 'f1rst-Passw0rd'")
        try:
            assert (await desk.run("credential.rotate", account=desk.account)).exit is Exit.OK
        finally:
            await superuser(mysql, f"drop user {desk.account}@'10.%'")
        [evidence] = ends(await desk.ledger.entries())
        assert set(evidence["fingerprints"]) == {f"{desk.account}@%", f"{desk.account}@10.%"}
        assert None not in evidence["fingerprints"].values()


async def test_a_password_in_clear_leaves_none(postgres_tls: PostgresServer, tmp_path: Path) -> None:
    async with rotor_on(postgres_tls, tmp_path) as desk:
        plan = await desk.plan("credential.rotate", account=desk.account, plaintext=True)
        run = await desk.dispatcher.apply(plan, desk.engine, Approval(reason="a test", confirm="t"))
        assert run.exit is Exit.OK, run.error
        [evidence] = ends(await desk.ledger.entries())
        assert evidence["fingerprints"] == {desk.account: None}


# ---- what a dead run left --------------------------------------------------------------------------


@asynccontextmanager
async def mortal(server: Server, folder: Path) -> AsyncIterator[Setting]:
    """Its account goes with the test: an open overlap would be in the way of others."""
    here = await setting(server, folder)
    try:
        yield here
    finally:
        mysql = isinstance(server, MysqlServer)
        await superuser(server, f"drop user {here.account}@'%'" if mysql else f"drop role {here.account}")


@pytest_asyncio.fixture
async def here(any_server: Server, tmp_path: Path) -> AsyncIterator[Setting]:
    async with mortal(any_server, tmp_path) as made:
        yield made


async def died(here: Setting, at: int) -> dict[str, Any]:
    """The evidence of the run that went on after a death behind that effect."""
    with pytest.raises(Crash):
        await here.rotate(Fuse(at, after=True))
    await here.settle()
    return ends(await here.entries())[0]


@pytest.mark.parametrize("at", [3, 6], ids=["the statement", "all"])
async def test_what_a_dead_run_set_is_read_from_the_server(here: Setting, at: int) -> None:
    """Where the monitor may read it; else nothing is known, and nothing is said."""
    evidence = await died(here, at)
    key = key_of(here.store)
    expected = fingerprint(key, await stored(here.server, here.account))
    readable = isinstance(here.server, MysqlServer)
    assert list(evidence["fingerprints"].values()) == [expected if readable else None]
    assert list(evidence.get("same_since", {})) == (list(evidence["fingerprints"]) if readable else [])
    assert "set_at" not in evidence


async def test_what_somebody_else_set_meanwhile_is_not_taken_for_ours(
    mysql: MysqlServer, tmp_path: Path
) -> None:
    """The account lets our password in still: by MySQL's older one, or MariaDB's second."""
    async with mortal(mysql, tmp_path) as here:
        with pytest.raises(Crash):
            await here.rotate(Fuse(6, after=True))
        native = "mysql_native_password using"
        how = "identified by 'n0t-0urs' retain current password"
        if mysql.flavor == "mariadb":
            ours = await stored(mysql, here.account)
            how = f"identified via {native} password('n0t-0urs') or {native} '{ours}'"
        await superuser(mysql, f"alter user {here.account}@'%' {how}")
        await here.settle()
        [known] = ends(await here.entries())[0]["fingerprints"].values()
        foreign = fingerprint(key_of(here.store), await stored(mysql, here.account))
        assert known != foreign
        assert (known is None) is (mysql.flavor == "mysql")


async def test_the_monitor_of_postgresql_reads_it_with_the_grant(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with mortal(postgres, tmp_path) as here:
        here.target = target_of(postgres, monitor=login(ROTATOR), operator=login(ROTATOR))
        columns = "(rolname, rolpassword, rolcanlogin) on pg_authid"
        await superuser(postgres, f"grant select {columns} to {ROTATOR}")
        try:
            [known] = (await died(here, 3))["fingerprints"].values()
        finally:
            await superuser(postgres, f"revoke select {columns} from {ROTATOR}")
        assert known == fingerprint(key_of(here.store), await stored(postgres, here.account))


class Unlocked(MemoryStore):
    """A keyring without a lock: both look, both find nothing, both write, and then both go on."""

    def __init__(self) -> None:
        super().__init__()
        self._both = asyncio.Barrier(2)

    async def claim(self, name: str, secret: Secret) -> Secret | None:
        async with self._both:
            await self.put(name, secret)
        await self._both.wait()
        return secret


async def test_two_first_rotations_at_once_leave_fingerprints_of_one_key(
    any_server: Server, tmp_path: Path
) -> None:
    store = Unlocked()
    async with (
        rotor_on(any_server, tmp_path / "one") as one,
        rotor_on(any_server, tmp_path / "two") as two,
    ):
        for desk in (one, two):
            await desk.dispatcher.close()
            desk.store = store
            desk.dispatcher = Dispatcher(Registry(actions.ALL), desk.ledger, Policy(), store=store)
            await store.put(desk.entry, FIRST)
        runs = await asyncio.gather(
            *(desk.run("credential.rotate", account=desk.account) for desk in (one, two))
        )
        assert [run.exit for run in runs] == [Exit.OK, Exit.OK]
        kept = key_id(key_of(store))
        made = [ends(await desk.ledger.entries())[0]["fingerprint_key"] for desk in (one, two)]
        assert made == [kept, kept]
