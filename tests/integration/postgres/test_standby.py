"""A standby: replay that waits for its readers, feedback that holds the primary's horizon, slots in use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio

import actions
from console.audit.ledger import open_ledger
from console.dispatch.action import Approval, Watch
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.lease import Lease, environment
from console.dispatch.registry import Registry
from console.dispatch.scratch import (
    LOCAL_TRUST,
    ScratchServer,
    lease_for_postgres,
    scratch_postgres,
    start,
)
from console.engine.open import open_engine
from console.engine.port import Engine
from console.engine.postgres.engine import PostgresEngine
from console.engine.replicas import index_health
from console.errors import Exit, Refused
from console.model.blocking import LockNode
from console.model.horizon import HolderKind, Horizon
from console.model.indexes import Finding
from console.model.inventory import Wanted, differences
from console.model.policy import Policy
from console.model.tables import TableQuery
from console.model.target import EngineKind, Environment, Login, Target
from console.present.locks import notes
from console.present.reads import READS
from console.present.tables import details
from tests.command import Command
from tests.servers import places

SETUP = """
create role watcher login in role pg_monitor;
create role operator login in role pg_monitor, pg_signal_backend;
create role reader login in role pg_read_all_data;
create table orders (id int primary key, n int) with (autovacuum_enabled = off);
insert into orders select g, 0 from generate_series(1, 1000) g;
"""


class Couple(msgspec.Struct, frozen=True):
    primary: ScratchServer
    standby: ScratchServer

    def target(self, server: ScratchServer) -> Target:
        return Target(
            name="primary" if server is self.primary else "standby",
            engine=EngineKind.POSTGRES,
            host=str(server.socket_dir),
            port=server.port,
            database="postgres",
            environment=Environment.DEV,
            monitor=Login(user="watcher"),
            operator=Login(user="operator"),
        )


async def connect(server: ScratchServer, user: str = "postgres") -> Any:
    return await asyncpg.connect(
        host=str(server.socket_dir), port=server.port, user=user, database="postgres"
    )


@pytest_asyncio.fixture(params=places.POSTGRES)
async def couple(request: pytest.FixtureRequest) -> AsyncIterator[Couple]:
    if request.param not in str(request.config.getoption("--servers")):
        pytest.skip(f"{request.param} is not among --servers")
    settings = {"fsync": "off", "autovacuum": "off", "wal_level": "replica", "hot_standby": "on"}
    binaries = places.postgres_binaries(request.param)
    async with scratch_postgres(binaries=binaries, settings=settings, hba=LOCAL_TRUST) as primary:
        admin = await connect(primary)
        await admin.execute(SETUP)
        await admin.close()
        held = lease_for_postgres()
        try:
            yield Couple(primary, await copy(primary, held))
        finally:
            await held.close()


async def copy(primary: ScratchServer, held: Lease) -> ScratchServer:
    standby = msgspec.structs.replace(
        primary, root=held.root, data=held.folder("data"), socket_dir=held.folder("run")
    )
    await as_server(
        primary,
        *(
            str(primary.binaries / "pg_basebackup"),
            "-D",
            str(standby.data),
            "-X",
            "stream",
            "-c",
            "fast",
            "-R",
        ),
        *("-h", str(primary.socket_dir), "-p", str(primary.port), "-U", "postgres", "--no-sync"),
    )
    lines = (
        f"unix_socket_directories = '{standby.socket_dir}'",
        f"primary_conninfo = 'host={primary.socket_dir} port={primary.port} user=postgres"
        " application_name=db3'",
        "max_standby_streaming_delay = -1",
        "wal_receiver_status_interval = 1",
    )
    script = f"printf '%s\\n' \"$@\" >> {standby.data / 'postgresql.auto.conf'}"
    await as_server(primary, "sh", "-c", script, "sh", *lines)
    await start(standby)
    return standby


async def as_server(server: ScratchServer, *argv: str) -> None:
    options = server.account.of_children()
    process = await asyncio.create_subprocess_exec(*argv, cwd="/", **options)
    assert await process.wait() == 0


async def caught_up(couple: Couple) -> None:
    primary, standby = await connect(couple.primary), await connect(couple.standby)
    here = await primary.fetchval("select pg_current_wal_lsn()::text")
    async with asyncio.timeout(20):
        while not await standby.fetchval("select pg_last_wal_replay_lsn() >= $1::text::pg_lsn", here):
            await asyncio.sleep(0.1)
    await primary.close()
    await standby.close()


async def nodes_of(engine: Engine, waiter: str) -> dict[str, LockNode]:
    async with asyncio.timeout(20):
        while True:
            nodes = {node.session.kind: node for node in await engine.locks()}
            if waiter in nodes and nodes[waiter].edge:
                return nodes
            await asyncio.sleep(0.2)


async def horizon_with(engine: Engine, kind: HolderKind) -> Horizon:
    async with asyncio.timeout(20):
        while True:
            horizon = await engine.horizon()
            if any(one.kind is kind for one in horizon.holders):
                return horizon
            await asyncio.sleep(0.3)


def only(horizon: Horizon, wanted: Callable[[Any], bool]) -> Any:
    (one,) = [holder for holder in horizon.holders if wanted(holder)]
    return one


async def test_replay_waits_for_a_readers_lock_and_for_an_old_snapshot(couple: Couple) -> None:
    primary, reader = await connect(couple.primary), await connect(couple.standby)
    await caught_up(couple)
    async with open_engine(couple.target(couple.standby)) as engine:
        assert await engine.locks() == ()
        await reader.execute("begin isolation level repeatable read; select from orders")
        await primary.execute("begin; lock table orders in access exclusive mode; commit")
        nodes = await nodes_of(engine, "startup")
        assert nodes["startup"].blocked_by == (reader.get_server_pid(),)
        assert nodes["startup"].object == "public.orders"
        assert nodes["client backend"].root
        await reader.execute("rollback")
        await caught_up(couple)
        assert await engine.locks() == ()

        await reader.execute("begin isolation level repeatable read; select from pg_class limit 1")
        await primary.execute("update orders set n = n + 1")
        await primary.execute("vacuum orders")
        nodes = await nodes_of(engine, "startup")
        assert nodes["startup"].blocked_by == (reader.get_server_pid(),)
        assert nodes["startup"].edge == "hard"
        assert "snapshots" in (nodes["startup"].object or "")
        horizon = await engine.horizon()
        mine = only(horizon, lambda one: one.session and one.session.id == reader.get_server_pid())
        assert mine.kind is HolderKind.SNAPSHOT
        assert "standby" in horizon.notes[0]
        assert (await engine.transactions())[0].session.id == reader.get_server_pid()
        assert await engine.slots() == ()
        assert (await engine.deadlocks()).counted == 0
        await reader.execute("rollback")
        await caught_up(couple)
    await primary.close()
    await reader.close()


async def test_how_much_is_left_to_a_slot_of_a_standby_is_not_known(couple: Couple) -> None:
    """PostgreSQL tells a figure there, which grows with the position and not with what is left."""
    standby = await connect(couple.standby)
    await standby.execute("alter system set max_slot_wal_keep_size = '64MB'")
    await standby.execute("select pg_reload_conf()")
    await standby.execute("select pg_create_physical_replication_slot('casc', true)")
    try:
        for _ in range(50):
            if await standby.fetchval("select safe_wal_size from pg_replication_slots") is not None:
                break
            await asyncio.sleep(0.1)
        told = await standby.fetchval(
            "select safe_wal_size > 64 * 1024 * 1024 * 1.5 from pg_replication_slots"
        )
        async with open_engine(couple.target(couple.standby)) as engine:
            (slot,) = await engine.slots()
        assert told, "PostgreSQL counts it now: see slots.sql"
        assert (slot.name, slot.safe_bytes) == ("casc", None)
    finally:
        await standby.execute("select pg_drop_replication_slot('casc')")
        await standby.execute("alter system reset max_slot_wal_keep_size")
        await standby.execute("select pg_reload_conf()")
        await standby.close()


async def test_feedback_holds_the_primary_with_and_without_a_slot(couple: Couple) -> None:
    primary, standby, reader = (
        await connect(couple.primary),
        await connect(couple.standby),
        await connect(couple.standby),
    )
    await caught_up(couple)
    await standby.execute("alter system set hot_standby_feedback = on")
    await standby.execute("select pg_reload_conf()")
    await reader.execute("begin isolation level repeatable read; select from orders")
    for _ in range(4):
        await primary.execute("select pg_current_xact_id()")
    async with open_engine(couple.target(couple.primary)) as engine:
        horizon = await horizon_with(engine, HolderKind.STANDBY)
        one = only(horizon, lambda one: one.kind is HolderKind.STANDBY)
        assert (one.name, one.consumer, one.scope) == ("db3", "db3", "every table of every database")
        assert (one.age or 0) >= 4
        assert "standby db3" in one.remedy

        await primary.execute("select pg_create_physical_replication_slot('db3_slot')")
        await standby.execute("alter system set primary_slot_name = 'db3_slot'")
        await standby.execute("select pg_reload_conf()")
        horizon = await horizon_with(engine, HolderKind.SLOT)
        assert not [one for one in horizon.holders if one.kind is HolderKind.STANDBY]
        held = only(horizon, lambda one: one.kind is HolderKind.SLOT)
        assert (held.name, held.consumer, held.scope) == ("db3_slot", "db3", "every table of every database")
        assert "slot.drop name=db3_slot" in held.remedy
        (slot,) = await engine.slots()
        assert slot.reader is not None
        assert slot.active_pid == slot.reader.id
        assert (slot.reader.kind, slot.reader.application) == ("walsender", "db3")
        assert slot.xmin_age == held.age
    await reader.close()
    await standby.close()
    await primary.close()


async def test_the_reader_that_stops_replay_is_ended_on_the_standby(couple: Couple, tmp_path: Path) -> None:
    """A standby takes no writes, so what is recorded is recorded elsewhere; the kill itself works there."""
    reader, primary = await connect(couple.standby, "reader"), await connect(couple.primary)
    await reader.execute("begin; select count(*) from orders")
    await primary.execute("alter table orders add column late int")
    ledger = open_ledger(f"sqlite:///{tmp_path}/audit.db", tmp_path / "journal")
    async with ledger as opened, open_engine(couple.target(couple.standby)) as engine:
        dispatcher = Dispatcher(Registry(actions.ALL), opened, Policy())
        await nodes_of(engine, "startup")
        session = await engine.session(reader.get_server_pid())
        assert session is not None
        given = {"id": session.id, "started_at": session.started_at}
        plan = await dispatcher.plan("session.terminate", engine, given)
        assert plan.server.primary is False
        run = await dispatcher.apply(plan, engine, Approval(reason="replay waits"), watch=Watch(seconds=5))
        assert run.effect == "applied", run.error
        assert run.verify is not None
        assert run.verify.evidence["waiters_released"] == 1
        await dispatcher.close()
    await caught_up(couple)
    reader.terminate()
    await primary.close()


async def test_how_far_a_replica_is_behind_that_is_hidden_is_unknown(couple: Couple) -> None:
    """Its places are not told without pg_read_all_stats: it was 0 bytes behind."""
    await caught_up(couple)
    target = msgspec.structs.replace(couple.target(couple.primary), monitor=Login(user="reader"))
    async with open_engine(target) as engine:
        pulse = await engine.pulse()
        (health,) = await READS["health"](engine)
    assert (pulse.lag_seconds, pulse.lag_bytes) == (None, None)
    assert "lag: GRANT pg_monitor" in pulse.unknown[0]
    assert health["stuck_commits"] is None, "who waits is hidden: none of them was seen to wait"
    standby = msgspec.structs.replace(couple.target(couple.standby), monitor=Login(user="reader"))
    async with open_engine(standby) as engine, asyncio.timeout(30):
        while (pulse := await engine.pulse()).lag_bytes != 0:  # the primary writes a little by itself
            await asyncio.sleep(0.2)
    # Whether it streams is hidden, too: after a quiet hour it was called an hour behind.
    assert (pulse.lag_seconds, pulse.lag_bytes, pulse.halted, pulse.follows) == (None, 0, "", True)


@pytest.mark.parametrize("couple", ["pg15"], indirect=True)  # the others bring no pg_receivewal
async def test_what_only_receives_is_as_far_as_it_has_written(couple: Couple) -> None:
    """It replays nothing: its replay lag grew for ever, and the Overview called it bad."""
    held, primary = lease_for_postgres(), couple.primary
    program = couple.primary.binaries / "pg_receivewal"
    argv = [
        str(program),
        "-D",
        str(held.folder("wal")),
        "-h",
        str(primary.socket_dir),
        "-p",
        str(primary.port),
    ]
    argv += ["-U", "postgres", "--no-loop"]
    writer = await connect(primary)
    process = await asyncio.create_subprocess_exec(
        *argv, cwd="/", env=environment(), stderr=asyncio.subprocess.DEVNULL, **held.account.of_children()
    )
    try:
        async with open_engine(couple.target(primary)) as engine, asyncio.timeout(30):
            here = "select replay_lsn is null and replay_lag > '2 s' from pg_stat_replication"
            receiving = f"{here} where application_name = 'pg_receivewal'"
            while not await writer.fetchval(receiving):
                await writer.execute("update orders set n = n + 1 where id = 1")
                await asyncio.sleep(0.2)
            await caught_up(couple)
            while (load := await engine.load()).lag_seconds != 0.0:
                assert load.replica != "pg_receivewal" or (load.lag_seconds or 0.0) < 2.0, load
                await asyncio.sleep(0.1)
            assert load.lag_bytes == 0
    finally:
        process.terminate()
        await process.wait()
        await writer.close()
        await held.close()


async def test_a_standby_is_looked_at_for_damage_and_the_rest_is_sent_to_its_primary(
    couple: Couple, tmp_path: Path
) -> None:
    """Its files are its own: what its primary looks at says nothing of them."""
    primary = await connect(couple.primary)
    await primary.execute("create extension if not exists amcheck")
    await primary.execute("grant execute on all functions in schema public to operator")
    await caught_up(couple)
    ledger = open_ledger(f"sqlite:///{tmp_path}/audit.db", tmp_path / "journal")
    async with ledger as opened, open_engine(couple.target(couple.standby)) as engine:
        dispatcher = Dispatcher(Registry(actions.ALL), opened, Policy())
        plan = await dispatcher.plan("table.check", engine, {"table": "orders"})
        assert plan.server.primary is False
        run = await dispatcher.apply(plan, engine, Approval(reason="is it sound?"))
        assert (run.effect, run.exit) == ("no_op", Exit.OK), run.error
        assert run.verify is not None
        assert run.verify.evidence["checked"] >= 1
        with pytest.raises(Refused, match="standby or read-only"):
            await dispatcher.plan("table.analyze", engine, {"table": "orders"})
        await dispatcher.close()
    await primary.close()


async def test_maintenance_reads_tell_on_both_sides_what_they_can(couple: Couple) -> None:
    primary = await connect(couple.primary)
    await primary.execute("create table wide (id serial, v text); insert into wide (v) values ('x')")
    await primary.execute("create unlogged table fleeting (id serial)")
    await primary.execute("vacuum analyze")
    await caught_up(couple)
    engine = PostgresEngine(couple.target(couple.primary))
    standby = PostgresEngine(couple.target(couple.standby))
    try:
        async with asyncio.timeout(20):
            while (load := await engine.load()).lag_seconds is None:
                await asyncio.sleep(0.2)
        assert load.replica == "db3"
        assert load.lag_bytes is not None
        # The primary writes a little of its own accord: a look may come between its arrival and its replay.
        async with asyncio.timeout(20):
            while (load := await standby.load()).lag_bytes != 0:
                await asyncio.sleep(0.1)
        assert (load.replica, load.lag_seconds) == ("this standby", 0.0)

        there = await standby.tables(TableQuery())
        here = await engine.tables(TableQuery())
        assert {one.name for one in there.tables} == {one.name for one in here.tables}
        assert there.wraparound is not None
        assert here.wraparound is not None
        assert there.wraparound.xid.age == here.wraparound.xid.age
        assert there.why == ""
        assert "standby" in there.notes[0], "the pane has room for the first"
        orders = next(one for one in there.tables if one.name == "orders")
        assert (orders.rows, orders.dead, orders.why) == (1000, None, "")
        assert (orders.modified, orders.inserted, orders.vacuums, orders.analyzes) == (None,) * 4
        assert not orders.stale_statistics, "a standby counts nothing, and knows nothing of that"
        assert dict(details(there, orders))["vacuum"] == "known to the primary only"
        assert (await standby.progress()).work == ()
        health = await standby.index_health()
        assert {one.table for one in health.findings} == {"wide", "fleeting"}  # without a primary key
        assert [one.name for one in await standby.indexes(TableQuery())] == ["orders_pkey"]
        assert any("1 standbys stream" in note for note in (await engine.index_health()).notes)
    finally:
        await engine.close()
        await standby.close()
        await primary.close()


async def test_an_index_that_only_the_standby_uses_is_not_called_unused(couple: Couple) -> None:
    primary = await connect(couple.primary)
    await primary.execute("create index orders_n on orders (n); create index orders_m on orders ((n + id))")
    await primary.execute("analyze orders")
    await primary.close()
    await caught_up(couple)
    standby = await connect(couple.standby)
    await standby.execute("set enable_seqscan = off")
    await standby.fetch("select id from orders where n = 0 limit 1")
    scans = "select indexrelname::text, idx_scan from pg_stat_user_indexes where idx_scan > 0"
    async with asyncio.timeout(20):
        while not (used := dict(await standby.fetch(scans))):
            await asyncio.sleep(0.2)
    await standby.close()
    async with (
        open_engine(couple.target(couple.primary)) as here,
        open_engine(couple.target(couple.standby)) as there,
    ):
        alone = await here.index_health()
        both = await index_health(here, [there])
    unused = {one.name for one in alone.findings if one.finding is Finding.UNUSED}
    left = {one.name for one in both.findings if one.finding is Finding.UNUSED}
    assert set(used) <= unused | {"orders_pkey"}
    assert left == unused - set(used)
    assert any("used on standby" in note for note in both.notes)


async def test_maintenance_is_refused_on_a_standby_and_waits_for_one_that_lags(
    couple: Couple, tmp_path: Path
) -> None:
    async with (
        open_ledger(f"sqlite:///{tmp_path}/audit.db", tmp_path / "journal") as ledger,
        open_engine(couple.target(couple.standby)) as there,
        open_engine(couple.target(couple.primary)) as here,
    ):
        dispatcher = Dispatcher(Registry(actions.ALL), ledger, Policy())
        refused: dict[str, dict[str, Any]] = {
            "table.vacuum": {"all": True},
            "index.create": {"table": "orders", "column": "n"},
        }
        for name, given in refused.items():
            with pytest.raises(Refused, match="standby"):
                await dispatcher.plan(name, there, given)
        target = msgspec.structs.replace(couple.target(couple.primary), operator=Login(user="postgres"))
        standby, primary = await connect(couple.standby), await connect(couple.primary)
        await standby.execute("select pg_wal_replay_pause()")
        here.target = target  # type: ignore[misc]
        await primary.execute("update orders set n = n + 1")
        async with asyncio.timeout(30):
            while ((await here.load()).lag_seconds or 0.0) < 1.0:
                await asyncio.sleep(0.2)
        heard: list[str] = []
        plan = await dispatcher.plan("table.vacuum", here, {"table": "orders", "max_lag": "500ms"})
        watch = Watch(seconds=0, tell=heard.append)
        running = asyncio.create_task(dispatcher.apply(plan, here, Approval(reason="a test"), watch=watch))
        async with asyncio.timeout(20):
            while not any("behind" in line for line in heard):
                await asyncio.sleep(0.1)
        assert not running.done()
        await standby.execute("select pg_wal_replay_resume()")
        run = await asyncio.wait_for(running, 40)
        assert run.exit is Exit.OK
        await dispatcher.close()
        await standby.close()
        await primary.close()


async def test_what_is_in_a_database_is_the_same_on_both_sides_but_for_unlogged_rows(couple: Couple) -> None:
    admin = await connect(couple.primary)
    await admin.execute("create unlogged table quick (id int); insert into quick values (1)")
    await admin.close()
    await caught_up(couple)
    reader = Login(user="reader")
    found = []
    for server in (couple.primary, couple.standby):
        target = msgspec.structs.replace(couple.target(server), monitor=reader)
        async with open_engine(target) as engine, engine.snapshot("postgres") as held:
            assert held.id
            found.append((await held.inventory(), await held.contents(Wanted(seconds=20)), held.position))
    (inventory, contents, position), (other, others, replayed) = found
    assert not differences(inventory, other)
    assert contents.by_name()["public.orders"] == others.by_name()["public.orders"]
    assert contents.by_name()["public.quick"].rows == 1
    unlogged = others.by_name()["public.quick"]
    assert (unlogged.rows, unlogged.unlogged) == (None, True)
    assert "standby" in unlogged.why
    assert position.count("/") == replayed.count("/") == 1


async def test_doctor_compares_what_it_is_with_what_the_config_says(couple: Couple, tmp_path: Path) -> None:
    """A replica that is named as one is no problem; a label that a failover left behind is one."""

    def described(server: ScratchServer, **labels: str) -> dict[str, Any]:
        return {
            "engine": "postgres", "host": str(server.socket_dir), "port": server.port,
            "database": "postgres", "environment": "dev", "monitor": {"user": "watcher"}, "labels": labels,
        }  # fmt: skip

    targets = {
        "main": described(couple.primary),
        "named": described(couple.standby, replica_of="main"),
        "unnamed": described(couple.standby),
        "late": described(couple.primary, replica_of="main"),
    }
    done = await Command(tmp_path, targets).run("doctor", "--json")
    seen = {
        row["name"].split()[0]: {check["name"]: check for check in row["checks"]}
        for row in done.rows
        if row["name"].split()[0] in targets
    }
    roles = {name: checks["role of the server"] for name, checks in seen.items()}
    assert {name: role["ok"] for name, role in roles.items()} == {
        "main": True, "named": True, "unnamed": False, "late": False,
    }  # fmt: skip
    assert "a replica of main" in roles["named"]["detail"]
    assert "replica_of: NAME" in roles["unnamed"]["hint"]
    assert "take `replica_of` from the labels of late" in roles["late"]["hint"]
    here, there = seen["main"]["accounts"]["hint"], seen["named"]["accounts"]["hint"]
    assert here.startswith("GRANT "), "watcher may not read how passwords are kept"
    assert there == f"on its primary: {here}"


async def test_replay_that_is_paused_or_gets_nothing_is_told(couple: Couple) -> None:
    """Its lag says nothing of it while the primary writes little."""
    await caught_up(couple)
    standby = await connect(couple.standby)
    async with (
        open_engine(couple.target(couple.standby)) as there,
        open_engine(couple.target(couple.primary)) as here,
    ):
        assert ((await there.pulse()).halted, (await there.pulse()).follows) == ("", True)
        assert (await here.pulse()).follows is False
        await standby.execute("select pg_wal_replay_pause()")
        assert (await there.pulse()).halted == "replay is paused on this standby"
        load = await there.load()
        assert (load.halted, load.why) == (True, "replay is paused on this standby")
        await standby.execute("select pg_wal_replay_resume()")
        await standby.execute("alter system set primary_conninfo = 'host=/nowhere'")
        await standby.execute("select pg_reload_conf()")
        async with asyncio.timeout(20):
            while await standby.fetchval("select count(*) from pg_stat_wal_receiver"):
                await asyncio.sleep(0.1)
        assert (await there.pulse()).halted == "nothing streams to this standby"
    await standby.close()


async def test_a_standby_that_replayed_all_of_it_is_not_behind_any_more(couple: Couple) -> None:
    """pg_stat_replication goes on telling for seconds how far behind it was."""
    await caught_up(couple)
    primary, standby = await connect(couple.primary), await connect(couple.standby)
    level = """select replay_lag > '1 s' as old, replay_lsn >= pg_current_wal_lsn() as level
                 from pg_stat_replication"""
    await standby.execute("select pg_wal_replay_pause()")
    await primary.execute("update orders set n = n + 1")
    await asyncio.sleep(1.5)
    await standby.execute("select pg_wal_replay_resume()")
    async with open_engine(couple.target(couple.primary)) as engine, asyncio.timeout(30):
        while not (row := await primary.fetchrow(level))["level"]:
            await asyncio.sleep(0.02)
        assert row["old"], "the server tells of a lag that is over"
        load = await engine.load()
        assert load.lag_bytes or load.lag_seconds == 0.0, load
    await primary.close()
    await standby.close()


async def test_commits_that_wait_for_a_standby_that_is_gone_are_told(couple: Couple) -> None:
    """They wait for no lock, so that nothing told of them; those behind their row locks did."""
    primary, first, second = [await connect(couple.primary) for _ in range(3)]
    await primary.execute("alter system set synchronous_standby_names = 'FIRST 2 (db3, ghost)'")
    await primary.execute("select pg_reload_conf()")
    async with open_engine(couple.target(couple.primary)) as engine, asyncio.timeout(30):
        while (commits := (await engine.pulse()).commits) is None or commits.there != 1:
            await asyncio.sleep(0.1)
        assert (commits.wanted, commits.waiting, commits.seconds) == (2, 0, None)
        waiting = [
            asyncio.create_task(one.execute("update orders set n = 7 where id = 1"))
            for one in (first, second)
        ]
        while (commits := (await engine.pulse()).commits) is None or not commits.waiting:
            await asyncio.sleep(0.1)
        assert (commits.standbys, commits.waiting) == ("FIRST 2 (db3, ghost)", 1)
        assert commits.seconds is not None
        while not (nodes := await engine.locks()):
            await asyncio.sleep(0.1)
        (health,) = await READS["health"](engine)
        assert health["stuck_commits"] == 1
        (said,) = notes(nodes)
        assert "its commit waits for a synchronous standby" in said
        await primary.execute("alter system reset synchronous_standby_names")
        await primary.execute("select pg_reload_conf()")
        await asyncio.gather(*waiting)
        assert (await engine.pulse()).commits is None
        assert notes(await engine.locks()) == []
    for one in (primary, first, second):
        await one.close()


async def test_a_commit_in_a_long_statement_has_not_waited_since_that_began(couple: Couple) -> None:
    """A procedure that commits batch after batch was called bad, as if its commits hung since it began."""
    primary, batches = await connect(couple.primary), await connect(couple.primary)
    await primary.execute("alter system set synchronous_standby_names = 'ghost'")
    await primary.execute("select pg_reload_conf()")
    work = "do $$ begin perform pg_sleep(2); commit; update orders set n = 8 where id = 2; end $$"
    async with open_engine(couple.target(couple.primary)) as engine, asyncio.timeout(30):
        while (await engine.pulse()).commits is None:
            await asyncio.sleep(0.1)
        running = asyncio.create_task(batches.execute(work))
        while (commits := (await engine.pulse()).commits) is None or not commits.waiting:
            await asyncio.sleep(0.1)
        since = "select extract(epoch from clock_timestamp() - xact_start)::float8 from pg_stat_activity"
        lasting = await primary.fetchval(f"{since} where pid = $1", batches.get_server_pid())
        assert commits.seconds is not None
        assert 0.0 <= commits.seconds <= lasting
        await primary.execute("alter system reset synchronous_standby_names")
        await primary.execute("select pg_reload_conf()")
        await running
    for one in (primary, batches):
        await one.close()


async def test_a_vacuum_that_a_standbys_query_keeps_from_its_work_says_so(
    couple: Couple, tmp_path: Path
) -> None:
    """It was called done, and the plan told of dead rows as if they went."""
    primary, standby = await connect(couple.primary), await connect(couple.standby)
    reader = await connect(couple.standby)
    await caught_up(couple)
    await standby.execute("alter system set hot_standby_feedback = on")
    await standby.execute("select pg_reload_conf()")
    await reader.execute("begin isolation level repeatable read; select from orders")
    await primary.execute("update orders set n = n + 1")
    target = msgspec.structs.replace(couple.target(couple.primary), operator=Login(user="postgres"))
    ledger = open_ledger(f"sqlite:///{tmp_path}/audit.db", tmp_path / "journal")
    async with ledger as opened, open_engine(target) as engine:
        dispatcher = Dispatcher(Registry(actions.ALL), opened, Policy())
        await horizon_with(engine, HolderKind.STANDBY)
        await primary.execute("update orders set n = n + 1")
        plan = await dispatcher.plan("table.vacuum", engine, {"table": "orders"})
        assert any("standby feedback db3 holds cleanup back" in one for one in plan.warnings), plan.warnings
        run = await dispatcher.apply(plan, engine, Approval(reason="dead rows"), watch=Watch(seconds=0))
        assert (run.effect, run.exit) == ("applied", Exit.OK), run.error
        assert run.verify is not None
        left = run.verify.evidence["dead_rows_left"]
        assert left.endswith("in 1 table, which standby feedback db3 holds back")
        full = await dispatcher.plan("table.vacuum", engine, {"table": "orders", "full": True})
        assert any("are written again" in one for one in full.warnings)
        await reader.execute("rollback")
        async with asyncio.timeout(30):
            while any(one.age for one in (await engine.horizon()).holders):
                await asyncio.sleep(0.3)
        plan = await dispatcher.plan("table.vacuum", engine, {"table": "orders"})
        assert not any("holds cleanup back" in one for one in plan.warnings)
        run = await dispatcher.apply(plan, engine, Approval(reason="dead rows"), watch=Watch(seconds=0))
        assert run.verify is not None
        assert "dead_rows_left" not in run.verify.evidence
        await dispatcher.close()
    for one in (primary, standby, reader):
        await one.close()
