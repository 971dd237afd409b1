"""account.create on real servers: a login with the least rights, whose password only the keyring has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from console.dispatch.action import Stop, Watch
from console.engine.access import held
from console.engine.open import open_engine
from console.errors import Exit, Refused, UsageError
from console.model.access import POSTGRESQL, Purpose, missing, rights
from console.model.probe import Answer
from console.present.access import statements
from console.secrets import PENDING, PREVIOUS, Entry, Secret, entry_of
from tests.integration.actions.admins import (
    SMALL,
    Office,
    drop,
    new_name,
    office_on,
    over_for_admin,
    small_admin,
)
from tests.integration.actions.conftest import superuser
from tests.integration.test_probe import probe
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.targets import target_of


@pytest.fixture(autouse=True)
def _word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SMALL, "small-pw")


@pytest_asyncio.fixture
async def office(any_server: Server, tmp_path: Path) -> AsyncIterator[Office]:
    async with office_on(any_server, tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def name(any_server: Server) -> AsyncIterator[str]:
    made = new_name()
    yield made
    await drop(any_server, made)


async def password(office: Office, name: str) -> Secret:
    kept = await office.store.get(f"dbdeck/t/{name}")
    assert kept is not None
    return entry_of(kept).password


@pytest.mark.parametrize("purpose", ["monitor", "operator"])
async def test_a_login_is_made_with_its_rights_and_logs_in(office: Office, name: str, purpose: str) -> None:
    run = await office.run("account.create", account=name, purpose=purpose)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), (run.error, run.verify)
    assert (await probe(office.server, name, await password(office, name))).answer is Answer.ACCEPTED
    assert (await probe(office.server, name, Secret("another"))).answer is Answer.REJECTED
    server = await office.engine.identity()
    host = None if server.flavor == POSTGRESQL else "%"
    wanted = rights(Purpose(purpose), server.flavor, server.version_num)
    assert missing(wanted, await held(office.engine, name, host)) == ()
    assert set(office.store.entries) == {("dbdeck/t", name)}


async def test_what_is_made_by_hand_is_what_is_made_here(office: Office, name: str) -> None:
    """The statements that people are shown, sent as they are."""
    run = await office.run("account.create", account=name, purpose="monitor")
    assert run.effect == "applied", run.error
    other, server = new_name(), await office.engine.identity()
    host = None if server.flavor == POSTGRESQL else "%"
    shown = statements(Purpose.MONITOR, server.flavor, server.version_num, other, host)
    try:
        await superuser(office.server, *(one.replace("…", "by-h4nd") for one in shown))
        assert await held(office.engine, other, host) == await held(office.engine, name, host)
    finally:
        await drop(office.server, other)


async def test_doctor_finds_nothing_missing_for_the_monitor(office: Office, name: str) -> None:
    await office.run("account.create", account=name, purpose="monitor")
    word = await password(office, name)
    over = {"monitor": {"user": name, "password": "env:DBDECK_TEST_NEW"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBDECK_TEST_NEW", word.reveal())
        async with open_engine(target_of(office.server, **over)) as engine:
            checks = await engine.checks()
    assert [one for one in checks if one.vital and one.ok is not True] == []
    assert [one.detail for one in checks if one.name == "monitor cannot act" and not one.ok] == []


async def test_the_password_is_in_no_row_of_the_ledger(office: Office, name: str) -> None:
    await office.run("account.create", account=name, purpose="monitor")
    word = (await password(office, name)).reveal()
    rows = [str(row) for row in await office.ledger.entries()]
    assert rows
    assert not any(word in row for row in rows)
    assert any("verifier>" in row for row in rows)


async def test_what_is_complete_is_left_as_it_is(office: Office, name: str) -> None:
    await office.run("account.create", account=name, purpose="monitor")
    before = dict(office.store.entries)
    again = await office.run("account.create", account=name, purpose="monitor")
    assert (again.exit, again.effect) == (Exit.OK, "no_op"), again.error
    assert office.store.entries == before


async def test_a_right_that_was_taken_away_is_given_again(office: Office, name: str) -> None:
    await office.run("account.create", account=name, purpose="monitor")
    lost = f"revoke process on *.* from {name}@'%'" if office.mysql else f"revoke pg_monitor from {name}"
    await superuser(office.server, lost)
    plan = await office.plan("account.create", account=name, purpose="monitor")
    assert len(plan.statements) == 1
    assert (await office.apply(plan)).effect == "applied"


async def test_an_account_of_somebody_else_is_not_touched(office: Office, name: str) -> None:
    made = f"create user {name}@'%' identified by 'theirs'"
    await superuser(office.server, made if office.mysql else f"create role {name} login password 'theirs'")
    with pytest.raises(UsageError, match="there is an account") as refused:
        await office.plan("account.create", account=name, purpose="monitor")
    assert "GRANT" in refused.value.hint
    assert office.store.entries == {}


async def test_one_that_broke_off_before_its_rights_is_gone_on_with(office: Office, name: str) -> None:
    """As a death between the first statement and the second leaves it."""
    word = Secret("left-by-one-that-died")
    await office.store.put(f"dbdeck/t/{name}{PENDING}", Entry(password=word, user=name).sealed())
    made = f"create user {name}@'%' identified by '{word.reveal()}'"
    sql = f"create role {name} login password '{word.reveal()}'"
    await superuser(office.server, made if office.mysql else sql)
    run = await office.run("account.create", account=name, purpose="operator")
    assert (run.exit, run.effect) == (Exit.OK, "applied"), (run.error, run.verify)
    assert await password(office, name) == word
    assert set(office.store.entries) == {("dbdeck/t", name)}


class _StopAt(Stop):
    """Asked for while the statement before the so many-th question is at work."""

    def __init__(self, turn: int) -> None:
        super().__init__()
        self._left = turn

    def is_set(self) -> bool:
        self._left -= 1
        if self._left <= 0:
            self.ask("the test")
        return super().is_set()


async def test_stopped_after_the_login_it_grants_nothing_and_the_next_one_goes_on(
    office: Office, name: str
) -> None:
    plan = await office.plan("account.create", account=name, purpose="operator")
    run = await office.apply(plan, watch=Watch(seconds=0.0, stop=_StopAt(2)))
    assert (run.exit, run.effect) == (Exit.PARTIAL, "applied"), (run.error, run.verify)
    assert run.verify is not None
    assert "stopped by the test" in run.verify.summary
    server = await office.engine.identity()
    host = None if server.flavor == POSTGRESQL else "%"
    wanted = rights(Purpose.OPERATOR, server.flavor, server.version_num)
    assert missing(wanted, await held(office.engine, name, host)) == wanted
    assert set(office.store.entries) == {("dbdeck/t", f"{name}{PENDING}")}
    again = await office.run("account.create", account=name, purpose="operator")
    assert (again.exit, again.effect) == (Exit.OK, "applied"), (again.error, again.verify)
    assert set(office.store.entries) == {("dbdeck/t", name)}


async def test_stopped_before_anything_it_makes_nothing(office: Office) -> None:
    name = new_name()
    plan = await office.plan("account.create", account=name, purpose="monitor")
    run = await office.apply(plan, watch=Watch(seconds=0.0, stop=_StopAt(1)))
    assert run.effect in ("none", "no_op")
    assert office.store.entries == {}
    assert name not in {one.name for one in (await office.engine.accounts()).accounts}


async def test_what_is_pending_beside_a_password_that_is_taken_stays_out_of_it(
    office: Office, name: str
) -> None:
    """A rotation that died may have left it, and it is that one's."""
    await office.run("account.create", account=name, purpose="monitor")
    word = await password(office, name)
    stale = Entry(password=Secret("never-the-server's"), rotation="another")
    await office.store.put(f"dbdeck/t/{name}{PENDING}", stale.sealed())
    again = await office.run("account.create", account=name, purpose="monitor")
    assert again.exit is Exit.OK, (again.error, again.verify)
    assert (await password(office, name)).reveal() == word.reveal()
    assert await office.store.get(f"dbdeck/t/{name}{PENDING}") is not None
    assert (await probe(office.server, name, word)).answer is Answer.ACCEPTED


async def test_what_was_kept_under_the_name_stays_as_previous(office: Office, name: str) -> None:
    await office.store.put(f"dbdeck/t/{name}", Secret("of-another-time"))
    await office.run("account.create", account=name, purpose="monitor")
    assert ("dbdeck/t", f"{name}{PREVIOUS}") in office.store.entries
    assert await password(office, name) != Secret("of-another-time")


async def test_what_the_server_does_not_grant_leaves_no_account(mysql: MysqlServer, tmp_path: Path) -> None:
    """An administrator who may make accounts, and may not pass on what it has not."""
    small = await small_admin(mysql, "create user on *.*", "select on mysql.*", "process on *.*")
    name = new_name()
    try:
        async with office_on(mysql, tmp_path, **over_for_admin(mysql, small)) as office:
            run = await office.run("account.create", account=name, purpose="monitor")
            assert (run.exit, run.effect) == (Exit.FAILED, "none")
            assert run.error is not None
            assert "dropped again" in run.error.message
            assert office.store.entries == {}
            assert name not in {one.name for one in (await office.engine.accounts()).accounts}
    finally:
        await drop(mysql, small)


async def test_a_role_that_may_not_be_granted_is_told_before_anything(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    if postgres.major < 16:
        pytest.skip("until 15 CREATEROLE was enough")
    small, name = await small_admin(postgres, role="createrole"), new_name()
    try:
        async with office_on(postgres, tmp_path, **over_for_admin(postgres, small)) as office:
            with pytest.raises(Refused, match="may not make anybody a member of pg_monitor") as refused:
                await office.run("account.create", account=name, purpose="monitor")
            assert "WITH ADMIN OPTION" in refused.value.hint
            assert office.store.entries == {}
    finally:
        await drop(postgres, small)


async def test_an_administrator_without_the_right_is_told_it(any_server: Server, tmp_path: Path) -> None:
    small, name = await small_admin(any_server, "select on mysql.*", "process on *.*"), new_name()
    try:
        async with office_on(any_server, tmp_path, **over_for_admin(any_server, small)) as office:
            with pytest.raises(Refused, match=r"CREATE USER|may make no roles"):
                await office.run("account.create", account=name, purpose="monitor")
            assert office.store.entries == {}
    finally:
        await drop(any_server, small)


async def test_an_account_of_one_host_is_that_hosts_alone(mysql: MysqlServer, tmp_path: Path) -> None:
    name = new_name()
    async with office_on(mysql, tmp_path) as office:
        run = await office.run("account.create", account=name, purpose="monitor", host="10.1.2.3")
        assert run.effect == "applied", run.error
        seen = await probe(mysql, name, await password(office, name))
        assert seen.answer is not Answer.ACCEPTED
    await drop(mysql, name, "10.1.2.3")


async def test_a_host_is_of_no_use_in_postgresql(postgres18: PostgresServer, tmp_path: Path) -> None:
    async with office_on(postgres18, tmp_path) as office:
        with pytest.raises(UsageError, match="host="):
            await office.plan("account.create", account=new_name(), purpose="monitor", host="10.1.2.3")
