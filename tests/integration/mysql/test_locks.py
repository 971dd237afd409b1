"""Real lock queues on MySQL and MariaDB."""

from __future__ import annotations

import asyncio
import time

import pytest

from console.engine.mysql.engine import MysqlEngine
from console.engine.queries import query
from console.model.sessions import State
from tests.integration.mysql.conftest import Client, Crowd, tree
from tests.servers.accounts import MONITOR


async def test_nobody_waits(crowd: Crowd, engine: MysqlEngine) -> None:
    holder = await crowd.join()
    await holder.ask("begin", "update orders set state = 1 where id = 1")
    assert await engine.locks() == ()


async def test_a_chain_behind_an_idle_root(crowd: Crowd, engine: MysqlEngine) -> None:
    a, b, c, d = [await crowd.join() for _ in range(4)]
    for client, row in ((a, 1), (b, 2), (c, 3)):
        await client.ask("begin", f"update orders set state = 1 where id = {row}")
    for client, row in ((b, 1), (c, 2), (d, 3)):
        client.start(f"update orders set state = 2 where id = {row}")
    found = await tree(engine, b, c, d)

    assert list(found) == [a.id, b.id, c.id, d.id]
    root = found[a.id]
    assert (root.root, root.blocks, root.releases) == (True, 3, 3)
    assert root.session.state is State.IDLE_IN_TRANSACTION
    assert root.session.rows_modified == 1
    assert root.session.application == "billing"
    assert [found[one.id].blocked_by for one in (b, c, d)] == [(a.id,), (b.id,), (c.id,)]
    assert [found[one.id].depth for one in (a, b, c, d)] == [0, 1, 2, 3]
    waiter = found[b.id]
    assert (waiter.edge, waiter.object) == ("hard", f"{crowd.table} index PRIMARY (1)")
    assert waiter.mode == ("X,REC_NOT_GAP" if crowd.server.flavor == "mysql" else "X")
    assert waiter.wait_seconds is not None
    assert 0 <= waiter.wait_seconds < 10
    assert waiter.session.query_id is not None


async def test_a_hot_row(crowd: Crowd, engine: MysqlEngine) -> None:
    root = await crowd.join()
    await root.ask("begin", "update orders set state = 1 where id = 1")
    waiters: list[Client] = []
    for _ in range(30):
        waiters.append(await crowd.join())
        waiters[-1].start("update orders set state = 2 where id = 1")
        await asyncio.sleep(0.01)
    found = await tree(engine, *waiters)

    assert [found[one.id].blocked_by_count for one in waiters] == list(range(1, 31))
    assert all(root.id in found[one.id].blocked_by for one in waiters)
    assert (found[root.id].blocks, found[root.id].root) == (30, True)
    assert len(found) == 31


async def test_a_request_behind_a_request_is_a_soft_edge(crowd: Crowd, engine: MysqlEngine) -> None:
    reader, writer, second = [await crowd.join() for _ in range(3)]
    share = "select * from orders where id = 1 lock in share mode"
    await reader.ask("begin", share)
    writer.start("update orders set state = 2 where id = 1")
    await tree(engine, writer)
    second.start(share)
    found = await tree(engine, writer, second)

    assert (found[writer.id].blocked_by, found[writer.id].edge) == ((reader.id,), "hard")
    assert (found[second.id].blocked_by, found[second.id].edge) == ((writer.id,), "soft")


async def test_a_holder_that_itself_waits_blocks_the_others(crowd: Crowd, engine: MysqlEngine) -> None:
    first, second, third = [await crowd.join() for _ in range(3)]
    for client, row in ((first, 2), (second, 3)):  # they write, so that MariaDB gives them a number
        await client.ask("begin", f"update orders set state = 1 where id = {row}")
        await client.ask("select * from orders where id = 1 lock in share mode")
    first.start("update orders set state = 1 where id = 1")
    await tree(engine, first)
    third.start("update orders set state = 3 where id = 1")
    found = await tree(engine, first, third)

    assert found[first.id].blocked_by == (second.id,)
    assert set(found[third.id].blocked_by) == {first.id, second.id}


async def test_an_insert_into_a_locked_gap(crowd: Crowd, engine: MysqlEngine) -> None:
    owner, inserter = await crowd.join(), await crowd.join()
    await owner.ask("set transaction isolation level repeatable read", "begin")
    await owner.ask("select * from orders where id between 12 and 18 for update")
    inserter.start("insert into orders (id) values (15)")
    found = await tree(engine, inserter)

    assert found[inserter.id].blocked_by == (owner.id,)
    assert found[owner.id].session.state is State.IDLE_IN_TRANSACTION
    assert "GAP" in (found[inserter.id].mode or "")


async def test_a_ddl_behind_an_idle_reader_and_the_readers_behind_it(
    crowd: Crowd, engine: MysqlEngine
) -> None:
    reader, ddl, later, last = [await crowd.join() for _ in range(4)]
    await reader.ask("begin", "select * from orders where id = 1")
    ddl.start("alter table orders add column note int")
    await tree(engine, ddl)
    for client in (later, last):
        client.start("select count(*) from orders")
    found = await tree(engine, ddl, later, last)

    assert (found[reader.id].root, found[reader.id].blocks) == (True, 3)
    assert found[reader.id].session.state is State.IDLE_IN_TRANSACTION
    assert (found[ddl.id].blocked_by, found[ddl.id].edge) == ((reader.id,), "hard")
    assert (found[ddl.id].mode, found[ddl.id].object) == ("EXCLUSIVE", f"{crowd.table} (metadata)")
    for client in (later, last):
        assert (found[client.id].blocked_by, found[client.id].edge) == ((ddl.id,), "soft")
        assert found[client.id].mode == "SHARED_READ"


async def test_rows_and_metadata_are_one_graph(crowd: Crowd, engine: MysqlEngine) -> None:
    holder, writer, ddl = [await crowd.join() for _ in range(3)]
    await holder.ask("begin", "update orders set state = 1 where id = 1")
    writer.start("update orders set state = 2 where id = 1")
    await tree(engine, writer)
    ddl.start("alter table orders add column note int")
    found = await tree(engine, writer, ddl)

    assert set(found[ddl.id].blocked_by) == {holder.id, writer.id}
    assert found[holder.id].blocks == 2
    assert found[ddl.id].parent == holder.id


async def test_lock_tables(crowd: Crowd, engine: MysqlEngine) -> None:
    owner, reader = await crowd.join(), await crowd.join()
    await owner.ask("lock tables orders write")
    reader.start("select count(*) from orders")
    found = await tree(engine, reader)
    assert (found[reader.id].blocked_by, found[reader.id].edge) == ((owner.id,), "hard")
    assert found[owner.id].mode == "SHARED_NO_READ_WRITE"


async def test_flush_tables_with_read_lock(crowd: Crowd, engine: MysqlEngine) -> None:
    backup, writer = await crowd.root(), await crowd.join()
    await backup.ask("flush tables with read lock")
    writer.start("update orders set state = 1 where id = 1")
    found = await tree(engine, writer)
    assert (found[writer.id].blocked_by, found[writer.id].edge) == ((backup.id,), "hard")
    expected = "global read lock" if crowd.server.flavor == "mysql" else "backup lock"
    assert found[writer.id].object == expected


async def test_a_commit_behind_a_global_read_lock(crowd: Crowd, engine: MysqlEngine) -> None:
    """And the transaction that waits with it blocks those who want its rows."""
    writer, behind, backup = await crowd.join(), await crowd.join(), await crowd.root()
    await writer.ask("begin", "update orders set state = 1 where id = 1")
    await backup.ask("flush tables with read lock")
    writer.start("commit")
    found = await tree(engine, writer)
    assert (found[writer.id].blocked_by, found[backup.id].root) == ((backup.id,), True)
    expected = "commit lock" if crowd.server.flavor == "mysql" else "backup lock"
    assert found[writer.id].object == expected
    behind.start("update orders set state = 2 where id = 2")
    found = await tree(engine, writer, behind)
    assert (found[backup.id].blocks, found[behind.id].blocked_by) == (2, (backup.id,))


async def test_a_copying_alter_table_stops_the_writers(crowd: Crowd, engine: MysqlEngine) -> None:
    """MariaDB shows the lock it began with, which would let them pass."""
    ddl, writer, other = [await crowd.join() for _ in range(3)]
    await ddl.ask(
        "create table big (id int primary key auto_increment, s char(200), v int)",
        "insert into big (s, v) values ('x', 1)",
        *["insert into big (s, v) select s, v from big"] * 17,
    )
    ddl.start("alter table big add column w int, algorithm = copy")
    await asyncio.sleep(0.1)
    for client in (writer, other):
        client.start("update big set v = 2 where id = 1")
    found = await tree(engine, writer, other)
    assert [found[one.id].blocked_by for one in (writer, other)] == [(ddl.id,), (ddl.id,)]
    assert (found[ddl.id].root, found[ddl.id].blocks) == (True, 2)


async def test_a_backup_lock(crowd: Crowd, engine: MysqlEngine) -> None:
    """MySQL: LOCK INSTANCE FOR BACKUP stops DDL. MariaDB: the last BACKUP STAGE stops commits too."""
    backup, waiter = await crowd.root(), await crowd.join()
    if crowd.server.flavor == "mysql":
        await backup.ask("lock instance for backup")
        waiter.start("create table other (id int)")
    else:
        for stage in ("start", "flush", "block_ddl", "block_commit"):
            await backup.ask(f"backup stage {stage}")
        waiter.start("update orders set state = 1 where id = 1")
    found = await tree(engine, waiter)
    assert (found[waiter.id].blocked_by, found[waiter.id].edge) == ((backup.id,), "hard")
    assert found[waiter.id].object == "backup lock"
    assert (found[backup.id].root, found[backup.id].object) == (True, "backup lock")


async def test_ddl_behind_a_backup_of_mariadb(crowd: Crowd, engine: MysqlEngine) -> None:
    if crowd.server.flavor == "mysql":
        pytest.skip("MariaDB only")
    backup, waiter = await crowd.root(), await crowd.join()
    await backup.ask("backup stage start", "backup stage flush", "backup stage block_ddl")
    waiter.start("truncate table orders")
    found = await tree(engine, waiter)
    assert (found[waiter.id].blocked_by, found[backup.id].blocks) == ((backup.id,), 1)


@pytest.mark.filterwarnings("ignore:.*select#1")  # what EXPLAIN made of the statement
async def test_row_locks_are_asked_for_by_key(crowd: Crowd, engine: MysqlEngine) -> None:
    """A transaction with many row locks costs a poll nothing: data_locks is never read as a whole."""
    if crowd.server.flavor != "mysql":
        pytest.skip("MariaDB's own view has only the locks that are waited for")
    root, many, waiter = await crowd.root(), await crowd.join(), await crowd.join()
    await root.ask(
        f"create table {crowd.database}.big (id int primary key)",
        "set session cte_max_recursion_depth = 300000",
        f"insert into {crowd.database}.big with recursive n (i) as "
        "(select 1 union all select i + 1 from n where i < 200000) select i from n",
    )
    await many.ask("begin", "select count(*) from big for update", "update orders set state = 1 where id = 1")
    waiter.start("update orders set state = 2 where id = 1")
    found = await tree(engine, waiter)
    assert found[waiter.id].blocked_by == (many.id,)
    started = time.perf_counter()
    await engine.locks()
    assert time.perf_counter() - started < 0.5
    (lock,) = await root.ask("select requesting_engine_lock_id from performance_schema.data_lock_waits")
    for name in ("row_waits", "row_holders"):
        plan = await root.ask(
            "explain format=traditional " + query("mysql", name, "mysql", 90000) % f"('{lock[0]}')"
        )
        assert {row[2]: row[4] for row in plan if row[4] == "ALL"} == {}, plan


async def test_a_table_flush_behind_a_long_statement(crowd: Crowd, engine: MysqlEngine) -> None:
    """MySQL: both wait for the old statement, and killing the flush frees nobody. MariaDB takes a
    metadata lock for it."""
    slow, flush, later = await crowd.join(), await crowd.root(), await crowd.join()
    bystander = await crowd.join()
    await bystander.ask("begin", "select * from orders where id = 3", "commit")
    slow.start("select sleep(60) from orders limit 1")
    await asyncio.sleep(0.3)
    flush.start(f"flush tables {crowd.table}")
    await tree(engine, flush)
    later.start("select count(*) from orders")
    found = await tree(engine, flush, later)

    assert found[flush.id].blocked_by == (slow.id,)
    assert found[slow.id].blocks == 2
    if crowd.server.flavor == "mysql":
        assert (found[later.id].blocked_by, found[later.id].edge) == ((slow.id,), "hard")
        assert found[later.id].object == f"table flush of {crowd.table}"
    else:
        assert (found[later.id].blocked_by, found[later.id].edge) == ((flush.id,), "soft")


async def test_a_user_lock(crowd: Crowd, engine: MysqlEngine) -> None:
    owner, waiter = await crowd.join(), await crowd.join()
    await owner.ask("select get_lock('nightly', 0)")
    waiter.start("select get_lock('nightly', 60)")
    found = await tree(engine, waiter)
    assert (found[waiter.id].blocked_by, found[waiter.id].object) == ((owner.id,), "user lock 'nightly'")
    assert found[owner.id].session.state is State.IDLE


async def test_a_prepared_xa_transaction_has_no_session(crowd: Crowd, engine: MysqlEngine) -> None:
    root = await crowd.root()
    xid = "'gid','branch'"
    owner = Client(await crowd.server.connect(database=crowd.database))
    await owner.ask(f"xa start {xid}", "update orders set state = 1 where id = 1")
    await owner.ask(f"xa end {xid}", f"xa prepare {xid}")
    await owner.connection.ensure_closed()
    try:
        waiter = await crowd.join()
        waiter.start("update orders set state = 2 where id = 1")
        found = await tree(engine, waiter)
        assert found[waiter.id].blocked_by == (0,)
        node = found[0]
        assert (node.root, node.blocks) == (True, 1)
        assert node.session.state is State.PREPARED
        assert node.session.kind == "prepared XA transaction"
        if crowd.server.flavor == "mysql":
            assert node.session.prepared is None
            await root.ask(f"grant xa_recover_admin on *.* to {MONITOR}@'%'")
            await engine.close()
            assert (await tree(engine, waiter))[0].session.prepared == "X'676964',X'6272616E6368',1"
        else:
            assert node.session.prepared == xid
    finally:
        await root.ask(f"xa rollback {xid}")
        if crowd.server.flavor == "mysql":
            await root.ask(f"revoke xa_recover_admin on *.* from {MONITOR}@'%'")


async def test_a_waiter_whose_blocker_cannot_be_seen_is_not_dropped(
    crowd: Crowd, engine: MysqlEngine
) -> None:
    """Without the instrument the server does not record who holds a metadata lock, nor who asks."""
    root, owner, waiter = await crowd.root(), await crowd.join(), await crowd.join()
    switch = (
        "update performance_schema.setup_instruments set enabled = '{}' "
        "where name = 'wait/lock/metadata/sql/mdl'"
    )
    bystander = await crowd.join()
    await bystander.ask("create table other (id int primary key)", "begin", "insert into other values (1)")
    await root.ask(switch.format("NO"))
    try:
        await owner.ask("lock tables orders write")
        waiter.start("select count(*) from orders")
        found = await tree(engine, waiter)
        opened = {one.session.id: one.blocks for one in await engine.transactions()}
        checks = {check.name: check for check in await engine.checks()}
    finally:
        await root.ask(switch.format("YES"))
    assert found[waiter.id].blocked_by == (0,)
    assert (found[waiter.id].object, found[waiter.id].mode) == ("Waiting for table metadata lock", "?")
    assert (found[0].root, found[0].session.visible) == (True, False)
    assert found[0].session.kind == "unknown blocker"
    assert opened[bystander.id] is None, "it may be anybody"
    assert checks["metadata locks"].ok is False
    assert "setup_instruments" in checks["metadata locks"].hint


async def test_of_two_readers_of_mariadb_it_is_not_known_whom_each_blocks(
    crowd: Crowd, engine: MysqlEngine
) -> None:
    if crowd.server.flavor != "mariadb":
        pytest.skip("MySQL tells who holds a lock")
    first, second, writer = [await crowd.join() for _ in range(3)]
    for one in (first, second):
        await one.ask("begin", "select * from orders where id = 1 lock in share mode")
    writer.start("update orders set state = 2 where id = 1")
    await tree(engine, writer)
    found = await engine.locks()
    assert found.suspects == {first.id, second.id}
    assert [found.behind_unseen(one.id) for one in (first, second, writer)] == [1, 1, 0]
    opened = {one.session.id: one.blocks for one in await engine.transactions()}
    assert opened == {first.id: None, second.id: None, writer.id: 0}


async def test_a_detached_xa_transaction_is_named_as_the_owner_of_its_table_lock(
    crowd: Crowd, engine: MysqlEngine
) -> None:
    if crowd.server.flavor != "mysql":
        pytest.skip("MariaDB lets the table go with the session")
    root = await crowd.root()
    owner = Client(await crowd.server.connect(database=crowd.database))
    await owner.ask(
        "xa start 'z'", "update orders set state = 1 where id = 1", "xa end 'z'", "xa prepare 'z'"
    )
    ddl = await crowd.join()
    try:
        ddl.start("alter table orders add column extra int")
        await tree(engine, ddl)
        (detached,) = [one for one in await engine.transactions() if one.session.state is State.PREPARED]
        assert detached.blocks is None, "its lock is shown as that of the session that prepared it"
        await owner.connection.ensure_closed()
        await asyncio.sleep(0.5)
        found = (await tree(engine, ddl))[0]
        assert (found.session.state, found.session.visible, found.blocks) == (State.PREPARED, True, 1)
        (detached,) = [one for one in await engine.transactions() if one.session.state is State.PREPARED]
        assert detached.blocks == 1
    finally:
        await root.ask("xa rollback 'z'")
