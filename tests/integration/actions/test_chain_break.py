"""chain.break on real lock chains of every shape: the cheapest set ends, and everybody else runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from console.dispatch.action import Plan, Watch
from console.errors import Exit, Refused, Stale, UsageError
from console.model.whatif import after
from tests.command import Command
from tests.integration.actions.conftest import Desk, desk_on
from tests.servers import accounts
from tests.servers.postgres import PostgresServer
from tests.situations import Client, Scene, scene, touch


async def planned(desk: Desk, root: Client) -> Plan:
    key = await desk.key(root.id)
    return await desk.plan("chain.break", root=root.id, started_at=key["started_at"])


def chosen(plan: Plan) -> dict[int, str]:
    return {one["session"]["id"]: one["verb"] for one in plan.subject["sessions"]}


async def test_a_chain_is_broken_at_its_idle_root(shop: Scene, desk: Desk) -> None:
    clients = await shop.chain(4)
    await desk.waiting(*(client.id for client in clients[1:]))
    plan = await planned(desk, clients[0])
    assert chosen(plan) == {clients[0].id: "terminate"}
    assert any("releases 3 sessions" in line for line in plan.forecast), plan.forecast
    run = await desk.apply(plan)
    assert (run.effect, run.exit, run.error) == ("applied", Exit.OK, None)
    assert run.verify is not None
    assert run.verify.evidence["ended"] == [clients[0].id]
    assert run.verify.evidence["waiters_before"] == run.verify.evidence["waiters_released"] == 3
    assert await desk.kinds() == ["intent", "step", "outcome"]
    await desk.nobody_waits()


async def test_the_first_in_a_rows_queue_frees_nobody(shop: Scene, desk: Desk) -> None:
    """Those behind it wait for the row's holder next, whatever they are shown to wait for now."""
    holder = await shop.holder(7)
    first = await shop.waiter(7)
    await desk.waiting(first.id)
    late = [await shop.waiter(7) for _ in range(3)]
    tree = await desk.waiting(first.id, *(one.id for one in late))
    assert after(tree, {first.id}).released == ()
    assert set(after(tree, {holder.id}).released) == {first.id, *(one.id for one in late)}
    assert chosen(await planned(desk, holder)) == {holder.id: "terminate"}


async def test_two_idle_readers_end_for_their_writers(shop: Scene, desk: Desk) -> None:
    """A table lock in PostgreSQL: for a row it waits for one of its holders at a time, and shows only him.

    They write as well: MariaDB does not tell transactions apart that have written nothing.
    """
    readers = [await shop.client("report") for _ in range(2)]
    row = "select n from orders where id = 5 lock in share mode"
    for place, reader in enumerate(readers):
        await reader.run("begin")
        if desk.mysql:
            await reader.run(touch(1500 + place))
        await reader.run(row if desk.mysql else "lock table orders in share mode")
    writers = [await shop.waiter(5) for _ in range(6)]
    await desk.waiting(*(one.id for one in writers))
    plan = await planned(desk, readers[0])
    assert chosen(plan) == {reader.id: "terminate" for reader in readers}, plan.refusals
    run = await desk.apply(plan)
    assert (run.effect, run.exit) == ("applied", Exit.OK), run
    assert await desk.kinds() == ["intent", "step", "step", "outcome"]
    await desk.nobody_waits()


async def reader_ddl_readers(shop: Scene, desk: Desk, *, busy: bool) -> tuple[Client, Client, list[Client]]:
    """A reader in a transaction, DDL that waits for it, and readers that wait behind the DDL."""
    reader = await shop.client("report")
    await reader.run("begin")
    await reader.run("select count(*) from orders")
    if busy:
        sleep = (
            "select sleep(60) from orders limit 1"
            if desk.mysql
            else "select pg_sleep(60) from orders limit 1"
        )
        reader.wait(sleep)
    ddl = await shop.client("migration")
    ddl.wait("alter table orders add column extra int")
    await desk.waiting(ddl.id)
    late = [await shop.client("web") for _ in range(4)]
    for one in late:
        one.wait("select count(*) from orders")
    await desk.waiting(ddl.id, *(one.id for one in late))
    return reader, ddl, late


async def test_the_ddl_is_cancelled_where_its_reader_is_dearer_and_everybody_drains(
    shop: Scene, desk: Desk
) -> None:
    reader, ddl, late = await reader_ddl_readers(shop, desk, busy=True)
    plan = await planned(desk, reader)
    assert chosen(plan) == {ddl.id: "cancel"}
    run = await desk.apply(plan)
    assert (run.effect, run.exit) == ("applied", Exit.OK), run
    assert run.verify is not None
    assert run.verify.evidence["waiters_released"] == run.verify.evidence["waiters_before"] == len(late)
    await desk.nobody_waits()
    assert (await desk.session(ddl.id)).id == ddl.id, "the session of the DDL stays"
    assert (await desk.session(reader.id)).query is not None


async def test_an_idle_reader_ends_before_the_ddl_is_cancelled(shop: Scene, desk: Desk) -> None:
    reader, _, _ = await reader_ddl_readers(shop, desk, busy=False)
    plan = await planned(desk, reader)
    assert chosen(plan) == {reader.id: "terminate"}, plan
    run = await desk.apply(plan)
    assert (run.effect, run.exit) == ("applied", Exit.OK), run
    await desk.nobody_waits()


async def not_free_after(shop: Scene, desk: Desk, root: Client, waiters: int, holder: int) -> None:
    """Break the chain of `root`, after which `waiters` are held by `holder`."""
    plan = await planned(desk, root)
    assert chosen(plan) == {root.id: "terminate"}, plan
    run = await desk.apply(plan, watch=Watch(seconds=0))
    assert (run.effect, run.exit) == ("applied", Exit.PARTIAL), run
    assert run.verify is not None
    assert run.verify.evidence["ended"] == [root.id]
    assert len(run.verify.evidence["not_freed"]) == waiters
    assert run.verify.evidence["held_by"] == [holder]
    assert f"held by session {holder}" in run.verify.summary
    assert run.error is not None
    assert run.error.hint


async def test_a_second_reader_of_the_row_is_told_as_the_one_who_holds_on(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    """PostgreSQL shows only one of the holders of a shared row lock at a time."""
    async with scene(postgres18) as shop, desk_on(postgres18, tmp_path) as desk:
        readers = [await shop.client("report") for _ in range(2)]
        for reader in readers:
            await reader.run("begin")
            await reader.run("select n from orders where id = 5 for share")
        writers = [await shop.waiter(5) for _ in range(2)]
        first = (await desk.waiting(*(one.id for one in writers)))[0].session.id
        root, other = sorted(readers, key=lambda one: one.id != first)
        await not_free_after(shop, desk, root, 2, other.id)


async def test_a_read_lock_of_all_tables_that_was_got_by_it_is_told(shop: Scene, desk: Desk) -> None:
    if desk.server.flavor != "mysql":
        pytest.skip("only in MySQL FLUSH TABLES WITH READ LOCK waits for who reads")
    reader = await shop.client("report")
    reader.wait("select sleep(60) from orders limit 1")
    await desk.running(reader.id)  # else the backup gets its lock first
    backup = await shop.root("backup")
    backup.wait("flush tables with read lock")
    await desk.waiting(backup.id)
    writers = [await shop.waiter(number) for number in (5, 6)]
    await desk.waiting(*(one.id for one in writers))
    await not_free_after(shop, desk, reader, 2, backup.id)


async def test_a_second_time_there_is_nothing_to_break(shop: Scene, desk: Desk) -> None:
    holder = await shop.holder(1)
    plan = await planned(desk, holder)
    assert plan.statements == ()
    run = await desk.apply(plan)
    assert (run.effect, run.exit) == ("no_op", Exit.OK), run
    assert await desk.kinds() == ["intent", "outcome"]


async def test_a_root_without_its_start_or_with_another_is_not_guessed(shop: Scene, desk: Desk) -> None:
    clients = await shop.chain(2)
    await desk.waiting(clients[1].id)
    with pytest.raises(UsageError, match="needs the start") as missing:
        await desk.plan("chain.break", root=clients[0].id)
    assert "started_at=" in missing.value.hint
    with pytest.raises(Stale, match="another session"):
        await desk.plan("chain.break", root=clients[0].id, started_at="2001-01-01T00:00:00Z")


async def test_a_chain_that_changed_since_the_plan_is_stale(shop: Scene, desk: Desk) -> None:
    clients = await shop.chain(3)
    await desk.waiting(clients[1].id, clients[2].id)
    plan = await planned(desk, clients[0])
    await clients[0].run("commit")
    await asyncio.sleep(0.3)
    await clients[0].run("begin")
    await clients[0].run(touch(900))
    with pytest.raises(Stale, match="nothing was executed"):
        await desk.apply(plan)
    assert "intent" not in await desk.kinds()


async def test_stopped_before_the_first_nothing_is_sent(shop: Scene, desk: Desk) -> None:
    clients = await shop.chain(2)
    await desk.waiting(clients[1].id)
    watch = Watch(seconds=0)
    watch.stop.set()
    run = await desk.apply(await planned(desk, clients[0]), watch=watch)
    assert (run.effect, run.exit) == ("none", Exit.FAILED), run
    assert await desk.kinds() == ["intent", "outcome"]
    assert (await desk.session(clients[0].id)).id == clients[0].id


async def test_a_prepared_transaction_in_the_way_is_named_with_its_verb(shop: Scene, desk: Desk) -> None:
    prepared = await shop.client("coordinator")
    gid = await prepare(prepared, desk, 3)
    mysql = desk.server.flavor == "mysql"
    if mysql:
        await desk.as_superuser(f"grant xa_recover_admin on *.* to {accounts.MONITOR}@'%'")
    waiter = await shop.waiter(3)
    await desk.waiting(waiter.id)
    try:
        plan = await desk.plan("chain.break", root=0)
        assert len(plan.refusals) == 1
        assert "transaction.rollback_prepared gid=" in plan.refusals[0]
        with pytest.raises(Refused, match="rollback_prepared"):
            await desk.apply(plan)
    finally:
        await desk.as_superuser(
            f"xa rollback {gid}" if desk.mysql else f"rollback prepared {gid}",
            *([f"revoke xa_recover_admin on *.* from {accounts.MONITOR}@'%'"] if mysql else []),
            database=shop.database,
        )


async def prepare(client: Client, desk: Desk, order: int, name: str = "trip-1") -> str:
    """A prepared transaction whose client is gone. Gives its name as a literal."""
    gid = f"'{name}'"
    if desk.mysql:
        for sql in (f"xa start {gid}", touch(order), f"xa end {gid}", f"xa prepare {gid}"):
            await client.run(sql)
    else:
        for sql in ("begin", touch(order), f"prepare transaction {gid}"):
            await client.run(sql)
    await client.close()
    await asyncio.sleep(0.5)
    return gid


async def test_the_command_breaks_a_chain(shop: Scene, desk: Desk, command: Command) -> None:
    clients = await shop.chain(3)
    await desk.waiting(clients[1].id, clients[2].id)
    key: dict[str, Any] = await desk.key(clients[0].id)
    done = await command.run(
        "apply", "chain.break", "-t", "t", "--json", "--yes", "--reason", "a test",
        f"root={key['id']}", f"started_at={key['started_at']}",
    )  # fmt: skip
    assert done.code == 0, done
    assert done.document["verify"]["evidence"]["ended"] == [clients[0].id]
    assert (await command.run("audit", "verify", "--json")).document["ok"] is True


async def test_a_root_that_the_server_does_not_tell_is_not_said_to_block_nobody(
    shop: Scene, desk: Desk
) -> None:
    if desk.server.flavor != "mariadb":
        pytest.skip("only MariaDB does not tell transactions apart that have written nothing")
    readers = [await shop.client("report") for _ in range(2)]
    for reader in readers:
        await reader.run("begin")
        await reader.run("select n from orders where id = 5 lock in share mode")
    waiter = await shop.waiter(5)
    await desk.waiting(waiter.id)
    plan = await planned(desk, readers[0])
    assert "the server does not tell for which" in plan.refusals[0]
    with pytest.raises(Refused, match=r"session\.terminate ends one of them"):
        await desk.apply(plan)
    one = await desk.plan("session.terminate", **await desk.key(readers[0].id))
    assert one.forecast[0].startswith("1 session waits for one of the sessions")
    end = await desk.apply(one)
    assert end.verify is not None
    assert (end.verify.evidence["waiters_before"], end.verify.evidence["waiters_released"]) == (1, 0)
