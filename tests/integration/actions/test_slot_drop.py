"""slot.drop on real servers, with a real walsender that keeps coming back."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import actions
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.registry import Registry
from console.engine.open import open_operator
from console.engine.port import Statement
from console.errors import Exit, Refused, Stale, UsageError
from console.model.policy import Policy
from console.model.target import Target
from tests.command import Command
from tests.integration.actions.conftest import Desk, desk_on, superuser, until
from tests.servers import accounts
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

STANDBY = "dbdeck_test_standby"


@pytest_asyncio.fixture
async def desk(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Desk]:
    """The operator with REPLICATION, which dropping a slot needs."""
    await superuser(postgres, f"alter role {accounts.OPERATOR} replication")
    async with desk_on(postgres, tmp_path) as made:
        yield made
    await superuser(
        postgres,
        f"alter role {accounts.OPERATOR} noreplication",
        "select pg_terminate_backend(active_pid) from pg_replication_slots where active_pid is not null",
    )
    await drop_all(postgres)


async def drop_all(server: PostgresServer) -> None:
    async def none() -> bool:
        left = await superuser(
            server,
            "select slot_name, coalesce(database, 'postgres') from pg_replication_slots where not active",
        )
        for name, database in left:
            await superuser(server, f"select pg_drop_replication_slot('{name}')", database=database)
        return await superuser(server, "select count(*) from pg_replication_slots") == [(0,)]

    await until(none)


async def physical(desk: Desk, name: str = "standby1") -> str:
    await desk.as_superuser(f"select pg_create_physical_replication_slot('{name}', true)")
    return name


@asynccontextmanager
async def receiver(server: PostgresServer, folder: Path, slot: str) -> AsyncIterator[None]:
    """pg_receivewal: as soon as it is disconnected it tries again, every 5 s."""
    await admit_replication(server)
    process = await asyncio.create_subprocess_exec(
        str(server.binaries / "pg_receivewal"),
        *("-h", server.host, "-p", str(server.port), "-U", STANDBY, "-D", str(folder), "-S", slot),
        "--no-password",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PGAPPNAME": "wal_archiver"},
    )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def admit_replication(server: PostgresServer) -> None:
    """The standby's role over the socket; `all` in pg_hba.conf does not mean replication."""
    await superuser(
        server,
        f"do $$ begin create role {STANDBY} login replication; "
        "exception when duplicate_object or unique_violation then null; end $$",
    )
    ((name,),) = await superuser(server, "show hba_file")
    rules = Path(name)
    line = f"local replication {STANDBY} trust\n"
    if line not in rules.read_text():
        rules.write_text(line + rules.read_text())
        await superuser(server, "select pg_reload_conf()")
        await asyncio.sleep(0.3)


async def test_on_a_server_without_slots_it_is_said_whom_the_action_is_for(
    mysql: MysqlServer, tmp_path: Path
) -> None:
    async with desk_on(mysql, tmp_path) as desk:
        with pytest.raises(UsageError, match=r"slot\.drop is for postgresql, and this is M"):
            await desk.plan("slot.drop", name="standby_1")


async def test_an_inactive_physical_slot_is_dropped_once(desk: Desk) -> None:
    name = await physical(desk)
    plan = await desk.plan("slot.drop", name=name)
    assert any("for good" in line for line in plan.warnings)
    run = await desk.apply(plan)
    assert (run.effect, run.exit, run.error) == ("applied", Exit.OK, None)
    assert await desk.as_superuser("select count(*) from pg_replication_slots") == [(0,)]
    with pytest.raises(Stale, match="no replication slot"):
        await desk.plan("slot.drop", name=name)


async def test_a_logical_slot_of_another_database_is_dropped_from_there(desk: Desk) -> None:
    database = await desk.server.new_database()
    await desk.as_superuser(
        "select pg_create_logical_replication_slot('cdc', 'test_decoding')", database=database
    )
    plan = await desk.plan("slot.drop", name="cdc")
    assert any("test_decoding" in line and database in line for line in plan.forecast), plan.forecast
    run = await desk.apply(plan)
    assert (run.effect, run.exit) == ("applied", Exit.OK), run
    assert await desk.as_superuser("select count(*) from pg_replication_slots") == [(0,)]


async def test_wal_that_another_slot_keeps_is_not_told_as_freed(desk: Desk) -> None:
    """The plan promised all that a slot keeps, though the others keep it, too."""
    await physical(desk, "first")
    await physical(desk, "second")
    for _ in range(2):
        await desk.as_superuser("select pg_switch_wal()")
        await desk.as_superuser("checkpoint")
    assert any(line.startswith("frees no WAL: the slot ") for line in (await forecast(desk, "first")))
    await physical(desk, "late")
    assert (await desk.run("slot.drop", name="second")).exit is Exit.OK
    (said,) = [line for line in await forecast(desk, "first") if line.startswith("frees up to")]
    assert "of WAL at the next checkpoint" in said
    assert (await desk.run("slot.drop", name="first")).exit is Exit.OK
    assert not any("the slot" in line for line in await forecast(desk, "late"))


async def forecast(desk: Desk, name: str) -> tuple[str, ...]:
    return (await desk.plan("slot.drop", name=name)).forecast


async def test_a_slot_that_is_lost_is_not_said_to_hold_vacuum(desk: Desk) -> None:
    """The server shows its numbers still, and passes over them."""
    await desk.as_superuser("alter system set max_slot_wal_keep_size = '1MB'")
    await desk.as_superuser("select pg_reload_conf()")
    await desk.as_superuser("select pg_create_logical_replication_slot('gone', 'pgoutput')")
    try:

        async def lost() -> bool:
            await desk.as_superuser("select pg_current_xact_id()")
            await desk.as_superuser("select pg_switch_wal()")
            await desk.as_superuser("checkpoint")
            seen = await desk.as_superuser("select wal_status from pg_replication_slots")
            return seen == [("lost",)]

        await until(lost)
        shown = await desk.as_superuser("select age(catalog_xmin) from pg_replication_slots")
        assert shown[0][0] > 0
        held = [one.name for one in (await desk.engine.horizon()).holders]
        assert "gone" not in held
        told = await forecast(desk, "gone")
        assert not any("keeps vacuum back" in line or "WAL" in line for line in told), told
    finally:
        await desk.as_superuser("alter system reset max_slot_wal_keep_size")
        await desk.as_superuser("select pg_reload_conf()")


async def test_a_slot_that_was_read_since_the_plan_is_stale(desk: Desk) -> None:
    name = await physical(desk)
    plan = await desk.plan("slot.drop", name=name)
    await desk.as_superuser(
        "select pg_switch_wal()",
        f"select pg_replication_slot_advance('{name}', pg_current_wal_lsn())",
    )
    with pytest.raises(Stale, match="restart_lsn"):
        await desk.apply(plan)
    assert await desk.as_superuser("select count(*) from pg_replication_slots") == [(1,)]


async def test_an_active_slot_wants_a_word_and_then_loses_its_consumer(desk: Desk, tmp_path: Path) -> None:
    name = await physical(desk)
    folder = tmp_path / "wal"
    folder.mkdir()
    assert isinstance(desk.server, PostgresServer)
    async with receiver(desk.server, folder, name):

        async def active() -> bool:
            return any(one.active_pid for one in await desk.engine.slots())

        await until(active)
        with pytest.raises(Refused, match="terminate_consumer=true"):
            await desk.run("slot.drop", name=name)
        plan = await desk.plan("slot.drop", name=name, terminate_consumer=True)
        assert len(plan.statements) == 2
        run = await desk.apply(plan)
        assert (run.effect, run.exit) == ("applied", Exit.OK), run
        assert (await desk.kinds()).count("step") >= 2
    assert await desk.as_superuser("select count(*) from pg_replication_slots") == [(0,)]


async def test_a_saved_plan_holds_while_its_consumer_comes_back(desk: Desk, tmp_path: Path) -> None:
    name = await physical(desk)
    folder = tmp_path / "wal"
    folder.mkdir()
    assert isinstance(desk.server, PostgresServer)
    pid = 0

    async def another() -> bool:
        """Seen as who it is, too: it tells its name a moment after it came."""
        slot = next(one for one in await desk.engine.slots() if one.name == name)
        return (
            slot.active_pid not in (None, pid) and slot.reader is not None and bool(slot.reader.application)
        )

    async with receiver(desk.server, folder, name):
        await until(another)
        saved = await desk.plan("slot.drop", name=name, terminate_consumer=True)
        pid = saved.subject["slot"]["active_pid"]
        await desk.as_superuser(f"select pg_terminate_backend({pid})")
        await until(another)
        vouched = await desk.dispatcher.vouched(saved, desk.engine)
        assert vouched.subject["slot"]["active_pid"] != pid
        assert (vouched.hash, vouched.statements) == (saved.hash, saved.statements)
        run = await desk.apply(vouched)
        assert (run.effect, run.exit) == ("applied", Exit.OK), run


async def test_a_saved_plan_holds_while_the_slot_keeps_more_wal(desk: Desk) -> None:
    name = await physical(desk)
    saved = await desk.plan("slot.drop", name=name)
    (slot,) = await desk.engine.slots()
    await desk.as_superuser("alter system set max_wal_size = '32MB'", "select pg_reload_conf()")
    try:
        for _ in range(4):
            await desk.as_superuser("select pg_logical_emit_message(false, 'x', 'y'), pg_switch_wal()")
        (grown,) = await desk.engine.slots()
        assert grown.wal_status != slot.wal_status
        vouched = await desk.dispatcher.vouched(saved, desk.engine)
        assert vouched.hash == saved.hash
    finally:
        await desk.as_superuser("alter system reset max_wal_size", "select pg_reload_conf()")


class _After:
    """An operator's connection; before each drop of a slot something happens on the server."""

    def __init__(self, connection: Any, first: Callable[[], Awaitable[None]]) -> None:
        self._connection = connection
        self._first = first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def run(self, statement: Statement, *, timeout: float | None) -> Any:
        if "pg_drop_replication_slot" in statement.sql:
            await self._first()
        return await self._connection.run(statement, timeout=timeout)


@pytest.mark.parametrize("moved", [False, True], ids=["reads from it", "has read from it"])
async def test_a_consumer_that_comes_after_the_last_look_at_an_idle_slot_keeps_it(
    desk: Desk, tmp_path: Path, moved: bool
) -> None:
    """Nobody agreed to end it, whatever was said of consumers: there was none."""
    name = await physical(desk)
    assert isinstance(desk.server, PostgresServer)
    folder = tmp_path / "wal"
    folder.mkdir()
    async with AsyncExitStack() as stack:

        async def comes() -> None:
            if moved:
                forth = f"select pg_replication_slot_advance('{name}', pg_current_wal_lsn())"
                await desk.as_superuser("select pg_switch_wal()", forth)
                return
            await stack.enter_async_context(receiver(desk.server, folder, name))  # type: ignore[arg-type]
            active = "select count(*) from pg_replication_slots where active"

            async def reads() -> bool:
                return await desk.as_superuser(active) == [(1,)]

            await until(reads)

        @asynccontextmanager
        async def opener(target: Target) -> AsyncIterator[Any]:
            async with open_operator(target) as connection:
                yield _After(connection, comes)

        desk.dispatcher = Dispatcher(Registry(actions.ALL), desk.ledger, Policy(), opener=opener)
        run = await desk.run("slot.drop", name=name, terminate_consumer=True)
        assert (run.effect, run.exit) == ("none", Exit.FAILED), run
        assert run.error is not None
        assert ("its position moved" if moved else "a consumer reads from it now") in run.error.message
        assert (run.error.kind, "terminate_consumer=true" in run.error.hint) == ("stale", True)
        assert await desk.as_superuser("select active from pg_replication_slots") == [(not moved,)]
        await desk.dispatcher.close()


async def test_a_consumer_that_is_always_back_first_is_named(desk: Desk, tmp_path: Path) -> None:
    """Its place is taken by others of the same name, so that no drop ever finds the slot free."""
    name = await physical(desk)
    assert isinstance(desk.server, PostgresServer)
    folder = tmp_path / "wal"
    folder.mkdir()
    stop = asyncio.Event()

    async def busy(place: int) -> None:
        own = folder / str(place)
        own.mkdir()
        while not stop.is_set():
            async with receiver(desk.server, own, name):  # type: ignore[arg-type]
                await asyncio.sleep(0.4)

    tasks = [asyncio.create_task(busy(place)) for place in range(6)]

    async def active() -> bool:
        return any(one.active_pid for one in await desk.engine.slots())

    try:
        await until(active)
        run = None
        for _ in range(10):
            try:
                run = await desk.run("slot.drop", name=name, terminate_consumer=True)
            except (Stale, Refused):
                continue
            if run.error is None or run.error.kind != "stale":  # planned while it was between two of them
                break
    finally:
        stop.set()
        await asyncio.gather(*tasks)
    assert run is not None
    there = await desk.as_superuser("select count(*) from pg_replication_slots")
    if run.exit == Exit.OK:
        assert there == [(0,)]
    else:
        assert (run.effect, run.exit, there) == ("none", Exit.FAILED, [(1,)]), run
        assert run.error is not None
        assert "stop the consumer" in run.error.hint, run


async def test_without_replication_the_grant_is_named(desk: Desk) -> None:
    name = await physical(desk)
    await desk.as_superuser(f"alter role {accounts.OPERATOR} noreplication")
    run = await desk.run("slot.drop", name=name)
    assert (run.effect, run.exit) == ("none", Exit.FAILED), run
    assert run.error is not None
    assert run.error.hint == f"ALTER ROLE {accounts.OPERATOR} REPLICATION;"


async def test_the_command_drops_a_slot(desk: Desk, tmp_path: Path) -> None:
    name = await physical(desk)
    command = Command(tmp_path, {"t": desk.server.target_dict()})
    words = ("-t", "t", "--json", "--yes", "--reason", "a test", f"name={name}")
    done = await command.run("apply", "slot.drop", *words)
    assert (done.code, done.document["effect"]) == (0, "applied"), done
    assert (await command.run("apply", "slot.drop", *words)).code == Exit.STALE
