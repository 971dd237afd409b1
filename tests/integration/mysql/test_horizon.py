"""What really holds purge back: the history list grows while a holder is open, and shrinks after it."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from console.engine.mysql.engine import MysqlEngine
from console.model.horizon import Holder, HolderKind
from tests.integration.mysql.conftest import Client, Crowd, until

WORK = 60
RR = "set session transaction isolation level repeatable read"
RC = "set session transaction isolation level read committed"
SNAPSHOT = "start transaction with consistent snapshot"
READ = "select count(*) from orders"
WRITE = "update orders set state = state + 1 where id = 20"

# (statements of the holder, does it hold in MySQL, does it in MariaDB); see console/engine/mysql/purge.py.
CASES = {
    "nothing but begin": ((RR, "begin"), False, False),
    "a repeatable read that has read": ((RR, "begin", READ), True, True),
    "a consistent snapshot": ((RR, SNAPSHOT), True, True),
    "a read committed that has read": ((RC, "begin", READ), False, False),
    "a read committed snapshot": ((RC, SNAPSHOT), False, True),
    "a writer": ((RR, "begin", WRITE), False, True),
    "a writer that has read": ((RR, "begin", WRITE, READ), True, True),
    "a locking reader": ((RR, "begin", f"{READ} where id = 20 for update"), False, True),
}


def of(client: Client, holders: tuple[Holder, ...]) -> Holder | None:
    return next((one for one in holders if one.session and one.session.id == client.id), None)


async def write(client: Client, times: int = WORK) -> None:
    for _ in range(times):
        await client.ask("update orders set state = state + 1 where id = 1")


async def history(engine: MysqlEngine) -> int:
    length = (await engine.horizon()).history_length
    assert length is not None
    return length


async def shrinks(engine: MysqlEngine) -> bool:
    return await history(engine) < WORK


@pytest.fixture
async def worker(crowd: Crowd, engine: MysqlEngine) -> Client:
    """MySQL frees undo logs at every 128th purge: here at each."""
    root = await crowd.root()
    if crowd.server.flavor == "mysql":
        await root.ask("set global innodb_purge_rseg_truncate_frequency = 1")
    client = await crowd.join()
    await write(client, 2)
    await until(lambda: shrinks(engine), 30)
    return client


@pytest.mark.filterwarnings("ignore:.*WITH CONSISTENT SNAPSHOT was ignored")
@pytest.mark.parametrize("case", CASES)
async def test_what_holds(crowd: Crowd, engine: MysqlEngine, worker: Client, case: str) -> None:
    statements, mysql, mariadb = CASES[case]
    holder = await crowd.join()
    await holder.ask(*statements)
    await write(worker)
    found = of(holder, (await engine.horizon()).holders)
    holds = mysql if crowd.server.flavor == "mysql" else mariadb
    assert (found is not None) == holds
    if holds:
        await asyncio.sleep(1.5)
        assert await history(engine) >= WORK
        await holder.ask("rollback")
    await write(worker, 1)  # so that purge looks again
    await until(lambda: shrinks(engine), 20)
    assert of(holder, (await engine.horizon()).holders) is None


async def test_the_oldest_comes_first_and_says_how_to_end_it(
    crowd: Crowd, engine: MysqlEngine, worker: Client
) -> None:
    old, young = await crowd.join(), await crowd.join()
    await old.ask(RR, SNAPSHOT)
    await write(worker, 20)
    await asyncio.sleep(1.1)
    await young.ask(RR, SNAPSHOT)
    await write(worker, 20)
    found = await engine.horizon()
    mine = [one for one in found.holders if one.session and one.session.id in (old.id, young.id)]

    assert [one.session.id for one in mine if one.session] == [old.id, young.id]
    assert found.holders[0] == mine[0]
    assert mine[0].kind is HolderKind.SNAPSHOT
    action, number, started = mine[0].remedy.split()
    assert (action, number) == ("session.terminate", f"id={old.id}")
    assert mine[0].session is not None
    assert datetime.fromisoformat(started.removeprefix("started_at=")) == mine[0].session.started_at
    assert found.age is not None
    assert found.age >= 40
    assert found.history_length is not None
    assert found.history_length >= 40
    if crowd.server.flavor == "mysql":
        assert found.undo_bytes is not None
        assert found.undo_bytes > 1 << 20
    else:
        assert "innodb_undo_tablespaces = 0" in " ".join(found.notes)
    assert found.uncleaned == ()


async def test_a_late_view_of_an_old_transaction_is_not_the_oldest(
    crowd: Crowd, engine: MysqlEngine, worker: Client
) -> None:
    writer, snapshot = await crowd.join(), await crowd.join()
    await writer.ask(RR, "begin", WRITE)
    await asyncio.sleep(1.1)
    await snapshot.ask(RR, SNAPSHOT)
    await write(worker, 20)
    await writer.ask(READ)
    found = (await engine.horizon()).holders
    order = [one.session.id for one in found if one.session and one.session.id in (writer.id, snapshot.id)]
    if crowd.server.flavor == "mysql":
        assert order == [snapshot.id, writer.id]
    else:  # it keeps the undo logs since its first change
        assert order == [writer.id, snapshot.id]


async def test_a_prepared_transaction(crowd: Crowd, engine: MysqlEngine, worker: Client) -> None:
    """It has no read view once its session is gone. MariaDB keeps the undo logs behind it, MySQL does not."""
    owner = Client(await crowd.server.connect(database=crowd.database))
    await owner.ask("xa start 'p'", WRITE, READ, "xa end 'p'", "xa prepare 'p'")
    await owner.connection.ensure_closed()
    root = await crowd.root()
    try:
        await write(worker)
        await asyncio.sleep(1.5)
        found = await engine.horizon()
        prepared = [one for one in found.holders if one.kind is HolderKind.PREPARED]
        if crowd.server.flavor == "mysql":
            assert prepared == []
            await until(lambda: shrinks(engine), 20)
        else:
            assert [one.remedy for one in prepared] == ["transaction.rollback_prepared gid=\"'p'\""]
            assert "undo logs" in prepared[0].scope
            assert found.history_length is not None
            assert found.history_length >= WORK
    finally:
        await root.ask("xa rollback 'p'")
