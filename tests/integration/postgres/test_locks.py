"""The graph from one pg_locks snapshot against the server's own word, in every shape of wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from console.engine.open import open_engine
from console.engine.port import Engine
from console.engine.postgres import lock_rows
from console.engine.queries import query
from console.errors import ServerSilent
from console.model.blocking import LockNode
from tests.servers.accounts import MONITOR, PASSWORDS, login
from tests.servers.postgres import PostgresServer
from tests.situations import Scene, scene, touch
from tests.targets import target_of


@pytest_asyncio.fixture
async def shop(postgres: PostgresServer) -> AsyncIterator[Scene]:
    async with scene(postgres) as made:
        yield made


@pytest_asyncio.fixture
async def engine(shop: Scene, postgres: PostgresServer) -> AsyncIterator[Engine]:
    async with open_engine(target_of(postgres, database=shop.database)) as opened:
        yield opened


async def truth(postgres: PostgresServer) -> dict[int, set[int]]:
    """By the lock table: whoever looks for a deadlock just now is not in a `Lock` wait for a moment."""
    connection = await postgres.connect()
    try:
        rows = await connection.fetch(
            "select pid, pg_blocking_pids(pid) as blockers"
            " from (select distinct pid from pg_locks where not granted) as waiting"
        )
        return {row["pid"]: set(row["blockers"]) for row in rows}
    finally:
        await connection.close()


async def settled(engine: Engine, waiting: int) -> dict[int, LockNode]:
    for _ in range(150):
        try:
            nodes = await engine.locks()
        except ServerSilent:  # where hundreds of sessions begin at once, and other tests run beside them
            continue
        if sum(1 for node in nodes if node.edge) == waiting:
            return {node.session.id: node for node in nodes}
        await asyncio.sleep(0.1)
    raise AssertionError(f"never saw exactly {waiting} waiters")


async def assert_truth(engine: Engine, postgres: PostgresServer, waiting: int) -> dict[int, LockNode]:
    nodes = await settled(engine, waiting)
    expected = await truth(postgres)
    assert {pid: set(node.blocked_by) for pid, node in nodes.items() if node.edge} == expected
    return nodes


async def test_chains_queues_and_ddl_are_what_the_server_says(
    shop: Scene, engine: Engine, postgres: PostgresServer
) -> None:
    await shop.chain(6)
    for _ in range(5):
        await shop.waiter(1)
    await (await shop.client()).run("create table quiet (id int)")
    reader = await shop.client("idle-reader")
    await reader.run("begin")
    await reader.run("select * from quiet")
    ddl = await shop.client("ddl")
    ddl.wait("alter table quiet add column x int")
    await asyncio.sleep(0.1)
    readers = [await shop.client() for _ in range(3)]
    for one in readers:
        one.wait("select * from quiet")
    nodes = await assert_truth(engine, postgres, 14)
    assert nodes[ddl.id].edge == "hard"
    assert {nodes[one.id].edge for one in readers} == {"soft"}
    assert nodes[readers[0].id].parent == ddl.id
    assert nodes[reader.id].object == "public.quiet"


async def test_a_lock_upgrade_is_put_where_the_server_puts_it(
    shop: Scene, engine: Engine, postgres: PostgresServer
) -> None:
    """A session that holds a lock already goes ahead of those it blocks, not behind them."""
    holder, upgrader, first, second = [await shop.client() for _ in range(4)]
    for one in (holder, upgrader):
        await one.run("begin")
        await one.run("lock table orders in row share mode")
    first.wait("begin", "lock table orders in exclusive mode")
    await asyncio.sleep(0.1)
    second.wait("begin", "lock table orders in share mode")
    await settled(engine, 2)
    upgrader.wait("lock table orders in access exclusive mode")
    await asyncio.sleep(0.3)
    waiting = len(await truth(postgres))
    await assert_truth(engine, postgres, waiting)


async def test_advisory_locks_show_their_key(shop: Scene, engine: Engine) -> None:
    for sql in ("select pg_advisory_lock(-42)", "select pg_advisory_lock(1, -2)"):
        await (await shop.client()).run(sql)
        (await shop.client()).wait(sql)
    nodes = await settled(engine, 2)
    objects = {node.object for node in nodes.values()}
    assert objects == {"advisory lock -42", "advisory lock (1, -2)"}


async def test_a_prepared_transaction_is_a_root_without_a_process(
    shop: Scene, engine: Engine, postgres: PostgresServer
) -> None:
    client = await shop.holder(5)
    await client.run("prepare transaction 'gid [red]'")
    await shop.waiter(5)
    try:
        nodes = await assert_truth(engine, postgres, 1)
        root = nodes[0]
        assert (root.root, root.blocks, root.session.prepared) == (True, 1, "gid [red]")
        assert root.session.key is not None
    finally:
        await client.run("rollback prepared 'gid [red]'")


async def test_the_contended_part_is_all_that_a_graph_is_made_of(
    shop: Scene, engine: Engine, postgres: PostgresServer
) -> None:
    prepared = await shop.holder(5)
    await prepared.run("prepare transaction 'part'")
    await shop.chain(3)
    await shop.waiter(5)
    for sql in ("select pg_advisory_lock(7)", "lock table orders in access exclusive mode"):
        client = await shop.client()
        await client.run("begin")
        client.wait(sql)
    await (await shop.client()).run("begin; select pg_advisory_lock(8); create table aside (id int)")
    connection = await postgres.connect()
    try:
        await settled(engine, 4)
        version = int(await connection.fetchval("show server_version_num"))
        texts = [query("postgres", name, "postgresql", version) for name in ("locks", "contended_locks")]
        whole, part = [await connection.fetch(text) for text in texts]
        made = [
            {
                (row["pid"], row["mode"], row["granted"], lock_rows._object(row))
                for row in lock_rows.contended(rows)
            }
            for rows in (whole, part)
        ]
        assert made[0] == made[1]
        assert len(part) < len(whole)
    finally:
        await connection.close()
        await prepared.run("rollback prepared 'part'")


async def test_names_come_from_the_right_database_or_not_at_all(
    shop: Scene, engine: Engine, postgres: PostgresServer
) -> None:
    """Two databases of one template give the same oid to different tables."""
    first = await postgres.new_database()
    second = f"{first}_clone"
    oids = []
    for database, sql in (
        (first, "create table innocent (id int)"),
        ("postgres", f"create database {second} template {first} owner app_user"),
        (second, "alter table innocent rename to guilty"),
    ):
        admin = await postgres.connect(database=database)
        await admin.execute(sql)
        if database != "postgres":
            oids.append(
                await admin.fetchval("select max(oid) from pg_class where relname in ('innocent', 'guilty')")
            )
            await admin.execute("grant all on all tables in schema public to app_user")
        await admin.close()
    assert oids[0] == oids[1]
    async with open_engine(target_of(postgres, database=first)) as from_first:
        holder = await postgres.connect("app_user", second)
        waiter = await postgres.connect("app_user", second)
        await holder.execute("begin; lock table guilty in access exclusive mode")
        waiting = asyncio.create_task(waiter.execute("begin; lock table guilty"))
        nodes = await settled(from_first, 1)
        holder.terminate()
        waiter.terminate()
        await asyncio.gather(waiting, return_exceptions=True)
    assert {node.object for node in nodes.values()} == {"public.guilty"}


async def test_a_database_that_cannot_be_entered_leaves_names_unresolved(postgres: PostgresServer) -> None:
    closed = await postgres.new_database()
    admin = await postgres.connect(database=closed)
    await admin.execute("create table secret_name (id int)")
    await admin.execute(f"revoke connect on database {closed} from public")
    second = await postgres.connect(database=closed)
    await admin.execute("begin; lock table secret_name in access exclusive mode")
    waiting = asyncio.create_task(second.execute("begin; lock table secret_name"))
    async with open_engine(target_of(postgres)) as engine:
        nodes = await settled(engine, 1)
    admin.terminate()
    second.terminate()
    await asyncio.gather(waiting, return_exceptions=True)
    for node in nodes.values():
        assert "unresolved" in (node.object or "")
        assert "secret_name" not in (node.object or "")


async def test_600_waiters_on_one_row_are_one_tree(
    shop: Scene, engine: Engine, postgres: PostgresServer
) -> None:
    root = await shop.holder(9)
    clients = [await shop.client("crowd") for _ in range(600)]
    for client in clients:
        client.wait(touch(9))
    nodes = await settled(engine, 600)
    assert nodes[root.id].blocks == 600
    assert nodes[root.id].releases == 600
    # The first waits for the holder's transaction, all others for the first one's lock on the row.
    assert max(node.blocked_by_count for node in nodes.values()) == 599
    assert max(node.depth for node in nodes.values()) == 2
    expected = await truth(postgres)
    for pid, node in nodes.items():
        if node.edge and node.blocked_by_count <= 200:
            assert set(node.blocked_by) == expected[pid]
        elif node.edge:
            assert set(node.blocked_by) < expected[pid]
            assert node.blocked_by_count == len(expected[pid])


async def test_a_server_too_busy_to_say_who_blocks_is_asked_of_fewer(
    shop: Scene, engine: Engine, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sleeping stands for the time that pg_blocking_pids() takes there; the limit it runs into is real."""

    def slow(kind: str, name: str, flavor: str, version: int) -> str:
        sql = query(kind, name, flavor, version)
        if name != "blocking_pids":
            return sql
        return f"{sql} where pg_sleep(case when cardinality($1::oid[]) > 4 then 9 else 0 end) is not null"

    await shop.holder(9)
    clients = [await shop.client("crowd") for _ in range(12)]
    for client in clients:
        client.wait(touch(9))
    await settled(engine, 12)
    monkeypatch.setattr("console.engine.postgres.link.query", slow)
    async with open_engine(engine.target) as another:
        first = await another.locks()
        assert sum(1 for node in first if node.edge) == 12
        for _ in range(6):
            await another.locks()
        await assert_truth(another, postgres, 12)


async def test_polls_answer_while_the_catalogs_are_locked(
    shop: Scene, engine: Engine, postgres: PostgresServer
) -> None:
    """VACUUM FULL of pg_authid or pg_database makes pg_stat_activity hang; our reads go below it."""
    await shop.chain(2)
    await settled(engine, 1)
    admin = await postgres.connect()
    try:
        await admin.execute("begin; lock table pg_authid, pg_database in access exclusive mode")
        nodes = await engine.locks()
        assert sum(1 for node in nodes if node.edge) >= 1
        assert await engine.sessions()
    finally:
        await admin.close()


@pytest.mark.parametrize("grant", [False, True])
async def test_without_the_privilege_sessions_are_hidden_and_never_zero(
    shop: Scene, postgres: PostgresServer, grant: bool
) -> None:
    clients = await shop.chain(3)
    admin = await postgres.connect()
    await admin.execute(f"drop role if exists blind; create role blind login password '{PASSWORDS[MONITOR]}'")
    if grant:
        await admin.execute("grant pg_monitor to blind")
    await admin.close()
    target = target_of(postgres, monitor={**login(MONITOR), "user": "blind"})
    async with open_engine(target) as engine:
        nodes = await settled(engine, 2)
        checks = {check.name: check for check in await engine.checks()}
    assert nodes[clients[0].id].blocks == 2
    assert nodes[clients[0].id].session.visible is grant
    assert checks["sessions and locks"].ok is grant
    if not grant:
        assert "GRANT pg_monitor TO blind" in checks["sessions and locks"].hint
