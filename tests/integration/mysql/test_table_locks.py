"""Who is in the way of work on a table, how busy the server is, and where its files lie."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from console.engine.mysql.engine import MysqlEngine
from console.errors import PrivilegeMissing, UsageError
from console.model.sessions import State
from tests.integration.mysql.conftest import Crowd, a_target
from tests.integration.mysql.test_tables import bare

# What the server remarks on, of the tests' own statements, is nobody's business.
pytestmark = pytest.mark.filterwarnings("ignore::pymysql.err.Warning")


async def test_holders_and_waiters_of_the_tables_asked_for(crowd: Crowd, engine: MysqlEngine) -> None:
    root = await crowd.root()
    await root.ask(f"create table {crowd.database}.other (id int primary key)")
    reader, changer, elsewhere = await crowd.join(), await crowd.root(), await crowd.join()
    await reader.ask("begin", "select * from orders")
    await elsewhere.ask("begin", "select * from other")
    changer.start(f"alter table {crowd.table} add column more int")
    await asyncio.sleep(0.5)
    locks = await engine.table_locks([(crowd.database, "orders")])
    assert {(one.session.id, one.granted) for one in locks} >= {(reader.id, True), (changer.id, False)}
    assert elsewhere.id not in {one.session.id for one in locks}
    assert {one.table for one in locks} == {crowd.table}
    held = {one.session.id: one for one in locks if one.granted}[reader.id]
    assert held.mode == "SHARED_READ"
    assert held.session.state is State.IDLE_IN_TRANSACTION
    assert {one.mode for one in locks if not one.granted} == {"EXCLUSIVE"}
    assert await engine.table_locks([]) == ()


async def test_a_global_read_lock_is_in_the_way_of_every_table(crowd: Crowd, engine: MysqlEngine) -> None:
    locker = await crowd.root()
    await locker.ask("flush tables with read lock")
    locks = await engine.table_locks([(crowd.database, "orders")])
    assert {one.session.id for one in locks} == {locker.id}
    assert {one.table for one in locks} == {crowd.table}


async def test_a_backup_that_lets_no_table_be_changed_is_in_the_way(
    crowd: Crowd, engine: MysqlEngine
) -> None:
    backup = await crowd.root()
    if crowd.server.flavor == "mysql":
        await backup.ask("lock instance for backup")
    else:
        await backup.ask("backup stage start", "backup stage block_ddl")
    locks = await engine.table_locks([(crowd.database, "orders")])
    assert {one.session.id for one in locks} == {backup.id}


async def test_locks_that_are_not_recorded_are_unknown(crowd: Crowd, engine: MysqlEngine) -> None:
    root, reader = await crowd.root(), await crowd.join()
    await reader.ask("begin", "select * from orders")
    instrument = (
        "update performance_schema.setup_instruments set enabled = '{}' "
        "where name = 'wait/lock/metadata/sql/mdl'"
    )
    await root.ask(instrument.format("NO"))
    try:
        with pytest.raises(PrivilegeMissing) as missing:
            await engine.table_locks([(crowd.database, "orders")])
        assert "setup_instruments" in missing.value.hint
        if crowd.server.flavor == "mariadb":
            await root.ask("install soname 'metadata_lock_info'")
            try:
                locks = await engine.table_locks([(crowd.database, "orders")])
                assert [(one.session.id, one.mode) for one in locks] == [(reader.id, "SHARED_READ")]
            finally:
                await root.ask("uninstall soname 'metadata_lock_info'")
    finally:
        await root.ask(instrument.format("YES"))


async def test_load_counts_running_statements_without_ours(crowd: Crowd, engine: MysqlEngine) -> None:
    before = await engine.load()
    sleepers = [await crowd.join() for _ in range(3)]
    for one in sleepers:
        one.start("select sleep(20)")
    await asyncio.sleep(0.3)
    after = await engine.load()
    assert after.running - before.running == 3
    assert (after.lag_seconds, after.replica) == (None, "")
    assert "source" in after.why


async def test_a_replica_that_does_not_run_has_no_lag_of_zero(crowd: Crowd, engine: MysqlEngine) -> None:
    root = await crowd.root()
    if crowd.server.flavor == "mariadb":
        made, gone = (
            "change master to master_host = '127.0.0.1', master_port = 1, master_user = 'x'",
            "reset slave all",
        )
    else:
        made = "change replication source to source_host = '127.0.0.1', source_port = 1, source_user = 'x'"
        gone = "reset replica all"
    await root.ask(made)
    try:
        found = await engine.load()
        pulse = await engine.pulse()
    finally:
        await root.ask(gone)
    assert found.lag_seconds is None
    assert "does not run" in found.why
    assert "does not run" in pulse.halted
    assert not [one for one in pulse.unknown if "replication" in one], "it is known, and it is bad"


async def test_lag_that_may_not_be_seen_is_told_with_the_grant(crowd: Crowd) -> None:
    blind = await bare(crowd, "process on *.*", "select on performance_schema.*")
    found = await blind.load()
    await blind.close()
    assert found.lag_seconds is None
    right = "SLAVE MONITOR" if crowd.server.flavor == "mariadb" else "REPLICATION CLIENT"
    assert f"GRANT {right} ON *.* TO 'bare'@'%';" in found.why


async def test_free_space_where_the_server_is_here(crowd: Crowd, engine: MysqlEngine) -> None:
    afar = await engine.disk(crowd.database, "orders")
    assert afar.free is None
    assert "reached over TCP" in afar.why
    beside = MysqlEngine(a_target(crowd.server, host=str(crowd.server.socket), port=0, tls="off"))
    found = await beside.disk(crowd.database, "orders")
    await beside.close()
    assert Path(found.place).name == crowd.database
    assert found.free is not None
    figures = os.statvfs("/")
    assert abs(found.free - figures.f_bavail * figures.f_frsize) < 1 << 30


async def test_free_space_by_the_plugin_of_mariadb(crowd: Crowd, engine: MysqlEngine) -> None:
    if crowd.server.flavor != "mariadb":
        pytest.skip("MySQL has no such plugin")
    root = await crowd.root()
    await root.ask("install soname 'disks'")
    try:
        denied = await engine.disk(crowd.database, "orders")
        assert (denied.free, denied.why) == (None, "GRANT FILE ON *.* TO 'dbdeck_monitor'@'%';")
        able = await bare(crowd, "process, file on *.*")
        found = await able.disk(crowd.database, "orders")
        await able.close()
    finally:
        await root.ask("uninstall soname 'disks'")
    assert found.free is not None
    assert found.free > 1 << 20


async def test_nobody_measures_what_a_table_wastes(crowd: Crowd, engine: MysqlEngine) -> None:
    assert "ANALYZE TABLE samples" in (await engine.measurement(crowd.database, "orders")).refusal
    with pytest.raises(UsageError, match="was not measured"):
        await engine.measure(crowd.database, "orders")
