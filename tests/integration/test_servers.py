"""The test servers themselves: the versions we name, the accounts we document, the wire we cut."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import asyncpg
import pymysql
import pytest

from tests.servers import accounts, places
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import tcp_proxy


async def ask(server: MysqlServer, statement: str, **login: Any) -> list[tuple[Any, ...]]:
    connection = await server.connect(**login)
    try:
        async with connection.cursor() as cursor:
            await cursor.execute(statement)
            return list(await cursor.fetchall())
    finally:
        connection.close()


def trust(server: Server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.ca_file))


async def test_each_postgres_is_the_version_it_is_named_for(postgres: PostgresServer) -> None:
    connection = await postgres.connect()
    try:
        number = await connection.fetchval("SELECT current_setting('server_version_num')::int")
        connections = await connection.fetchval("SELECT current_setting('max_connections')::int")
    finally:
        await connection.close()
    assert number // 10000 == int(postgres.name.removeprefix("pg")) == postgres.major
    assert connections == 1000


async def test_each_mysql_is_the_flavour_it_is_named_for(mysql: MysqlServer) -> None:
    ((version, connections),) = await ask(mysql, "SELECT VERSION(), @@max_connections")
    assert ("MariaDB" in version) == (mysql.flavor == "mariadb")
    assert int(version.split(".")[0]) >= (10 if mysql.flavor == "mariadb" else 9)
    assert connections == 800


async def test_postgres_accounts_log_in_over_tcp_by_password(postgres: PostgresServer) -> None:
    for user, password in accounts.PASSWORDS.items():
        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=postgres.tcp_port,
            user=user,
            password=password,
            database="postgres",
            ssl=trust(postgres) if postgres.ca_file else False,
        )
        assert await connection.fetchval("SELECT current_user") == user
        assert await connection.fetchval("SHOW is_superuser") == "off"
        await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(
            host="127.0.0.1", port=postgres.tcp_port, user="postgres", password="x", ssl=False
        )


async def test_postgres_privileges_are_the_least(postgres: PostgresServer) -> None:
    connection = await postgres.connect()
    held = await connection.fetch(
        "SELECT r.rolname AS member, array_agg(g.rolname::text ORDER BY g.rolname) AS roles"
        " FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member"
        " JOIN pg_roles g ON g.oid = m.roleid WHERE r.rolname = ANY($1) GROUP BY 1 ORDER BY 1",
        [accounts.MAINTAINER, accounts.MONITOR, accounts.OPERATOR],
    )
    await connection.close()
    assert [tuple(row) for row in held] == [
        (accounts.MAINTAINER, [accounts.APP, "pg_monitor"]),
        (accounts.MONITOR, ["pg_monitor"]),
        (accounts.OPERATOR, ["pg_monitor", "pg_signal_backend"]),
    ]


async def test_mysql_accounts_log_in_over_verified_tls(mysql: MysqlServer) -> None:
    for user in accounts.PASSWORDS:
        rows = await ask(mysql, "SHOW STATUS LIKE 'Ssl_cipher'", user=user, ssl=trust(mysql))
        assert rows[0][1], "the session is encrypted"
        assert (await ask(mysql, "SELECT SUBSTRING_INDEX(USER(), '@', 1)", user=user)) == [(user,)]
    with pytest.raises(pymysql.OperationalError):
        await mysql.connect(user=accounts.MONITOR, password="wrong")
    with pytest.raises(pymysql.OperationalError):
        await mysql.connect(host=mysql.host, port=mysql.port, unix_socket=None)


async def test_mysql_operator_may_kill_and_nothing_else(mysql: MysqlServer) -> None:
    victim = await mysql.connect(user=accounts.APP)
    statement = f"KILL CONNECTION {victim.thread_id()}"
    with pytest.raises(pymysql.MySQLError):
        await ask(mysql, statement, user=accounts.MONITOR)
    await ask(mysql, statement, user=accounts.OPERATOR)
    with pytest.raises(pymysql.MySQLError):
        await victim.ping(reconnect=False)
    victim.close()
    with pytest.raises(pymysql.MySQLError):
        await ask(mysql, "CREATE DATABASE not_allowed", user=accounts.OPERATOR)


async def test_mysql_metadata_locks_are_instrumented(mysql: MysqlServer) -> None:
    database = await mysql.new_database()
    holder = await mysql.connect(user=accounts.APP, database=database)
    async with holder.cursor() as cursor:
        await cursor.execute("CREATE TABLE t (id int PRIMARY KEY) ENGINE=InnoDB")
        await cursor.execute("BEGIN")
        await cursor.execute("SELECT * FROM t")
    rows = await ask(
        mysql,
        "SELECT lock_type FROM performance_schema.metadata_locks"
        f" WHERE object_schema = '{database}' AND object_name = 't'",
        user=accounts.MONITOR,
    )
    holder.close()
    assert rows == [("SHARED_READ",)]


async def test_tls_is_verified_where_there_is_tls_and_refused_elsewhere(
    postgres: PostgresServer,
) -> None:
    login: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": postgres.tcp_port,
        "user": accounts.MONITOR,
        "password": accounts.PASSWORDS[accounts.MONITOR],
        "database": "postgres",
    }
    if postgres.ca_file is None:
        with pytest.raises(ConnectionError):
            await asyncpg.connect(**login, ssl="require")
        return
    connection = await asyncpg.connect(**login, ssl=trust(postgres))
    encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert await connection.fetchval(encrypted) is True
    await connection.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncpg.connect(**login, ssl=ssl.create_default_context())


async def test_the_application_can_use_a_new_database(any_server: Server) -> None:
    database = await any_server.new_database()
    if isinstance(any_server, PostgresServer):
        connection = await any_server.connect(accounts.APP, database)
        await connection.execute("CREATE TABLE t (id int)")
        await connection.close()
    else:
        await ask(any_server, "CREATE TABLE t (id int)", user=accounts.APP, database=database)


async def test_each_server_restarts_and_keeps_what_was_committed(any_server: Server) -> None:
    database = await any_server.new_database()
    await asyncio.to_thread(any_server.restart, "immediate")
    await asyncio.to_thread(any_server.stop)
    assert not any_server.running()
    await asyncio.to_thread(any_server.start)
    if isinstance(any_server, PostgresServer):
        await (await any_server.connect(accounts.APP, database)).close()
    else:
        (await any_server.connect(user=accounts.APP, database=database)).close()


def test_a_target_names_its_logins_by_reference(any_server: Server) -> None:
    target = any_server.target_dict(environment="prod")
    assert target["environment"] == "prod"
    assert (target["tls"] == "verify-full") == (any_server.ca_file is not None)
    assert not set(accounts.PASSWORDS.values()) & {repr(value) for value in target.values()}
    assert any_server.name in places.NAMES


async def through(server: PostgresServer, port: int) -> asyncpg.Connection[asyncpg.Record]:
    return await asyncpg.connect(
        host="127.0.0.1",
        port=port,
        user=accounts.MONITOR,
        password=accounts.PASSWORDS[accounts.MONITOR],
        database="postgres",
        ssl=False,
    )


async def test_the_proxy_stalls_and_resumes(postgres18: PostgresServer) -> None:
    async with tcp_proxy("127.0.0.1", postgres18.tcp_port) as proxy:
        connection = await through(postgres18, proxy.port)
        assert await connection.fetchval("SELECT 1") == 1
        assert proxy.connections == 1
        before = proxy.received
        assert proxy.sent > 0
        proxy.stall()
        question = asyncio.create_task(connection.fetchval("SELECT 2"))
        await asyncio.sleep(0.3)
        assert not question.done()
        assert proxy.received == before
        proxy.resume()
        assert await question == 2
        await connection.close()


async def test_the_proxy_cuts_the_wire(postgres18: PostgresServer) -> None:
    async with tcp_proxy("127.0.0.1", postgres18.tcp_port) as proxy:
        first = await through(postgres18, proxy.port)
        question = asyncio.create_task(first.fetchval("SELECT pg_sleep(30)"))
        await asyncio.sleep(0.1)
        proxy.kill()
        with pytest.raises((OSError, asyncpg.PostgresConnectionError)):
            await question
        second = await through(postgres18, proxy.port)
        proxy.drop()
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await through(postgres18, proxy.port)
        await proxy.listen()
        third = await through(postgres18, proxy.port)
        assert await third.fetchval("SELECT 3") == 3
        await third.close()
        for broken in (first, second):
            broken.terminate()
