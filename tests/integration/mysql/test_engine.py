"""Connections, limits, privileges and lost wires of the polling side."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from console.engine.mysql import link
from console.engine.mysql.driver import READ_LIMITS, close, connect
from console.engine.mysql.engine import MysqlEngine
from console.errors import LoginRefused, PrivilegeMissing, ServerSilent, Unreachable
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
    assert [row[:4] for row in rows.rows] == [(expected, 2, 1, "READ-COMMITTED")]
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
        assert {session.user for session in await engine.sessions()} == {"nobody"}
        with pytest.raises(PrivilegeMissing) as missing:
            await engine.locks()
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
    (ours,) = [one for one in await engine.sessions() if one.protection is Protection.OWN]
    await root.ask(f"kill {ours.id}")
    with pytest.raises(Unreachable):
        await engine.sessions()
    (again,) = [one for one in await engine.sessions() if one.protection is Protection.OWN]
    assert again.id != ours.id


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
