"""One login attempt on real servers: accepted, rejected and unknown are told apart, whatever the reason."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from console.engine.open import open_engine
from console.model.probe import Answer, Probe
from console.secrets import Secret
from tests.integration.actions.conftest import superuser
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import tcp_proxy
from tests.targets import target_of

RIGHT, WRONG = Secret("right-0ne"), Secret("wr0ng-one")


async def probe(server: Server, user: str, password: Secret = RIGHT, **over: Any) -> Probe:
    async with open_engine(target_of(server, **over)) as engine:
        return await engine.probe(user, password)


@pytest.fixture
def name() -> str:
    return f"probe_{uuid.uuid4().hex[:8]}"


@pytest_asyncio.fixture
async def role(postgres: PostgresServer, name: str) -> AsyncIterator[str]:
    await superuser(postgres, f"create role {name} login password '{RIGHT.reveal()}'")
    yield name
    await superuser(postgres, f"drop role {name}")


@pytest_asyncio.fixture
async def account(mysql: MysqlServer, name: str) -> AsyncIterator[str]:
    await superuser(mysql, f"create user {name}@'%' identified by '{RIGHT.reveal()}'")
    yield name
    await superuser(mysql, f"drop user {name}@'%'")


async def test_the_right_one_is_accepted_and_the_wrong_one_is_not(any_server: Server, name: str) -> None:
    mysql = isinstance(any_server, MysqlServer)
    made = f"user {name}@'%' identified by" if mysql else f"role {name} login password"
    await superuser(any_server, f"create {made} '{RIGHT.reveal()}'")
    found = await probe(any_server, name)
    assert (found.answer, found.identity) == (Answer.ACCEPTED, f"{name}@%" if mysql else name)
    assert (await probe(any_server, name, WRONG)).answer is Answer.REJECTED
    await superuser(any_server, f"drop user {name}@'%'" if mysql else f"drop role {name}")
    assert (await probe(any_server, name)).answer is Answer.REJECTED


@pytest.mark.parametrize(
    ("change", "database", "word"),
    [
        ("alter role {} nologin", "postgres", "NOLOGIN"),
        ("alter role {} connection limit 0", "postgres", "connections"),
        ("select 1", "no_such_database", "database"),
        ("select 1", "closed", "no right"),
    ],
)
async def test_what_stands_in_the_way_after_the_password_says_it_was_right(
    postgres: PostgresServer, role: str, change: str, database: str, word: str
) -> None:
    if database == "closed":
        database = await postgres.new_database()
        await superuser(postgres, f"revoke connect on database {database} from public")
    await superuser(postgres, change.format(role), "set lc_messages = 'C'")
    found = await probe(postgres, role, database=database)
    assert (found.answer, word in found.why) == (Answer.ACCEPTED, True), found
    assert (await probe(postgres, role, WRONG, database=database)).answer is Answer.REJECTED


async def test_a_password_that_is_over_is_refused_like_a_wrong_one(
    postgres: PostgresServer, role: str
) -> None:
    await superuser(postgres, f"alter role {role} valid until '2001-01-01'")
    found = await probe(postgres, role)
    assert (found.answer, "VALID UNTIL" in found.why) == (Answer.REJECTED, True)


async def test_an_hba_file_that_rejects_says_nothing_of_the_password(
    postgres: PostgresServer, role: str
) -> None:
    hba = postgres.scratch.data / "pg_hba.conf"
    before = hba.read_text()
    try:
        hba.write_text(f"host all {role} 127.0.0.1/32 reject\n{before}")
        await superuser(postgres, "select pg_reload_conf()")
        await superuser(postgres, "select pg_sleep(0.3)")
        assert (await probe(postgres, role)).answer is Answer.UNKNOWN
        assert (await probe(postgres, role, WRONG)).answer is Answer.UNKNOWN
    finally:
        hba.write_text(before)
        await superuser(postgres, "select pg_reload_conf()")
        await superuser(postgres, "select pg_sleep(0.3)")


@pytest.mark.parametrize("change", ["account lock", "password expire"])
async def test_a_locked_or_expired_account_says_it_was_right(
    mysql: MysqlServer, account: str, change: str
) -> None:
    await superuser(mysql, f"alter user {account}@'%' {change}")
    assert (await probe(mysql, account)).answer is Answer.ACCEPTED
    assert (await probe(mysql, account, WRONG)).answer is Answer.REJECTED


async def test_a_blocked_account_says_nothing(mysql: MysqlServer, account: str) -> None:
    if mysql.flavor == "mysql":
        await superuser(mysql, f"alter user {account}@'%' failed_login_attempts 2 password_lock_time 1")
    else:
        await superuser(mysql, "set global max_password_errors = 2")
    try:
        for _ in range(2):
            await probe(mysql, account, WRONG)
        found = await probe(mysql, account)
        assert (found.answer, "blocked" in found.why) == (Answer.UNKNOWN, True), found
    finally:
        if mysql.flavor == "mariadb":
            await superuser(mysql, "set global max_password_errors = default", "flush privileges")


async def test_a_silent_server_a_cut_wire_and_a_closed_port_say_nothing(
    any_server: Server, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = "mysql.probe" if isinstance(any_server, MysqlServer) else "postgres.driver"
    monkeypatch.setattr(f"console.engine.{where}.CONNECT_SECONDS", 1.0)
    port = any_server.port if isinstance(any_server, MysqlServer) else any_server.tcp_port
    async with tcp_proxy("127.0.0.1", port) as proxy:
        over: dict[str, Any] = {"host": "127.0.0.1", "port": proxy.port}
        proxy.stall()
        assert (await probe(any_server, name, RIGHT, **over)).answer is Answer.UNKNOWN
        proxy.drop()
        assert (await probe(any_server, name, RIGHT, **over)).answer is Answer.UNKNOWN


async def test_a_server_without_tls_never_sees_the_password(postgres18: PostgresServer, name: str) -> None:
    async with tcp_proxy("127.0.0.1", postgres18.tcp_port) as proxy:
        found = await probe(postgres18, name, host="127.0.0.1", port=proxy.port, tls="verify-full")
        assert found.answer is Answer.UNKNOWN
        assert proxy.sent <= 8  # the request for TLS, and nothing after its refusal
