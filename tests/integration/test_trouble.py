"""Servers in trouble: what was built for the bad night still looks, acts, refuses and records then."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pymysql.err import MySQLError

import actions
from console.audit.ledger import open_ledger
from console.dispatch.action import Approval, Watch
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.effect import Run
from console.dispatch.registry import Registry
from console.engine.open import open_engine
from console.engine.port import Engine
from console.errors import Refused, Stale
from console.model.policy import Policy
from console.model.sessions import Protection, Session
from tests.command import Command
from tests.servers import accounts
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.situations import Scene, scene, touch
from tests.targets import target_of


class Warm:
    """What an operator has at hand when the trouble begins: an engine, a ledger, a warm lifeboat."""

    def __init__(self, engine: Engine, dispatcher: Dispatcher) -> None:
        self.engine = engine
        self.dispatcher = dispatcher

    async def end(self, session_id: int, action: str = "session.terminate") -> Run:
        session = await self.engine.session(session_id)
        assert session is not None
        given = {"id": session_id, "started_at": session.started_at}
        plan = await self.dispatcher.plan(action, self.engine, given)
        return await self.dispatcher.apply(
            plan, self.engine, Approval(reason="trouble"), watch=Watch(seconds=5)
        )


@asynccontextmanager
async def warm(server: Server, folder: Path) -> AsyncIterator[Warm]:
    target = target_of(server)
    async with (
        open_ledger(f"sqlite:///{folder}/audit.db", folder / "journal") as ledger,
        open_engine(target) as engine,
    ):
        dispatcher = Dispatcher(Registry(actions.ALL), ledger, Policy())
        await engine.sessions()
        await dispatcher.lifeboat(target).keep()
        try:
            yield Warm(engine, dispatcher)
        finally:
            await dispatcher.close()


@pytest_asyncio.fixture
async def shop(any_server: Server) -> AsyncIterator[Scene]:
    async with scene(any_server) as made:
        yield made


@pytest_asyncio.fixture
async def pg(postgres: PostgresServer) -> AsyncIterator[Scene]:
    async with scene(postgres) as made:
        yield made


@pytest_asyncio.fixture
async def my(mysql: MysqlServer) -> AsyncIterator[Scene]:
    async with scene(mysql) as made:
        yield made


async def execute(server: MysqlServer, *statements: str) -> None:
    admin = await server.connect()
    async with admin.cursor() as cursor:
        for sql in statements:
            await cursor.execute(sql)
    admin.close()


async def rooted(engine: Engine, root: int) -> None:
    for _ in range(100):
        if any(node.root and node.session.id == root for node in await engine.locks()):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{root} never was a root blocker")


# ---- any engine ---------------------------------------------------------------------------------


async def test_a_restart_between_plan_and_key_makes_it_stale(any_server: Server, tmp_path: Path) -> None:
    """Ids start again with the server: the one that was planned for may be anybody's now."""
    command = Command(tmp_path, {"t": any_server.target_dict()})
    async with scene(any_server) as shop:
        root = (await shop.chain(2))[0]
        await asyncio.sleep(0.3)
        session = await command.root()
        assert session["id"] == root.id
        saved = str(tmp_path / "plan.json")
        words = ["plan", "session.terminate", "-t", "t", "--out", saved]
        planned = await command.run(*words, f"id={session['id']}", f"started_at={session['started_at']}")
        assert planned.code == 0, planned
        async with warm(any_server, tmp_path / "warm") as here:
            given = {"id": session["id"], "started_at": session["started_at"]}
            plan = await here.dispatcher.plan("session.terminate", here.engine, given)
            # A server computes its start from whole seconds of uptime: it must not start in the same one.
            await asyncio.to_thread(any_server.stop)
            await asyncio.sleep(3)
            await asyncio.to_thread(any_server.start)
            with pytest.raises(Stale, match="restarted"):
                await here.dispatcher.apply(plan, here.engine, Approval(reason="late"))
        late = await command.run("apply", saved, "--json", "--yes", "--reason", "late")
        assert late.code == 6, late
        assert "restarted" in late.document["error"]["message"]
        assert "intent" not in await command.kinds()


async def test_a_pooler_in_between_is_named_in_the_forecast(shop: Scene, tmp_path: Path) -> None:
    pooler = "pgbouncer" if isinstance(shop.server, PostgresServer) else "proxysql"
    client = await shop.holder(1, pooler)
    async with warm(shop.server, tmp_path) as here:
        session = await here.engine.session(client.id)
        assert session is not None
        given = {"id": client.id, "started_at": session.started_at}
        plan = await here.dispatcher.plan("session.terminate", here.engine, given)
    if session.application is not None:
        assert any("pooler" in line for line in plan.warnings), plan.warnings


# ---- PostgreSQL ---------------------------------------------------------------------------------


@pytest.mark.parametrize("catalog", ["pg_class", "pg_authid", "pg_database"])
async def test_a_session_is_ended_while_a_catalog_is_locked(pg: Scene, tmp_path: Path, catalog: str) -> None:
    """New logins hang then, and so do the views: connections that are open, and functions, do not."""
    root = (await pg.chain(3))[0]
    assert isinstance(pg.server, PostgresServer)
    async with warm(pg.server, tmp_path) as here:
        await rooted(here.engine, root.id)
        admin = await pg.server.connect()
        try:
            await admin.execute(f"begin; lock table {catalog} in access exclusive mode")
            run = await here.end(root.id)
            assert run.effect == "applied", run.error
            assert await here.engine.transactions()
            assert (await here.engine.horizon()).holders is not None
        finally:
            await admin.close()


async def test_a_commit_that_waits_for_its_standby_is_protected(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    """Ending it would not undo it: it is committed here, and may be missing there."""
    admin = await postgres18.connect()
    async with scene(postgres18) as shop, warm(postgres18, tmp_path) as here:
        client = await shop.client("payer")
        try:
            await admin.execute("alter system set synchronous_standby_names = 'nobody'")
            await admin.execute("select pg_reload_conf()")
            await asyncio.sleep(0.3)
            client.wait(touch(1))
            for _ in range(100):
                session = await here.engine.session(client.id)
                assert session is not None
                if session.protection is Protection.SYNC_REP:
                    break
                await asyncio.sleep(0.1)
            with pytest.raises(Refused, match="synchronous standby"):
                await here.end(client.id)
            with pytest.raises(Refused, match="synchronous standby"):
                await here.end(client.id, "session.cancel")
        finally:
            await admin.execute("alter system reset synchronous_standby_names")
            await admin.execute("select pg_reload_conf()")
            await admin.close()
        assert client.waiting is not None
        await asyncio.wait_for(client.waiting, 10)


# ---- MySQL and MariaDB --------------------------------------------------------------------------


@asynccontextmanager
async def global_read_lock(server: MysqlServer) -> AsyncIterator[int]:
    """A forgotten backup script holds it; root's own sessions could be ended by their likes alone."""
    made = "create user backup_script@'%' identified by 'backup-pw'"
    await execute(server, made, "grant reload on *.* to backup_script@'%'")
    script = await server.connect("backup_script", "backup-pw", program_name="nightly-copy")
    try:
        async with script.cursor() as cursor:
            await cursor.execute("flush tables with read lock")
        yield int(script.thread_id())
    finally:
        script.close()
        await asyncio.sleep(0.2)
        await execute(server, "drop user backup_script@'%'")


async def test_the_holder_of_the_global_read_lock_is_ended(my: Scene, tmp_path: Path) -> None:
    assert isinstance(my.server, MysqlServer)
    writer = await my.client("writer")
    async with global_read_lock(my.server) as holder, warm(my.server, tmp_path) as here:
        writer.wait(touch(1))
        await rooted(here.engine, holder)
        run = await here.end(holder)
        assert run.effect == "applied", run.error
        assert run.verify is not None
        assert run.verify.evidence["waiters_released"] == 1
        assert writer.waiting is not None
        await asyncio.wait_for(writer.waiting, 10)


async def test_an_event_that_blocks_is_called_one_and_ended(my: Scene, tmp_path: Path) -> None:
    """It has no client and no program name: nobody would know what he ends."""
    assert isinstance(my.server, MysqlServer)
    body = "begin start transaction; update orders set n = n + 1 where id = 1; do sleep(60); commit; end"
    when = "on schedule at current_timestamp + interval 1 second on completion preserve"
    admin = await my.server.connect(database=my.database)
    try:
        async with admin.cursor() as cursor:
            await cursor.execute("set global event_scheduler = on")
            await cursor.execute(f"create definer = {accounts.APP}@'%' event nightly {when} do {body}")
        async with warm(my.server, tmp_path) as here:
            event = await _event(here.engine, my.database)
            waiter = await my.client("waiter")
            waiter.wait(touch(1))
            await rooted(here.engine, event.id)
            given = {"id": event.id, "started_at": event.started_at}
            plan = await here.dispatcher.plan("session.terminate", here.engine, given)
            assert "it is an event of the scheduler" in plan.warnings
            run = await here.end(event.id)
            assert run.effect == "applied", run.error
            assert waiter.waiting is not None
            await asyncio.wait_for(waiter.waiting, 10)
    finally:
        async with admin.cursor() as cursor:
            await cursor.execute("drop event if exists nightly")
            await cursor.execute("set global event_scheduler = off")
        admin.close()


async def _event(engine: Engine, database: str) -> Session:
    async with asyncio.timeout(20):
        while True:
            for one in await engine.sessions():
                if one.kind == "event of the scheduler" and one.database == database and one.rows_modified:
                    return one
            await asyncio.sleep(0.1)


async def test_a_read_only_server_still_lets_its_sessions_be_ended(my: Scene, tmp_path: Path) -> None:
    """Row locks are refused there, others are not; and ending whoever blocks writes nothing."""
    assert isinstance(my.server, MysqlServer)
    on = ["set global read_only = 1"]
    off = ["set global read_only = 0"]
    if my.server.flavor == "mysql":
        on, off = ["set global super_read_only = 1"], ["set global super_read_only = 0", *off]
    async with warm(my.server, tmp_path) as here:
        try:
            await execute(my.server, *on)
            assert (await here.engine.identity()).primary is False
            root, waiter = await my.client("report"), await my.client("report")
            await root.run("select get_lock('nightly', 0)")
            waiter.wait("select get_lock('nightly', 60)")
            await rooted(here.engine, root.id)
            run = await here.end(root.id)
        finally:
            await execute(my.server, *off)
    assert run.effect == "applied", run.error


async def test_with_all_connections_taken_the_warm_ones_and_the_extra_one_still_act(
    my: Scene, tmp_path: Path
) -> None:
    """One connection more than max_connections is for CONNECTION_ADMIN; MariaDB gives it to SUPER alone."""
    assert isinstance(my.server, MysqlServer)
    root = (await my.chain(2))[0]
    crowd: list[Any] = []
    async with warm(my.server, tmp_path) as here:
        await rooted(here.engine, root.id)
        try:
            await execute(my.server, "set global max_connections = 30")
            with contextlib.suppress(MySQLError):
                while len(crowd) < 60:
                    crowd.append(await my.client("crowd"))
            with pytest.raises(MySQLError):
                await my.client("one too many")
            run = await here.end(root.id)
            assert run.effect == "applied", run.error
        finally:
            if crowd:
                await crowd[-1].close()
                await asyncio.sleep(0.3)
            await execute(my.server, "set global max_connections = 800")


async def _let_in(server: MysqlServer) -> Any:
    """As soon as the server has noticed that the last of the superuser's connections is gone."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await server.connect()
            except MySQLError:
                await asyncio.sleep(0.1)


async def test_with_all_connections_taken_a_new_operator_gets_in_by_the_rescue_port(
    my: Scene, tmp_path: Path
) -> None:
    """Nothing was warm: the monitor's connection is, and the operator comes by the administrators' port."""
    assert isinstance(my.server, MysqlServer)
    root = (await my.chain(2))[0]
    operator = {**accounts.login(accounts.OPERATOR), "port": my.server.rescue_port}
    right = "SERVICE_CONNECTION_ADMIN" if my.server.flavor == "mysql" else "CONNECTION ADMIN"
    await execute(my.server, f"grant {right} on *.* to {accounts.OPERATOR}@'%'")
    target = target_of(my.server, operator=operator)
    crowd: list[Any] = []
    async with (
        open_ledger(f"sqlite:///{tmp_path}/audit.db", tmp_path / "journal") as ledger,
        open_engine(target) as engine,
    ):
        await rooted(engine, root.id)
        here = Warm(engine, Dispatcher(Registry(actions.ALL), ledger, Policy()))
        try:
            await execute(my.server, "set global max_connections = 30")
            with contextlib.suppress(MySQLError):
                while len(crowd) < 60:
                    crowd.append(await my.client("crowd"))
            thief = await _let_in(my.server)  # an agent with SUPER has the one extra connection
            run = await here.end(root.id)
            assert run.effect == "applied", run.error
            thief.close()
        finally:
            await here.dispatcher.close()
            if crowd:
                await crowd[-1].close()
                await asyncio.sleep(0.3)
            await execute(my.server, "set global max_connections = 800")


async def test_a_flush_that_waits_is_not_what_is_to_be_ended(my: Scene, tmp_path: Path) -> None:
    """The statement that uses the old version of the table is the root; ending the flush helps nobody."""
    assert isinstance(my.server, MysqlServer)
    reader = await my.client("report")
    reader.wait("select sleep(60) from orders limit 1")
    await asyncio.sleep(0.3)
    flusher = await my.server.connect(database=my.database)
    flushing = asyncio.create_task(_flush(flusher))
    await asyncio.sleep(0.3)
    late = await my.client("late")
    late.wait("select count(*) from orders")
    async with warm(my.server, tmp_path) as here:
        await rooted(here.engine, reader.id)
        run = await here.end(reader.id, "session.cancel")
        assert run.effect == "applied", run.error
    await asyncio.wait_for(flushing, 10)
    assert late.waiting is not None
    await asyncio.wait_for(late.waiting, 10)
    flusher.close()


async def _flush(connection: Any) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute("flush tables orders")
