"""Connections, limits, privileges and lost wires of the polling side."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from console.engine.mysql import driver, link
from console.engine.mysql.driver import READ_LIMITS, close, connect
from console.engine.mysql.engine import MysqlEngine
from console.errors import (
    DatabaseRefused,
    LoginRefused,
    PrivilegeMissing,
    ServerSilent,
    TlsRefused,
    Unreachable,
)
from console.model.sessions import Protection, State
from console.model.target import Login, Target
from tests.integration.mysql.conftest import Client, Crowd, a_target, until
from tests.servers.accounts import MONITOR, PASSWORDS
from tests.servers.mysql import MysqlServer
from tests.servers.proxy import tcp_proxy


async def test_identity(mysql: MysqlServer, target: Target, engine: MysqlEngine) -> None:
    found = await engine.identity()
    assert found.flavor == mysql.flavor
    assert found.primary is True
    assert found.tls.startswith("TLSv1")
    assert found.user == f"{MONITOR}@%"
    assert found.system_id
    other = MysqlEngine(target)
    try:
        await asyncio.sleep(1.1)
        assert (await other.identity()).started_at == found.started_at
    finally:
        await other.close()


async def test_limits_hold_from_birth(target: Target, crowd: Crowd) -> None:
    flavor = crowd.server.flavor
    names = {"mysql": ("max_execution_time", "transaction"), "mariadb": ("max_statement_time", "tx")}
    limit, prefix = names[flavor]
    connection = await connect(target, target.monitor, limits=READ_LIMITS)
    try:
        rows = await connection.fetch(
            f"select @@{limit}, @@lock_wait_timeout, @@innodb_lock_wait_timeout, @@{prefix}_isolation,"
            f" @@{prefix}_read_only, @@time_zone, @@autocommit"
        )
    finally:
        await close(connection)
    expected = 3000 if flavor == "mysql" else 3.0
    metadata_wait = 2 if flavor == "mysql" else 0
    assert [row[:4] for row in rows.rows] == [(expected, metadata_wait, 1, "READ-COMMITTED")]
    assert rows.rows[0][4:] == (1, "+00:00", 1)


async def test_sessions(crowd: Crowd, engine: MysqlEngine) -> None:
    idle, busy, dump = await crowd.join(), await crowd.join(), await crowd.join("mysqldump")
    await idle.ask("begin", "update orders set state = 1 where id = 1")
    busy.start("select sleep(30)")

    async def running() -> bool:
        found = await engine.session(busy.id)
        return found is not None and found.state is State.ACTIVE

    await until(running)
    await asyncio.sleep(0.3)
    found = {session.id: session for session in await engine.sessions()}
    assert found[idle.id].state is State.IDLE_IN_TRANSACTION
    assert found[idle.id].application == "billing"
    assert found[idle.id].transaction_seconds is not None
    assert found[busy.id].query == "select sleep(30)"
    assert 0.2 < (found[busy.id].query_seconds or 0) < 10
    assert found[busy.id].query_id is not None
    assert found[dump.id].protection is Protection.BACKUP
    assert found[dump.id].state is State.IDLE
    ours = [one for one in found.values() if one.protection is Protection.OWN]
    assert [(one.user, one.application) for one in ours] == [(MONITOR, "dbdeck")]
    assert len({session.key.started_at for session in found.values() if session.key}) == 1
    assert await engine.session(1 << 40) is None


async def test_checks_of_a_well_made_account(engine: MysqlEngine) -> None:
    found = {check.name: check for check in await engine.checks()}
    bad = {name for name, check in found.items() if check.ok is False}
    assert bad == set()
    assert "round trip" in found["load of one poll"].detail


async def test_without_privileges(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    root = await crowd.root()
    monkeypatch.setenv("DBDECK_TEST_NOBODY", "nobody-pw")
    await root.ask("create user nobody@'%' identified by 'nobody-pw'")
    login = {"user": "nobody", "password": "env:DBDECK_TEST_NOBODY"}
    engine = MysqlEngine(a_target(crowd.server, monitor=login))
    try:
        for read in (engine.locks, engine.sessions, partial(engine.session, root.id)):
            with pytest.raises(PrivilegeMissing) as missing:
                await read()
            assert missing.value.hint == "GRANT PROCESS ON *.* TO 'nobody'@'%';"
        found = {check.name: check for check in await engine.checks()}
        assert found["sessions and row locks"].hint == missing.value.hint
        assert found["performance_schema"].hint == "GRANT SELECT ON performance_schema.* TO 'nobody'@'%';"
    finally:
        await engine.close()
        await root.ask("drop user nobody@'%'")


async def test_a_monitor_that_could_act_is_reported(mysql: MysqlServer) -> None:
    strong = a_target(mysql, monitor=mysql.target_dict()["operator"])
    engine = MysqlEngine(strong)
    try:
        found = {check.name: check for check in await engine.checks()}
    finally:
        await engine.close()
    assert found["monitor cannot act"].ok is False
    assert found["monitor cannot act"].hint.startswith("REVOKE CONNECTION")


@pytest.mark.parametrize(
    ("granted", "lacking"),
    [
        ("SELECT ON performance_schema.*", "PROCESS ON *.*"),
        ("PROCESS ON *.*", "SELECT ON performance_schema.*"),
    ],
)
async def test_with_half_of_the_privileges(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, granted: str, lacking: str
) -> None:
    """Without PROCESS nobody's transaction is seen; MariaDB's sessions do without the other one."""
    root = await crowd.root()
    monkeypatch.setenv("DBDECK_TEST_NOBODY", "nobody-pw")
    await root.ask("create user half@'%' identified by 'nobody-pw'", f"grant {granted} to half@'%'")
    engine = MysqlEngine(
        a_target(crowd.server, monitor={"user": "half", "password": "env:DBDECK_TEST_NOBODY"})
    )
    try:
        if crowd.server.flavor == "mariadb" and granted.startswith("PROCESS"):
            assert await engine.session(root.id) is not None
            assert await engine.session(1 << 40) is None
            return
        for read in (engine.sessions, partial(engine.session, root.id), partial(engine.session, 1 << 40)):
            with pytest.raises(PrivilegeMissing) as missing:
                await read()
            assert missing.value.hint == f"GRANT {lacking} TO 'half'@'%';"
    finally:
        await engine.close()
        await root.ask("drop user half@'%'")


async def _refusal(target: Target) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        await connect(target, target.monitor, limits=READ_LIMITS)
    return caught.value


async def test_a_refused_connection_names_its_target_and_says_what_to_do(
    mysql: MysqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBDECK_TEST_WRONG", "hunter2")
    wrong = {"user": MONITOR, "password": "env:DBDECK_TEST_WRONG"}
    cases: list[tuple[dict[str, object], type[Unreachable], str]] = [
        ({"port": 1}, Unreachable, "is the server running and listening there?"),
        ({"monitor": wrong}, LoginRefused, "check the password reference"),
        ({"database": "no_such_database"}, DatabaseRefused, "check the name of the database"),
        ({"ca": None}, TlsRefused, "`ca` has to name the file of the authority"),
    ]
    for over, kind, hint in cases:
        refused = await _refusal(a_target(mysql, **over))
        assert type(refused) is kind
        assert refused.message.startswith("shop: ")
        assert refused.hint.startswith(hint)
        assert "hunter2" not in refused.message + refused.hint


async def test_a_server_that_never_answers_is_named(
    mysql: MysqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "CONNECT_SECONDS", 0.3)
    async with tcp_proxy(mysql.host, mysql.port) as proxy:
        proxy.stall()
        refused = await _refusal(a_target(mysql, port=proxy.port))
    assert type(refused) is ServerSilent
    assert refused.message == f"shop: 127.0.0.1:{proxy.port} gave no answer in 0.3 s"
    assert refused.hint == "check the address, the network and a firewall"


async def test_by_the_folder_of_its_unix_socket(mysql: MysqlServer, tmp_path: Path) -> None:
    """The socket of the test server has a name of its own; elsewhere it has a usual one."""
    usual = tmp_path / "mysqld.sock"
    usual.symlink_to(mysql.socket)
    (tmp_path / "other.sock").symlink_to(mysql.socket)
    for folder in (mysql.socket.parent, tmp_path):
        engine = MysqlEngine(a_target(mysql, host=str(folder)))
        try:
            assert (await engine.identity()).tls == "unix socket"
        finally:
            await engine.close()
    usual.unlink()
    (tmp_path / "other.sock").unlink()
    assert (
        f"shop: there is no unix socket in the folder {tmp_path}"
        in (await _refusal(a_target(mysql, host=str(tmp_path)))).message
    )


SLEEP = "select sleep(20)"


async def _sleepers(client: Client) -> int:
    rows = await client.ask(
        f"select count(*) from performance_schema.threads where processlist_info = '{SLEEP}'"
    )
    return int(rows[-1][0])


async def test_a_read_that_timed_out_leaves_nothing_on_the_server(
    crowd: Crowd, engine: MysqlEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = await crowd.root()
    await engine.identity()
    with monkeypatch.context() as patched:
        patched.setattr(link, "READ_SECONDS", 0.3)
        patched.setattr(link, "query", lambda *_: SLEEP)
        with pytest.raises(ServerSilent):
            await engine._link.fetch("sessions", "sessions")

    async def gone() -> bool:
        return await _sleepers(watcher) == 0

    await until(gone, 2.0)  # the server's own limit would take 3 s
    assert await engine.sessions()


async def test_a_read_that_was_cancelled_leaves_nothing_on_the_server(
    crowd: Crowd, engine: MysqlEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = await crowd.root()
    await engine.identity()
    with monkeypatch.context() as patched:
        patched.setattr(link, "query", lambda *_: SLEEP)
        reading = asyncio.create_task(engine._link.fetch("sessions", "sessions"))

        async def sleeps() -> bool:
            return await _sleepers(watcher) == 1

        await until(sleeps)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    async def gone() -> bool:
        return await _sleepers(watcher) == 0

    await until(gone, 2.0)
    assert await engine.sessions()


async def test_a_cut_connection_is_opened_again_by_the_next_call(crowd: Crowd, engine: MysqlEngine) -> None:
    root = await crowd.root()
    ours = await _own(engine)
    await root.ask(f"kill {ours}")
    with pytest.raises(Unreachable):
        await engine.sessions()
    assert await _own(engine) != ours


async def _own(engine: MysqlEngine) -> int:
    """The number of its connection, once the server has let go of those of tests before."""
    numbers: list[int] = []

    async def alone() -> bool:
        numbers[:] = [one.id for one in await engine.sessions() if one.protection is Protection.OWN]
        return len(numbers) == 1

    await until(alone)
    return numbers[0]


async def test_over_a_unix_socket_with_a_password_from_the_option_file(
    mysql: MysqlServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    option_file = tmp_path / ".my.cnf"
    option_file.write_text(f'[client]\nuser = {MONITOR}\npassword = "{PASSWORDS[MONITOR]}"\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    local = a_target(mysql, host=str(mysql.socket), monitor={"user": MONITOR})

    option_file.chmod(0o644)
    with pytest.raises(LoginRefused, match="0644"):
        await connect(local, local.monitor, limits=READ_LIMITS)
    option_file.chmod(0o600)
    engine = MysqlEngine(local)
    try:
        assert (await engine.identity()).tls == "unix socket"
    finally:
        await engine.close()
    with pytest.raises(LoginRefused):
        await connect(local, Login(user="somebody_else"), limits=READ_LIMITS)


async def test_a_server_that_falls_silent_keeps_nobody(
    mysql: MysqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "READ_SECONDS", 0.3)
    async with tcp_proxy(mysql.host, mysql.port) as proxy:
        engine = MysqlEngine(a_target(mysql, port=proxy.port))
        assert await engine.sessions()
        proxy.stall()
        with pytest.raises(ServerSilent):
            await engine.sessions()
        async with asyncio.timeout(5):
            await engine.close()
        proxy.resume()


async def test_a_wire_that_is_cut_is_mended_by_the_next_call(mysql: MysqlServer) -> None:
    async with tcp_proxy(mysql.host, mysql.port) as proxy:
        engine = MysqlEngine(a_target(mysql, port=proxy.port))
        try:
            assert await engine.sessions()
            proxy.kill()
            with pytest.raises(Unreachable):
                await engine.sessions()
            assert await engine.sessions()
        finally:
            await engine.close()
