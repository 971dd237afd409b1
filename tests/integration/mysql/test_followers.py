"""How far its replicas are behind a source that does not know it: each is asked, and work waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest_asyncio
import yaml

import actions
from console.audit.ledger import open_ledger
from console.config import parse
from console.dispatch.action import Approval, Watch
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.registry import Registry
from console.engine.open import open_engine
from console.engine.port import Engine
from console.errors import Exit
from console.model.policy import Policy
from console.model.table_locks import Load
from tests.integration.actions.conftest import superuser
from tests.servers import accounts
from tests.servers.mysql import MysqlServer
from tests.servers.replica import replica_of, there

DATABASE = "dbdeck_test_followed"
TABLE = f"{DATABASE}.orders"


@pytest_asyncio.fixture
async def followed(logged_mysql: MysqlServer, replica: MysqlServer) -> AsyncIterator[MysqlServer]:
    """The source, with a table that its replica has."""
    rights = f"select, insert, delete on {DATABASE}.* {{}} {accounts.OPERATOR}@'%', {accounts.MONITOR}@'%'"
    await superuser(
        logged_mysql,
        f"create database {DATABASE}",
        f"create table {TABLE} (id int primary key, at datetime not null, key (at))",
        f"insert into {TABLE} values (1, '2020-01-01'), (2, '2020-01-01'), (3, '2020-01-01')",
        f"grant {rights.format('to')}",
    )
    await there(replica, f"select * from {TABLE} where id = 3")
    yield logged_mysql
    await superuser(logged_mysql, f"revoke {rights.format('from')}", f"drop database {DATABASE}")
    await there(
        replica,
        "select 1 from dual where not exists (select 1 from information_schema.schemata"
        f" where schema_name = '{DATABASE}')",
    )


@asynccontextmanager
async def watched(source: MysqlServer, **replicas: dict[str, Any]) -> AsyncIterator[Engine]:
    """The source as the target `t`, with what the config calls its replicas."""
    named = {name: {**one, "labels": {"replica_of": "t"}} for name, one in replicas.items()}
    config = parse(yaml.safe_dump({"targets": {"t": source.target_dict(database=DATABASE), **named}}))
    async with open_engine(config.target("t")) as engine:
        yield engine


@asynccontextmanager
async def held_up(replica: MysqlServer, source: MysqlServer) -> AsyncIterator[None]:
    """Its applier waits for a reader's lock, until the end."""
    reader = await replica.connect(database=DATABASE)
    try:
        async with reader.cursor() as cursor:
            await cursor.execute(f"lock tables {TABLE} read")
            await superuser(source, f"insert into {TABLE} values (10, now())")
            yield
    finally:
        reader.close()


async def loaded(engine: Engine, behind: float) -> Load:
    async with asyncio.timeout(30):
        while ((found := await engine.load()).lag_seconds or 0.0) < behind:
            await asyncio.sleep(0.2)
    return found


async def caught_up(engine: Engine) -> Load:
    """Once the replica has what was written for the test: seconds of the servers turn meanwhile."""
    async with asyncio.timeout(30):
        while (found := await engine.load()).lag_seconds != 0.0:
            await asyncio.sleep(0.2)
    return found


async def test_the_lag_of_a_source_is_that_of_its_replicas(
    followed: MysqlServer, replica: MysqlServer
) -> None:
    async with watched(followed, r=replica.target_dict()) as engine:
        found = await caught_up(engine)
        assert (found.replica, found.why, found.unasked) == ("r", "", 0)
        async with held_up(replica, followed):
            assert (await loaded(engine, 1.0)).replica == "r"
        await caught_up(engine)


async def test_one_that_does_not_replicate_or_answer_is_not_taken_for_one_that_is_not_behind(
    followed: MysqlServer, replica: MysqlServer, logged_mysql: MysqlServer
) -> None:
    word = "replica" if replica.flavor == "mysql" else "slave"
    async with watched(followed, r=replica.target_dict(), s=logged_mysql.target_dict()) as engine:
        assert (await engine.load()).why == "s does not replicate from t, against the config"
    nowhere = {**replica.target_dict(), "host": "127.0.0.1", "port": 1}
    async with watched(followed, r=replica.target_dict(), gone=nowhere) as engine:
        found = await engine.load()
        assert (found.lag_seconds, "replica gone is not reached: " in found.why) == (None, True), found
    async with watched(followed, r=replica.target_dict()) as engine:
        await superuser(replica, f"stop {word} sql_thread")
        found = await engine.load()
        await superuser(replica, f"start {word}")
        assert found.lag_seconds is None
        assert found.why.startswith("replica r: replication does not run: the applier is stopped")


async def test_rows_go_no_faster_than_the_replica_takes_them(
    followed: MysqlServer, replica: MysqlServer, tmp_path: Path
) -> None:
    given = {"table": TABLE, "column": "at", "older_than": "30d", "batch": 1, "pause": "0", "max_lag": "1s"}
    heard: list[str] = []
    async with (
        open_ledger(f"sqlite:///{tmp_path}/audit.db", tmp_path / "journal") as ledger,
        watched(followed, r=replica.target_dict()) as engine,
    ):
        dispatcher = Dispatcher(Registry(actions.ALL), ledger, Policy())
        plan = await dispatcher.plan("rows.purge", engine, given)
        assert not [one for one in plan.warnings if "binary log" in one], (
            "the only one that reads it is asked"
        )
        async with held_up(replica, followed):
            await loaded(engine, 2.0)
            watch = Watch(seconds=0, tell=heard.append)
            approval = Approval(reason="a test", confirm="t")
            running = asyncio.create_task(dispatcher.apply(plan, engine, approval, watch=watch))
            async with asyncio.timeout(20):
                while not any("replica r is " in line and "more than max_lag" in line for line in heard):
                    await asyncio.sleep(0.1)
            assert not running.done()
            assert await superuser(followed, f"select count(*) from {TABLE} where id < 4") == [(3,)]
        run = await asyncio.wait_for(running, 40)
        assert (run.exit, run.effect) == (Exit.OK, "applied"), run
        await there(replica, f"select 1 from dual where not exists (select 1 from {TABLE} where id < 4)")
        await dispatcher.close()


async def test_who_reads_the_log_and_is_not_asked_is_told(
    followed: MysqlServer, replica: MysqlServer, tmp_path: Path
) -> None:
    other = await asyncio.to_thread(replica_of, followed)
    try:
        # Another number: of two with one number a source lets the newer one read.
        word = "replica" if other.flavor == "mysql" else "slave"
        await superuser(other, f"stop {word}", "set global server_id = 3", f"start {word}")
        async with (
            open_ledger(f"sqlite:///{tmp_path}/audit.db", tmp_path / "journal") as ledger,
            watched(followed, r=replica.target_dict()) as engine,
        ):
            async with asyncio.timeout(20):
                while not (await engine.load()).unasked:
                    await asyncio.sleep(0.2)
            dispatcher = Dispatcher(Registry(actions.ALL), ledger, Policy())
            plan = await dispatcher.plan("table.analyze", engine, {"table": TABLE, "max_lag": "5s"})
            told = [one for one in plan.warnings if "binary log" in one]
            assert [one.startswith("1 more read the binary log than replicas") for one in told] == [True]
            await dispatcher.close()
    finally:
        other.close()
