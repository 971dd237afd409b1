"""Open transactions of real servers, prepared XA ones among them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pymysql.err import MySQLError

from console.engine.mysql.engine import MysqlEngine
from console.model.sessions import State
from console.model.transactions import OpenTransaction
from tests.integration.mysql.conftest import Client, Crowd, tree, until
from tests.servers.accounts import MONITOR

XID = "X'6731',X'6231',7"
UNKNOWN_XID = 1397


async def one_of(engine: MysqlEngine, client: Client) -> OpenTransaction | None:
    return next((t for t in await engine.transactions() if t.session.id == client.id), None)


async def prepare(client: Client, xid: str, row: int) -> None:
    await client.ask(f"xa start {xid}", f"update orders set state = 1 where id = {row}")
    await client.ask(f"xa end {xid}", f"xa prepare {xid}")


@asynccontextmanager
async def may_name_xids(crowd: Crowd, engine: MysqlEngine) -> AsyncIterator[Client]:
    root = await crowd.root()
    if crowd.server.flavor == "mysql":
        await root.ask(f"grant xa_recover_admin on *.* to {MONITOR}@'%'")
        await engine.close()
    try:
        yield root
    finally:
        if crowd.server.flavor == "mysql":
            await root.ask(f"revoke xa_recover_admin on *.* from {MONITOR}@'%'")


async def test_who_is_idle_in_a_transaction(crowd: Crowd, engine: MysqlEngine) -> None:
    first, second, waiter, bystander = [await crowd.join() for _ in range(4)]
    if crowd.server.flavor == "mariadb":
        root = await crowd.root()
        await root.ask(
            "update performance_schema.setup_consumers set enabled = 'YES' "
            "where name like 'events_statements_history' or name = 'events_statements_current'",
            "update performance_schema.setup_instruments set enabled = 'YES', timed = 'YES' "
            "where name like 'statement/%'",
        )
        first = await crowd.join()
    await first.ask("set transaction isolation level serializable", "begin")
    await first.ask("update orders set state = 1 where id in (1, 2)")
    await asyncio.sleep(1.1)  # the server gives the whole second a transaction began in
    await second.ask("begin", "select count(*) from orders")
    await bystander.ask("select 1")
    waiter.start("update orders set state = 2 where id = 2")
    await tree(engine, waiter)
    found = await engine.transactions()

    assert {t.session.id for t in found[1:]} == {second.id, waiter.id}
    old, (reader, stuck) = found[0], sorted(found[1:], key=lambda t: t.session.id == waiter.id)
    assert old.session.id == first.id
    assert old.session.state is State.IDLE_IN_TRANSACTION
    assert (old.isolation, old.rows_modified, old.blocks) == ("serializable", 2, 1)
    assert old.number is not None
    assert old.rows_locked is not None
    assert old.rows_locked >= 2
    assert old.objects == (crowd.table,)
    assert stuck.statements[:1] == ("update orders set state = 2 where id = 2",)  # runs: no history has it
    assert old.locks is not None
    assert old.locks >= 1
    assert old.statements[:2] == ("update orders set state = 1 where id in (1, 2)", "begin")
    assert not old.prepared
    assert (reader.number, reader.rows_modified, reader.blocks) == (None, 0, 0)
    assert reader.isolation == "repeatable read"
    assert (stuck.session.state, stuck.blocks) == (State.ACTIVE, 0)


async def test_without_the_instrument_locks_are_not_known(crowd: Crowd, engine: MysqlEngine) -> None:
    root, owner = await crowd.root(), await crowd.join()
    switch = (
        "update performance_schema.setup_instruments set enabled = '{}' "
        "where name = 'wait/lock/metadata/sql/mdl'"
    )
    await owner.ask("begin", "update orders set state = 1 where id = 1")
    await root.ask(switch.format("NO"))
    try:
        found = await one_of(engine, owner)
    finally:
        await root.ask(switch.format("YES"))
    assert found is not None
    assert (found.locks, found.objects, found.blocks) == (None, (), 0)


async def test_a_prepared_one_without_its_session(crowd: Crowd, engine: MysqlEngine) -> None:
    async with may_name_xids(crowd, engine) as root:
        owner, waiter = Client(await crowd.server.connect(database=crowd.database)), await crowd.join()
        await prepare(owner, XID, 1)
        await owner.connection.ensure_closed()
        try:
            waiter.start("update orders set state = 2 where id = 1")
            await tree(engine, waiter)
            (found,) = [t for t in await engine.transactions() if t.prepared]
            assert (found.session.id, found.session.state) == (0, State.PREPARED)
            assert (found.blocks, found.rows_modified) == (1, 1)
            assert found.number is not None
            assert found.resolve is not None
            assert found.resolve == f"XA ROLLBACK {found.session.prepared}"
        finally:
            await root.ask(found.resolve if found.resolve else f"xa rollback {XID}")
        assert [t for t in await engine.transactions() if t.prepared] == []


async def test_without_the_privilege_a_prepared_one_has_no_name(crowd: Crowd, engine: MysqlEngine) -> None:
    if crowd.server.flavor != "mysql":
        pytest.skip("MariaDB asks for no privilege")
    root = Client(await crowd.server.connect(database=crowd.database))
    await prepare(root, XID, 1)
    try:
        (found,) = [t for t in await engine.transactions() if t.session.state is State.PREPARED]
        assert (found.session.prepared, found.resolve, found.rows_modified) == (None, None, 1)
    finally:
        await root.ask(f"xa rollback {XID}")
        root.connection.close()


async def test_only_its_own_session_can_end_a_connected_one(crowd: Crowd, engine: MysqlEngine) -> None:
    """Until it leaves: then anybody may."""
    async with may_name_xids(crowd, engine) as root:
        owner = Client(await crowd.server.connect(database=crowd.database))
        if crowd.server.flavor == "mysql":
            await owner.ask("set session xa_detach_on_prepare = OFF")
        await prepare(owner, XID, 1)
        found = await one_of(engine, owner)
        with pytest.raises(MySQLError) as refused:
            await root.ask(f"xa rollback {XID}")
        assert refused.value.args[0] == UNKNOWN_XID
        assert found is not None
        assert found.resolve is None
        others = [t for t in await engine.transactions() if t.session.state is State.PREPARED]
        told = found.session.prepared
        await (
            owner.connection.ensure_closed()
        )  # before anything can fail: its locks are in the way of the end
        assert told == (XID if crowd.server.flavor == "mysql" else "'g1','b1',7")
        assert others == []
        gone = [t for t in await engine.transactions() if t.resolve]
        assert [t.session.kind for t in gone] == ["prepared XA transaction"]
        await root.ask(str(gone[0].resolve))


async def test_of_several_connected_ones_each_is_one_of_them(crowd: Crowd, engine: MysqlEngine) -> None:
    """None stands there twice: as a session, and as a name without one."""
    async with may_name_xids(crowd, engine):
        owners = [Client(await crowd.server.connect(database=crowd.database)) for _ in range(2)]
        for row, owner in enumerate(owners, start=1):
            if crowd.server.flavor == "mysql":
                await owner.ask("set session xa_detach_on_prepare = OFF")
            await prepare(owner, f"'xid {row}'", row)
        found = {t.session.id: t.session.prepared or "" for t in await engine.transactions()}
        for row, owner in enumerate(owners, start=1):
            await owner.ask(f"xa rollback 'xid {row}'")
        assert found.keys() == {owner.connection.thread_id() for owner in owners}
        unsure = [name.startswith("one of ") for name in found.values()]
        assert unsure == [crowd.server.flavor == "mariadb"] * 2
        for owner in owners:
            await owner.connection.ensure_closed()


async def test_several_that_cannot_be_told_apart(crowd: Crowd, engine: MysqlEngine) -> None:
    async with may_name_xids(crowd, engine) as root:
        xids = ("'first'", "'second'")
        for row, xid in enumerate(xids, start=1):
            owner = Client(await crowd.server.connect(database=crowd.database))
            await prepare(owner, xid, row)
            await owner.connection.ensure_closed()
        try:

            async def both() -> bool:
                return len([t for t in await engine.transactions() if t.prepared and t.number]) == 2

            await until(both)
            found = [t for t in await engine.transactions() if t.prepared]
            assert [t.rows_modified for t in found] == [1, 1]
            for one in found:
                assert (one.session.prepared or "").startswith("one of ")
                assert (one.resolve or "").startswith("one of XA ROLLBACK ")
                assert (one.resolve or "").count("XA ROLLBACK") == 2
        finally:
            for xid in xids:
                await root.ask(f"xa rollback {xid}")


async def test_one_that_changed_nothing_has_only_a_name(crowd: Crowd, engine: MysqlEngine) -> None:
    async with may_name_xids(crowd, engine) as root:
        owner = Client(await crowd.server.connect(database=crowd.database))
        await owner.ask(f"xa start {XID}", "select * from orders", f"xa end {XID}", f"xa prepare {XID}")
        await owner.connection.ensure_closed()
        try:
            await until(lambda: rowless(engine))
            (found,) = [t for t in await engine.transactions() if t.prepared]
            assert (found.number, found.rows_modified) == (None, None)
            assert "without changes" in found.session.kind
            resolve = str(found.resolve)
        finally:
            with contextlib.suppress(MySQLError):  # MariaDB: XA_RBROLLBACK, and it is gone
                await root.ask(resolve)
        assert [t for t in await engine.transactions() if t.prepared] == []


async def rowless(engine: MysqlEngine) -> bool:
    return len([t for t in await engine.transactions() if t.prepared and t.number is None]) == 1


async def test_the_poll_itself_is_not_listed_but_another_console_is(
    crowd: Crowd, engine: MysqlEngine
) -> None:
    other = await crowd.join("dbdeck")
    await other.ask("begin", "update orders set state = 1 where id = 1")
    found: list[int] = []
    for _ in range(50):  # what InnoDB shows of transactions is a tenth of a second old, and more under load
        if found := [one.session.id for one in await engine.transactions()]:
            break
        await asyncio.sleep(0.1)
    assert found == [other.id]
