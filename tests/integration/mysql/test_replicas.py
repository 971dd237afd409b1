"""A replica of MySQL and of MariaDB: its applier in the queues, and what is told when it has stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from console.engine.mysql.engine import MysqlEngine
from console.engine.open import open_engine
from console.model.sessions import State
from console.present import locks
from console.present.reads import READS
from tests.command import Command
from tests.integration.actions.conftest import superuser, until
from tests.servers.mysql import MysqlServer
from tests.servers.replica import there
from tests.targets import target_of

# What the server remarks on, of the tests' own statements, is nobody's business.
pytestmark = pytest.mark.filterwarnings("ignore::pymysql.err.Warning")

DATABASE = "dbdeck_test_copied"
TABLE = f"{DATABASE}.orders"


@pytest_asyncio.fixture
async def copied(logged_mysql: MysqlServer, replica: MysqlServer) -> AsyncIterator[MysqlServer]:
    """The replica, with a table that has come from its source; what stopped it is taken away afterwards."""
    await superuser(
        logged_mysql,
        f"create database {DATABASE}",
        f"create table {TABLE} (id int primary key, n int)",
        f"insert into {TABLE} values (1, 0)",
    )
    await there(replica, f"select * from {TABLE}")
    yield replica
    await superuser(replica, "set global read_only = 0", f"delete from {TABLE} where id > 1", "start replica")
    await superuser(logged_mysql, f"drop database {DATABASE}")
    await there(
        replica,
        "select 1 from dual where not exists (select 1 from information_schema.schemata"
        f" where schema_name = '{DATABASE}')",
    )


async def stopped_by_a_row(source: MysqlServer, copy: MysqlServer) -> None:
    await superuser(copy, f"insert into {TABLE} values (2, 0)")
    await superuser(source, f"insert into {TABLE} values (2, 1)")

    async def ended() -> bool:
        async with opened(copy) as engine:
            return bool((await engine.pulse()).halted)

    await until(ended)


@asynccontextmanager
async def opened(server: MysqlServer) -> AsyncIterator[MysqlEngine]:
    async with open_engine(target_of(server)) as engine:
        assert isinstance(engine, MysqlEngine)
        yield engine


async def test_an_applier_that_waits_is_the_session_of_the_list(
    logged_mysql: MysqlServer, copied: MysqlServer
) -> None:
    """MariaDB gives it a number in the list of sessions alone: it was session 0. How long it waits no server
    tells, as its time there is that of the event.
    """
    holder = await copied.connect()
    try:
        async with holder.cursor() as cursor:
            await cursor.execute(f"lock tables {TABLE} write")
        await superuser(logged_mysql, f"update {TABLE} set n = n + 1")
        state = "select id from information_schema.processlist where state like '%%metadata lock%%'"
        await there(copied, state)
        ((number,),) = await superuser(copied, state)
        async with opened(copied) as engine:
            tree = await engine.locks()
            (waiter,) = [node for node in tree if node.blocked_by]
            assert waiter.session.id == number
            assert waiter.session.state is State.BACKGROUND
            assert waiter.wait_seconds is None
            assert locks.summary(tree) == "1 waiting behind 1 root blocker, an unknown time of waiting"
            assert [node.session.id for node in tree if not node.blocked_by] == [holder.thread_id()]
            found = await engine.table_locks([(DATABASE, "orders")])
            assert number in {one.session.id for one in found if not one.granted}
    finally:
        holder.close()


async def test_what_stopped_is_told_with_the_number_of_its_error(
    logged_mysql: MysqlServer, copied: MysqlServer
) -> None:
    await stopped_by_a_row(logged_mysql, copied)
    async with opened(copied) as engine:
        assert (await engine.pulse()).halted == (
            "replication does not run: the applier is stopped (error 1062)"
        )
        (health,) = await READS["health"](engine)
        assert health["halted"] is True
        await superuser(copied, "stop replica")
        halted = (await engine.pulse()).halted
        assert "the receiver is stopped, the applier is stopped" in halted


async def role(folder: Path, server: MysqlServer, **labels: str) -> dict[str, Any]:
    command = Command(folder, {"t": server.target_dict(labels=labels)})
    found = (await command.run("doctor", "--json")).document
    (target,) = [one for one in found["rows"] if one["name"].startswith("t ")]
    (check,) = [one for one in target["checks"] if one["name"] == "role of the server"]
    return dict(check)


async def test_doctor_tells_a_replica_that_takes_writes_from_a_primary(
    logged_mysql: MysqlServer, copied: MysqlServer, tmp_path: Path
) -> None:
    """It was called the primary of a failover, and the advice was to change the config."""
    found = await role(tmp_path, copied, replica_of="main")
    assert found["ok"] is False
    assert "a replica of main that takes writes" in found["detail"]
    assert "read_only = ON" in found["hint"]
    assert (await role(tmp_path, logged_mysql))["detail"] == "primary"
    await superuser(copied, "set global read_only = 1")
    found = await role(tmp_path, copied, replica_of="main")
    assert (found["ok"], found["hint"]) == (True, ""), found


async def test_one_that_was_promoted_is_not_to_be_made_read_only(copied: MysqlServer, tmp_path: Path) -> None:
    """STOP REPLICA at a failover leaves the settings of its source behind."""
    await superuser(copied, "stop replica")
    found = await role(tmp_path, copied, replica_of="main")
    assert found["ok"] is False
    assert "it takes writes, and has a source that it does not follow" in found["detail"]
    assert "where it was promoted: RESET " in found["hint"]
    assert "`replica_of`" in found["hint"]
    assert "read_only" not in found["hint"]


async def test_doctor_tells_of_a_replica_that_has_stopped(
    logged_mysql: MysqlServer, copied: MysqlServer, tmp_path: Path
) -> None:
    await superuser(copied, "set global read_only = 1")
    await stopped_by_a_row(logged_mysql, copied)
    found = await role(tmp_path, copied)
    assert found["ok"] is False
    assert "replication does not run: the applier is stopped (error 1062)" in found["detail"]
    assert "replication-lag -t t" in found["hint"]


async def test_a_read_only_replica_is_looked_at_for_damage(copied: MysqlServer, tmp_path: Path) -> None:
    await superuser(
        copied, "set global read_only = 1", f"grant select on {DATABASE}.* to dbdeck_operator@'%'"
    )
    command = Command(tmp_path, {"t": copied.target_dict()})
    words = ("-t", "t", f"table={TABLE}", "--yes", "--reason", "is it sound?")
    done = await command.run("apply", "table.check", *words)
    assert done.code == 0, done
    assert "1 object looked at, none is damaged" in done.out
    refused = await command.run("apply", "table.analyze", *words)
    assert (refused.code, "run it on its primary" in refused.err) == (4, True), refused
