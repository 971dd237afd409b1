"""Verifiers at their servers: who was given one logs in with the password, and with no other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import psycopg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings

from console.engine.queries import quote_literal
from console.errors import LoginRefused
from console.model.verifiers import POSTGRESQL, VerifierKind, make, matches, parse, sendable
from console.secrets import Secret
from console.wire.mysql import Address, connect_mysql
from tests.passwords import ANY, NASTY
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

SOME = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Role:
    """A role or an account of one test, and who tries to log in as it."""

    def __init__(self, server: PostgresServer | MysqlServer, admin: Any) -> None:
        self.server = server
        self.admin = admin
        self.name = f"someone_{uuid4().hex[:8]}"

    async def give(self, kind: VerifierKind, password: str, cost: int = 0) -> None:
        text = make(kind, Secret(password), cost=cost)
        if isinstance(self.server, PostgresServer):
            sendable(text, POSTGRESQL)
            await self.admin.execute(f"ALTER ROLE {self.name} PASSWORD {quote_literal(text, 'postgresql')}")
            return
        sendable(text, kind)
        how = "VIA {} USING" if self.server.flavor == "mariadb" else "WITH {} AS"
        await self.ask(f"ALTER USER {self.name} IDENTIFIED {how.format(kind)} '{text}'")

    async def ask(self, sql: str) -> Any:
        async with self.admin.cursor() as cursor:
            await cursor.execute(sql)
            return await cursor.fetchone()

    async def accepts(self, password: str) -> bool:
        if isinstance(self.server, PostgresServer):
            return await self._postgres(password)
        address = Address(
            user=self.name,
            host=self.server.host,
            port=self.server.port,
            password=Secret(password),
            ca_file=str(self.server.ca_file),
            tls="verify-ca",
        )
        try:
            connection = await connect_mysql(address)
        except LoginRefused:
            return False
        rows = (await connection.fetch("select current_user()")).rows
        await connection.aclose()
        return bool(rows[0][0] == f"{self.name}@%")

    async def _postgres(self, password: str) -> bool:
        where: dict[str, Any] = {"host": self.server.host, "port": self.server.port, "user": self.name}
        try:
            connection = await asyncpg.connect(**where, password=password, database="postgres")
        except asyncpg.InvalidPasswordError:
            return False
        found = await connection.fetchval("select session_user")
        await connection.close()
        return bool(found == self.name)


@pytest_asyncio.fixture
async def role(postgres: PostgresServer) -> AsyncIterator[Role]:
    admin = await postgres.connect()
    made = Role(postgres, admin)
    await admin.execute(f"CREATE ROLE {made.name} LOGIN")
    yield made
    await admin.execute(f"DROP ROLE {made.name}")
    await admin.close()


@pytest_asyncio.fixture
async def account(mysql: MysqlServer) -> AsyncIterator[Role]:
    admin = await mysql.connect()
    made = Role(mysql, admin)
    await made.ask(f"CREATE USER {made.name}@'%'")
    yield made
    await made.ask(f"DROP USER {made.name}")
    admin.close()


def common(server: MysqlServer) -> VerifierKind:
    """What the server's accounts have by default."""
    return VerifierKind.NATIVE if server.flavor == "mariadb" else VerifierKind.CACHING_SHA2


async def test_a_role_logs_in_with_each_nasty_password_and_no_other(role: Role) -> None:
    for password in NASTY.values():
        await role.give(VerifierKind.SCRAM, password)
        assert await role.accepts(password), ascii(password)
        assert not await role.accepts(password + "!"), ascii(password)


async def test_libpq_agrees_about_each_nasty_password(role: Role) -> None:
    for password in NASTY.values():
        await role.give(VerifierKind.SCRAM, password)
        with await asyncio.to_thread(_by_libpq, role, password) as connection:
            assert connection.info.user == role.name
        with pytest.raises(psycopg.OperationalError):
            await asyncio.to_thread(_by_libpq, role, password + "!")


def _by_libpq(role: Role, password: str) -> Any:
    where: dict[str, Any] = {"host": role.server.host, "port": role.server.port, "dbname": "postgres"}
    return psycopg.connect(**where, user=role.name, password=password)


@SOME
@given(password=ANY)
async def test_a_role_logs_in_with_any_password(role: Role, password: str) -> None:
    await role.give(VerifierKind.SCRAM, password)
    with contextlib.closing(await asyncio.to_thread(_by_libpq, role, password)) as connection:
        assert connection.info.user == role.name
    assert not await role.accepts(password + "!")


async def test_a_role_logs_in_at_a_higher_cost(role: Role) -> None:
    await role.give(VerifierKind.SCRAM, "costly", cost=20_000)
    assert await role.accepts("costly")


async def test_what_the_server_made_fits_here(role: Role) -> None:
    for password in NASTY.values():
        literal = quote_literal(password, "postgresql")
        await role.admin.execute(f"ALTER ROLE {role.name} PASSWORD {literal}")
        text = await role.admin.fetchval("select rolpassword from pg_authid where rolname = $1", role.name)
        found = parse(text, POSTGRESQL)
        assert found is not None
        assert matches(found, password), ascii(password)
        assert not matches(found, password + "!")


async def test_md5_of_the_server_fits_here(role: Role) -> None:
    async with role.admin.transaction():
        await role.admin.execute(
            "SET LOCAL password_encryption = 'md5'; SET LOCAL client_min_messages = error"
        )
        await role.admin.execute(f"ALTER ROLE {role.name} PASSWORD 'old one'")
    text = await role.admin.fetchval("select rolpassword from pg_authid where rolname = $1", role.name)
    found = parse(text, POSTGRESQL, user=role.name)
    assert found is not None
    assert found.kind is VerifierKind.MD5
    assert matches(found, "old one")


async def test_an_account_logs_in_with_each_nasty_password_and_no_other(account: Role) -> None:
    assert isinstance(account.server, MysqlServer)
    for password in NASTY.values():
        await account.give(common(account.server), password)
        assert await account.accepts(password), ascii(password)
        assert not await account.accepts(password + "!"), ascii(password)


@SOME
@given(password=ANY)
async def test_an_account_logs_in_with_any_password(account: Role, password: str) -> None:
    assert isinstance(account.server, MysqlServer)
    await account.give(common(account.server), password)
    assert await account.accepts(password)
    assert not await account.accepts(password + "!")


async def test_an_account_logs_in_at_the_servers_cost(account: Role) -> None:
    assert isinstance(account.server, MysqlServer)
    await account.give(common(account.server), "costly", cost=10_000)
    assert await account.accepts("costly")


async def test_what_the_server_made_of_an_account_fits_here(account: Role, mysql: MysqlServer) -> None:
    kinds = [common(mysql)]
    kinds += [VerifierKind.SHA256] if mysql.flavor == "mysql" else []
    for kind in kinds:
        for password in NASTY.values():
            how = f"VIA {kind} USING PASSWORD({{}})" if mysql.flavor == "mariadb" else f"WITH {kind} BY {{}}"
            literal = "'" + password.replace("\\", "\\\\").replace("'", "\\'") + "'"
            async with account.admin.cursor() as cursor:
                await cursor.execute("SET NAMES utf8mb4")
            await account.ask(f"ALTER USER {account.name} IDENTIFIED {how.format(literal)}")
            text = await _stored(account)
            found = parse(text, kind)
            assert found is not None, kind
            assert found.kind is kind
            assert matches(found, password), (kind, ascii(password))
            assert not matches(found, password + "!")


async def _stored(account: Role) -> str:
    row = await account.ask(f"SELECT authentication_string FROM mysql.user WHERE user = '{account.name}'")
    return row[0].decode() if isinstance(row[0], bytes) else str(row[0])


# ---- ed25519: MariaDB only, and its own client must log in, because aiomysql does not speak it ----


ON_MARIADB = pytest.mark.parametrize("mysql_name", ["mariadb"], scope="session")


@pytest_asyncio.fixture
async def modern(account: Role) -> Role:
    if await _lacks_ed25519(account):
        await account.ask("INSTALL SONAME 'auth_ed25519'")
    return account


async def _lacks_ed25519(account: Role) -> bool:
    row = await account.ask("SELECT count(*) FROM information_schema.plugins WHERE plugin_name = 'ed25519'")
    return not row[0]


@ON_MARIADB
@SOME
@given(password=ANY)
async def test_ed25519_is_what_the_server_makes(modern: Role, password: str) -> None:
    literal = "'" + password.replace("\\", "\\\\").replace("'", "\\'") + "'"
    async with modern.admin.cursor() as cursor:
        await cursor.execute("SET NAMES utf8mb4")
    await modern.ask(f"ALTER USER {modern.name} IDENTIFIED VIA ed25519 USING PASSWORD({literal})")
    assert await _stored(modern) == make(VerifierKind.ED25519, password)


@ON_MARIADB
async def test_ed25519_lets_its_own_client_in_and_no_other_password(modern: Role) -> None:
    for password in NASTY.values():
        await modern.give(VerifierKind.ED25519, password)
        assert await asyncio.to_thread(_by_client, modern, password) == 0, ascii(password)
        assert await asyncio.to_thread(_by_client, modern, password + "!") != 0


def _by_client(role: Role, password: str) -> int:
    assert isinstance(role.server, MysqlServer)
    argv = ["mariadb", "--no-defaults", "-S", str(role.server.socket), "-u", role.name, "-e", "select 1"]
    env = {**os.environ, "MYSQL_PWD": password}
    return subprocess.run(argv, env=env, capture_output=True, timeout=20, check=False).returncode
