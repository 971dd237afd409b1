"""The hardened driver: a password goes only where it may, on real servers and against a rogue one."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import warnings
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from pymysql.constants import CLIENT
from pymysql.err import MySQLError, ProgrammingError

from console.errors import ConfigError, LoginRefused, ServerSilent, TlsRefused, Unreachable
from console.secrets import Secret
from console.wire.mysql import Address, Connection, _build, connect_mysql
from tests.servers.mysql import MysqlServer
from tests.servers.proxy import tcp_proxy
from tests.wire.rogue import CAPABILITIES, Rogue, greeting, rogue, switch

PASSWORD = "pä😀 ss'\\"


def towards(server: Rogue, tls: str = "off") -> Address:
    return Address(
        user="dba", host="127.0.0.1", port=server.port, password=Secret(PASSWORD), tls=tls, connect_timeout=3
    )


def address(server: MysqlServer, user: str, **over: Any) -> Address:
    made = Address(
        user=user,
        host="127.0.0.1",
        port=server.port,
        password=Secret(PASSWORD),
        tls="off",
        connect_timeout=10,
    )
    return msgspec.structs.replace(made, **over)


async def account(server: MysqlServer, plugin: str = "") -> str:
    name = f"user_{uuid4().hex[:8]}"
    connection = await connect_mysql(
        Address(user=server.superuser, unix_socket=str(server.socket), connect_timeout=10)
    )
    try:
        await connection.fetch(f"create user {name}@'%%' identified {plugin} by %s", (PASSWORD,))
    finally:
        await connection.aclose()
    return name


async def test_no_tls_offered_and_not_a_byte_sent() -> None:
    async with rogue(greeting("mysql_native_password")) as server:
        with pytest.raises(TlsRefused, match="nothing was sent"):
            await connect_mysql(towards(server, tls="verify-full"))
    assert server.received == b""


async def test_a_certificate_that_nobody_signed(mysql: MysqlServer) -> None:
    with pytest.raises(TlsRefused, match="certificate"):
        await connect_mysql(address(mysql, "dba", tls="verify-full"))


async def test_tls_that_is_no_tls() -> None:
    async with rogue(greeting("mysql_native_password", CAPABILITIES | CLIENT.SSL), b"\0") as server:
        with pytest.raises(TlsRefused):
            await connect_mysql(towards(server, tls="require"))
    assert b"dba" not in server.received


@pytest.mark.parametrize("plugin", ["mysql_clear_password", "mysql_old_password", "dialog", "evil"])
async def test_a_plugin_that_shows_the_password(plugin: str) -> None:
    async with rogue(greeting("mysql_native_password"), switch(plugin)) as server:
        with pytest.raises(LoginRefused, match=plugin):
            await connect_mysql(towards(server))
    assert PASSWORD.encode() not in server.received


async def test_a_greeting_that_asks_for_the_password_in_clear() -> None:
    async with rogue(greeting("mysql_clear_password"), switch("mysql_clear_password")) as server:
        with pytest.raises(LoginRefused):
            await connect_mysql(towards(server))
    assert b"dba" in server.received
    assert PASSWORD.encode() not in server.received


async def test_a_server_from_before_plugins() -> None:
    async with rogue(greeting("", CAPABILITIES & ~CLIENT.PLUGIN_AUTH)) as server:
        with pytest.raises(LoginRefused, match=r"before 5\.5"):
            await connect_mysql(towards(server))
    assert server.received == b""


async def test_a_key_that_nobody_vouches_for() -> None:
    far = _build(Address(user="dba", host="db.example.net", tls="off", allow_rsa=False))
    with pytest.raises(TlsRefused, match="nobody vouches"):
        far.server_public_key = b"-----BEGIN"
    near = _build(Address(user="dba", host="127.0.0.1", tls="off", allow_rsa=False))
    near.server_public_key = b"-----BEGIN"
    assert near.server_public_key == b"-----BEGIN"


async def test_logins_cold_and_warm_with_any_password(mysql: MysqlServer) -> None:
    ca = str(mysql.ca_file)
    for over in ({}, {}, {"tls": "require"}, {"tls": "verify-ca", "ca_file": ca}):
        user = await account(mysql)
        for wanted in (over, {}, {"tls": "verify-full", "ca_file": ca}):
            connection = await connect_mysql(address(mysql, user, **wanted))
            try:
                rows = await connection.fetch("show session status like 'Ssl_cipher'")
                assert bool(rows.rows[0][1]) == connection.encrypted == bool(wanted)
            finally:
                await connection.aclose()


async def test_a_login_that_the_server_switches(mysql: MysqlServer) -> None:
    """The salt of a switch ends in NUL."""
    kinds = ["with sha256_password", ""] if mysql.flavor == "mysql" else [""]
    for kind in kinds:
        user = await account(mysql, kind)
        for tls in ("off", "require", "off"):
            connection = _build(address(mysql, user, tls=tls))
            connection._client_auth_plugin = "sha256_password" if not kind else "mysql_native_password"
            try:
                await connection._connect()
                assert (await connection.fetch("select 1")).rows == ((1,),)
            finally:
                await connection.aclose()


async def test_it_is_named_limited_and_autocommitting(mysql: MysqlServer) -> None:
    connection = await connect_mysql(
        Address(
            user=mysql.superuser,
            unix_socket=str(mysql.socket),
            connect_timeout=10,
            init_command="set innodb_lock_wait_timeout = 3",
            program_name="dbdeck test",
        )
    )
    try:
        shown = await connection.fetch(
            "select @@autocommit as a, @@innodb_lock_wait_timeout as w, @@character_set_client as c,"
            " (select attr_value from performance_schema.session_account_connect_attrs"
            "  where attr_name = 'program_name' and processlist_id = connection_id()) as p"
        )
        named = shown.dicts()[0]
    finally:
        await connection.aclose()
    assert named == {"a": 1, "w": 3, "c": "utf8mb4", "p": "dbdeck test"}


async def test_one_text_is_one_statement_unless_several_are_wanted(mysql: MysqlServer) -> None:
    socket = Address(user=mysql.superuser, unix_socket=str(mysql.socket), connect_timeout=10)
    one = await connect_mysql(socket)
    try:
        with pytest.raises(ProgrammingError, match="1064"):
            await one.fetch("SELECT 1; SELECT 2")
    finally:
        await one.aclose()
    more = await connect_mysql(msgspec.structs.replace(socket, several=True))
    try:
        assert (await more.fetch("SELECT 1; SELECT 2")).rows == ((1,),)
    finally:
        await more.aclose()


async def test_values_go_and_come_back(mysql: MysqlServer) -> None:
    connection = await connect_mysql(
        Address(user=mysql.superuser, unix_socket=str(mysql.socket), connect_timeout=10)
    )
    try:
        sent = (bytes(range(256)), "é😀'\\\"%s\0", 7, None)
        got = await connection.fetch("select %s as a, %s as b, %s as c, %s as d", sent)
        assert got.columns == ("a", "b", "c", "d")
        assert got.rows == (sent,)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert (await connection.fetch("drop table if exists mysql.no_such_table")).rows == ()
        with pytest.raises(ProgrammingError):
            await connection.fetch("selec 1")
        assert (await connection.fetch("select 1")).rows == ((1,),)
    finally:
        await connection.aclose()


async def test_a_wrong_password_is_not_repeated(mysql: MysqlServer) -> None:
    user = await account(mysql)
    with pytest.raises(LoginRefused, match=user) as caught:
        await connect_mysql(address(mysql, user, password=Secret("hunter2")))
    assert "hunter2" not in caught.value.message + caught.value.hint
    assert "password reference" in caught.value.hint


async def test_nobody_there_or_somebody_else() -> None:
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1") as nobody:
        await connect_mysql(Address(user="dba", host="127.0.0.1", port=1, tls="off"))
    assert nobody.value.hint == "is the server running and listening there?"
    with pytest.raises(Unreachable, match=r"/nowhere/my\.sock"):
        await connect_mysql(Address(user="dba", unix_socket="/nowhere/my.sock"))
    for noise in (b"SSH-2.0-OpenSSH", b"\x0a", b"\xff" * 40, b""):
        async with rogue(noise) as server:
            with pytest.raises(Unreachable) as somebody:
                await connect_mysql(towards(server))
            assert somebody.value.hint


async def test_a_bad_mode_or_file_is_the_configs_fault() -> None:
    for tls, ca in (("prefer", None), ("verify-ca", "/nowhere/ca.pem")):
        with pytest.raises(ConfigError):
            await connect_mysql(Address(user="dba", tls=tls, ca_file=ca))


async def test_a_server_that_accepts_and_says_nothing(mysql: MysqlServer) -> None:
    async with tcp_proxy("127.0.0.1", mysql.port) as proxy:
        proxy.stall()
        with pytest.raises(ServerSilent, match=r"0\.3 s"):
            await connect_mysql(address(mysql, "dba", port=proxy.port, connect_timeout=0.3))


async def test_a_connection_that_is_cancelled_or_cut_is_freed(mysql: MysqlServer) -> None:
    user = await account(mysql)
    async with tcp_proxy("127.0.0.1", mysql.port) as proxy:
        through = address(mysql, user, port=proxy.port, tls="require")
        for pause in (0.0, 0.001, 0.005, 0.01):
            task = asyncio.ensure_future(connect_mysql(through))
            await asyncio.sleep(pause)
            task.cancel()
            for done in await asyncio.gather(task, return_exceptions=True):
                if not isinstance(done, BaseException):
                    await done.aclose()
        connection = await connect_mysql(through)
        assert connection.usable
        proxy.kill()
        await asyncio.sleep(0.05)
        assert not connection.usable
        with pytest.raises((MySQLError, ssl.SSLError, OSError)):
            await connection.fetch("select 1")
        await connection.aclose()


async def test_closed_at_any_moment_of_a_query_it_is_a_lost_connection(mysql: MysqlServer) -> None:
    """As when the console is left while a view still reads."""
    user = await account(mysql)
    for turns in range(40):
        connection = await connect_mysql(address(mysql, user))
        reading = asyncio.ensure_future(connection.fetch("select repeat('x', 1000) union all select 2"))
        for _ in range(turns // 2):
            await asyncio.sleep(0)
        connection.abort()
        with contextlib.suppress(MySQLError):
            await reading
        await connection.aclose()


async def superuser(server: MysqlServer) -> Connection:
    return await connect_mysql(
        Address(user=server.superuser, unix_socket=str(server.socket), connect_timeout=10, several=True)
    )


DIGITS = "(select 0 n union all select 1 union all select 2 union all select 3 union all select 4)"
MANY = f"{DIGITS} a, {DIGITS} b, {DIGITS} c, {DIGITS} d, {DIGITS} e"  # 3,125 rows


async def test_answers_of_every_length(mysql: MysqlServer) -> None:
    connection = await superuser(mysql)
    try:
        wide = "repeat('x', a.n * 4000 + b.n)"
        sql = f"select {wide}, length({wide}), null from {MANY}"
        rows = (await connection.fetch(sql)).rows
        assert len(rows) == 5**5
        assert all(len(text) == size and nothing is None for text, size, nothing in rows)
        assert sum(size for _, size, _ in rows) == 5**5 * 8002
        assert (await connection.fetch("select 1 where 1 = 0")).rows == ()
        assert (await connection.fetch("select 7")).rows == ((7,),)
    finally:
        await connection.aclose()


async def test_a_row_of_many_packets_among_others(mysql: MysqlServer) -> None:
    connection = await superuser(mysql)
    try:
        await connection.fetch("set global max_allowed_packet = 67108864")
        await connection.aclose()
        connection = await superuser(mysql)
        sql = f"select repeat('x', if(a.n = 2, {2**24 + 5}, a.n)) from {DIGITS} a order by a.n"
        rows = (await connection.fetch(sql)).rows
        assert [len(text) for (text,) in rows] == [0, 1, 2**24 + 5, 3, 4]
        assert (await connection.fetch("select 7")).rows == ((7,),)
    finally:
        await connection.fetch("set global max_allowed_packet = default")
        await connection.aclose()


async def test_several_answers_that_come_at_once(mysql: MysqlServer) -> None:
    connection = await superuser(mysql)
    try:
        cursor = await connection.cursor()
        await cursor.execute(f"select n from {DIGITS} a; select n + 10 from {DIGITS} a; select 7")
        found = [await cursor.fetchall()]
        while await cursor.nextset():
            found.append(await cursor.fetchall())
        assert [[row[0] for row in rows] for rows in found] == [[*range(5)], [*range(10, 15)], [7]]
        await cursor.close()
    finally:
        await connection.aclose()


async def test_an_error_among_the_rows(mysql: MysqlServer) -> None:
    """What comes of a statement before it fails is no answer, and the connection goes on."""
    connection = await superuser(mysql)
    try:
        fails = f"select if(a.n * 3125 + b.n > 9000, (select n from {DIGITS} z), 'x') from {MANY}"
        with pytest.raises(MySQLError, match="more than 1 row"):
            await connection.fetch(fails)
        assert (await connection.fetch("select 7")).rows == ((7,),)
    finally:
        await connection.aclose()


async def test_given_up_among_the_rows_it_is_closed(mysql: MysqlServer) -> None:
    connection = await superuser(mysql)
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await connection.fetch(f"select repeat('x', 9000), sleep(0.001) from {MANY}")
        assert not connection.usable
        with pytest.raises(MySQLError):
            await connection.fetch("select 7")
    finally:
        await connection.aclose()


async def test_lost_among_the_rows(mysql: MysqlServer) -> None:
    async with tcp_proxy("127.0.0.1", mysql.port) as wire:
        user = await account(mysql)
        connection = await connect_mysql(msgspec.structs.replace(address(mysql, user), port=wire.port))
        try:
            slow = asyncio.create_task(
                connection.fetch(f"select repeat('x', 9000), sleep(0.001) from {MANY}")
            )
            await asyncio.sleep(0.3)
            wire.kill()
            with pytest.raises(MySQLError):
                await slow
            assert not connection.usable
        finally:
            await connection.aclose()
