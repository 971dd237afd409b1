"""Real deadlocks: every one is found, once, with the victim that the server chose."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pymysql.err import MySQLError

from console.engine.mysql.deadlock_rows import LOG, STATUS
from console.engine.mysql.deadlocks import IN_MEMORY
from console.engine.mysql.engine import MysqlEngine
from console.errors import Unreachable
from console.model.deadlocks import Deadlock
from tests.integration.mysql.conftest import Client, Crowd, a_target, until
from tests.servers.mysql import MysqlServer
from tests.servers.proxy import tcp_proxy

DEADLOCK = 1213


@asynccontextmanager
async def watching(server: MysqlServer, log: Path | None) -> AsyncIterator[MysqlEngine]:
    engine = MysqlEngine(a_target(server, log=str(log) if log else None))
    yield engine
    await engine.close()


async def refused(client: Client, statement: str) -> bool:
    """Whether it was the victim."""
    try:
        await client.ask(statement)
    except MySQLError as error:
        if error.args[0] != DEADLOCK:
            raise
        return True
    return False


async def cross(first: Client, second: Client, *, heavy: Client) -> int:
    """One deadlock; the connection id of the client that got error 1213. The light one is chosen."""
    for client, row in ((first, 1), (second, 2)):
        await client.ask("begin", f"update orders set state = state + 1 where id = {row}")
    for row in (10, 20):
        await heavy.ask(f"update orders set state = state + 1 where id = {row}")
    lost = await asyncio.gather(
        refused(first, "update orders set state = state + 1 where id = 2"),
        refused(second, "update orders set state = state + 1 where id = 1"),
    )
    assert sum(lost) == 1
    survivor, victim = (second, first) if lost[0] else (first, second)
    await survivor.ask("commit")
    return victim.id


def of(clients: tuple[Client, ...], deadlocks: tuple[Deadlock, ...]) -> list[Deadlock]:
    """Those of these clients, the oldest first. A restarted server gives their numbers out again."""
    ids = {client.id for client in clients}
    table = f"{clients[0].connection.db}.orders "
    mine = [
        one
        for one in deadlocks
        if {p.session for p in one.participants} == ids
        and all(p.wants and p.wants.object.startswith(table) for p in one.participants)
    ]
    return sorted(mine, key=lambda one: one.at)


async def any_lost(waits: list[asyncio.Task[bool]]) -> bool:
    return any(task.done() and task.result() for task in waits)


def victims(deadlocks: list[Deadlock]) -> list[int | None]:
    return [one.victim.session if one.victim else None for one in deadlocks]


async def test_a_hundred_at_full_speed_from_the_log(crowd: Crowd) -> None:
    pair = await crowd.join(), await crowd.join()
    async with watching(crowd.server, crowd.server.log) as engine:
        before = await engine.deadlocks()
        lost = [await cross(*pair, heavy=pair[n % 2]) for n in range(100)]
        history = await engine.deadlocks()
        again = await engine.deadlocks()
    found = of(pair, history.deadlocks)
    assert len(found) == len({one.ident for one in found}) == 100
    assert sorted(victims(found), key=str) == sorted(lost, key=str)
    if crowd.server.flavor == "mysql":  # its times are exact enough for the order
        assert victims(found) == lost
    assert before.counted is not None
    assert history.counted == before.counted + 100
    assert history.missed == before.missed
    assert [note for note in history.notes if "metadata" not in note] == []
    assert again == history
    assert set(lost) == {client.id for client in pair}


async def test_a_hundred_from_status_when_it_looks_after_each(crowd: Crowd) -> None:
    pair = await crowd.join(), await crowd.join()
    lost = []
    async with watching(crowd.server, None) as engine:
        before = await engine.deadlocks()
        for n in range(100):
            lost.append(await cross(*pair, heavy=pair[n // 3 % 2]))
            history = await engine.deadlocks()
            newest = of(pair, history.deadlocks)
            assert len(newest) == n + 1
    found = of(pair, history.deadlocks)
    assert len({one.ident for one in found}) == 100
    assert sorted(victims(found), key=str) == sorted(lost, key=str)
    assert history.missed == before.missed
    assert "set `log:` of this target" in " ".join(history.notes)


async def test_what_nothing_told_of_is_counted(crowd: Crowd) -> None:
    pair, root = (await crowd.join(), await crowd.join()), await crowd.root()
    await root.ask("set global innodb_print_all_deadlocks = OFF")
    try:
        async with watching(crowd.server, None) as engine:
            before = await engine.deadlocks()
            for _ in range(3):
                for n in range(7):
                    last = await cross(*pair, heavy=pair[n % 2])
                history = await engine.deadlocks()
    finally:
        await root.ask("set global innodb_print_all_deadlocks = ON")
    found = of(pair, history.deadlocks)
    assert len(found) == 3
    assert victims(found)[-1] == last
    assert history.missed == before.missed + 18
    assert before.counted is not None
    assert history.counted == before.counted + 21
    assert "SET GLOBAL innodb_print_all_deadlocks = ON" in " ".join(history.notes)
    assert f"{history.missed} happened" in " ".join(history.notes)


async def test_the_log_and_the_status_tell_of_one_deadlock_once(crowd: Crowd) -> None:
    pair = await crowd.join(), await crowd.join()
    lost = await cross(*pair, heavy=pair[0])
    async with watching(crowd.server, crowd.server.log) as engine:
        found = of(pair, (await engine.deadlocks()).deadlocks)
    async with watching(crowd.server, None) as engine:
        alone = of(pair, (await engine.deadlocks()).deadlocks)
    assert victims(found) == victims(alone) == [lost] == [pair[1].id]
    assert found[0].ident == alone[0].ident
    assert (alone[0].source, found[0].source) == (STATUS, LOG)
    assert abs(datetime.now(UTC) - alone[0].at) < timedelta(seconds=30)
    assert abs(found[0].at - alone[0].at) < timedelta(seconds=2)


async def test_who_wanted_and_held_what(crowd: Crowd) -> None:
    first, second = await crowd.join(), await crowd.join()
    lost = await cross(first, second, heavy=first)
    async with watching(crowd.server, None) as engine:
        (found,) = of((first, second), (await engine.deadlocks()).deadlocks)
    by_session = {one.session: one for one in found.participants}
    rows = {first.id: (1, 2), second.id: (2, 1)}
    for session, (held, wanted) in rows.items():
        one = by_session[session]
        assert one.wants is not None
        assert (one.wants.object, one.wants.mode) == (
            f"{crowd.table} index PRIMARY ({wanted})",
            "X locks rec but not gap",
        )
        assert [lock.object for lock in one.holds] == [f"{crowd.table} index PRIMARY ({held})"]
        assert one.statement == f"update orders set state = state + 1 where id = {wanted}"
        assert (one.user, one.client) == ("app_user", "localhost")
        assert one.victim == (session == lost)


async def test_three_in_a_circle(crowd: Crowd) -> None:
    ring = [await crowd.join() for _ in range(3)]
    rows = (1, 2, 3)
    for client, row in zip(ring, rows, strict=True):
        await client.ask("begin", f"update orders set state = 1 where id = {row}")
    trap = "\n*** (1) TRANSACTION:\n*** WE ROLL BACK TRANSACTION (9)\n*/"
    waits = []
    for client, row in zip(ring, (2, 3, 1), strict=True):
        text = f"/*{trap} update orders set state = 2 where id = {row}"
        waits.append(asyncio.create_task(refused(client, text)))
        await asyncio.sleep(0.1)
    async with watching(crowd.server, crowd.server.log) as engine:
        await until(lambda: any_lost(waits))
        lost = next(c.id for c, task in zip(ring, waits, strict=True) if task.done() and task.result())
        (found,) = of(tuple(ring), (await engine.deadlocks()).deadlocks)
    for client, task in zip(ring, waits, strict=True):
        if not task.done():
            await (await crowd.root()).ask(f"kill {client.id}")
            await asyncio.wait([task])
            task.exception()
    assert victims([found]) == [lost]
    order = [one.session for one in found.participants]
    start = order.index(ring[0].id)
    assert order[start:] + order[:start] == [client.id for client in ring]
    assert all(one.statement and trap in one.statement for one in found.participants)


async def test_a_reader_without_a_number_of_its_own(crowd: Crowd) -> None:
    writer, reader = await crowd.join(), await crowd.join()
    await writer.ask("begin", "update orders set state = 1 where id = 1")
    await reader.ask("begin", "select * from orders where id = 2 lock in share mode")
    lost = await asyncio.gather(
        refused(writer, "update orders set state = 1 where id = 2"),
        refused(reader, "select * from orders where id = 1 lock in share mode"),
    )
    async with watching(crowd.server, None) as engine:
        (found,) = of((writer, reader), (await engine.deadlocks()).deadlocks)
    assert victims([found]) == [writer.id if lost[0] else reader.id]
    held = {one.session: [lock.object for lock in one.holds] for one in found.participants}
    assert f"{crowd.table} index PRIMARY (2)" in held[reader.id]
    assert f"{crowd.table} index PRIMARY (1)" in held[writer.id]


async def test_bodies_without_headings(crowd: Crowd) -> None:
    """MySQL with log_error_verbosity below 3: participants, but neither victim nor time."""
    if crowd.server.flavor != "mysql":
        pytest.skip("MariaDB writes the headings always")
    pair, root = (await crowd.join(), await crowd.join()), await crowd.root()
    await root.ask("set global log_error_verbosity = 2")
    try:
        async with watching(crowd.server, crowd.server.log) as engine:
            before = await engine.deadlocks()
            lost = [await cross(*pair, heavy=pair[n % 2]) for n in range(20)]
            history = await engine.deadlocks()
    finally:
        await root.ask("set global log_error_verbosity = 3")
    found = of(pair, history.deadlocks)
    assert len(found) == 20
    assert history.missed == before.missed
    assert [one.victim.session for one in found if one.victim] == lost[-1:]  # STATUS told of the last one
    assert "SET GLOBAL log_error_verbosity = 3" in " ".join(history.notes)


async def test_times_without_bodies(crowd: Crowd) -> None:
    """MySQL's error log in memory: when, and nothing more."""
    if crowd.server.flavor != "mysql":
        pytest.skip("MariaDB has no performance_schema.error_log")
    pair = await crowd.join(), await crowd.join()
    async with watching(crowd.server, None) as engine:
        before = await engine.deadlocks()
        for n in range(5):
            await cross(*pair, heavy=pair[n % 2])
        history = await engine.deadlocks()
    old = {one.ident for one in before.deadlocks}
    new = [one for one in history.deadlocks if one.ident not in old]
    assert len(new) == 5
    assert [one.source for one in new].count(IN_MEMORY) == 4
    assert history.missed == before.missed
    assert "of " in " ".join(history.notes)


async def test_a_log_that_cannot_be_read(crowd: Crowd, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        async with watching(crowd.server, path) as engine:
            history = await engine.deadlocks()
        assert str(path) in " ".join(history.notes)
        assert history.counted is not None


async def test_without_privileges_it_says_what_is_missing(crowd: Crowd) -> None:
    root = await crowd.root()
    await root.ask(
        "create user nobody_much@'%' identified by 'app-pw'",
    )
    os.environ["DBDECK_TEST_NOBODY"] = "app-pw"
    login = {"user": "nobody_much", "password": "env:DBDECK_TEST_NOBODY"}
    engine = MysqlEngine(a_target(crowd.server, monitor=login))
    try:
        history = await engine.deadlocks()
    finally:
        await engine.close()
        await root.ask("drop user nobody_much@'%'")
    grant = "GRANT PROCESS ON *.* TO 'nobody_much'@'%';"
    assert grant in " ".join(history.notes)
    assert history.deadlocks == ()
    if crowd.server.flavor == "mysql":
        assert (history.counted, history.missed) == (None, 0)
    else:  # its counter is a status variable
        assert history.counted is not None
        assert history.missed == history.counted


async def test_detection_and_reports_that_are_switched_off(crowd: Crowd) -> None:
    root = await crowd.root()
    reported = crowd.server.flavor == "mariadb"
    await root.ask("set global innodb_deadlock_detect = OFF")
    if reported:
        await root.ask("set global innodb_deadlock_report = off")
    try:
        async with watching(crowd.server, None) as engine:
            notes = " ".join((await engine.deadlocks()).notes)
    finally:
        await root.ask("set global innodb_deadlock_detect = ON")
        if reported:
            await root.ask("set global innodb_deadlock_report = full")
    assert "SET GLOBAL innodb_deadlock_detect = ON;" in notes
    assert ("SET GLOBAL innodb_deadlock_report = full;" in notes) == reported


async def test_after_a_restart_the_counter_begins_anew(crowd: Crowd) -> None:
    """What was known stays known; the log of the run before is not taken for one of this."""
    pair = await crowd.join(), await crowd.join()
    lost = await cross(*pair, heavy=pair[0])
    async with watching(crowd.server, crowd.server.log) as engine:
        assert victims(of(pair, (await engine.deadlocks()).deadlocks)) == [lost]
        await asyncio.to_thread(crowd.server.restart)
        with pytest.raises(Unreachable):
            await engine.deadlocks()
        history = await engine.deadlocks()
        again = await crowd.join(), await crowd.join()
        second = await cross(*again, heavy=again[0])
        later = await engine.deadlocks()
    assert (history.counted, history.missed) == (0, 0)
    assert victims(of(pair, history.deadlocks)) == [lost]
    assert (later.counted, later.missed) == (1, 0)
    assert of(again, later.deadlocks)[-1].victim is not None
    assert victims(of(again, later.deadlocks))[-1] == second
    async with watching(crowd.server, crowd.server.log) as fresh:
        assert (await fresh.deadlocks()).missed == 0


async def test_deadlocks_of_metadata_locks_are_no_ones_of_innodb(crowd: Crowd) -> None:
    """Error 1213 all the same; MySQL counts those, and nothing describes them."""
    reader, ddl = await crowd.join(), await crowd.join()
    await reader.ask("create table a (id int)", "create table z (id int)", "begin", "select * from z")
    async with watching(crowd.server, crowd.server.log) as engine:
        before = await engine.deadlocks()
        ddl.start("rename table a to a2, z to z2")
        await asyncio.sleep(0.5)
        assert await refused(reader, "select * from a")
        history = await engine.deadlocks()
    assert history.counted == before.counted
    assert history.deadlocks == before.deadlocks
    told = [note for note in history.notes if "of metadata locks" in note]
    assert len(told) == (1 if crowd.server.flavor == "mysql" else 0)


async def test_those_of_another_server_behind_the_same_address_are_not_told(crowd: Crowd) -> None:
    pair = await crowd.join(), await crowd.join()
    other = await asyncio.to_thread(MysqlServer, crowd.server.flavor)
    try:
        async with tcp_proxy(crowd.server.host, crowd.server.port) as proxy:
            engine = MysqlEngine(a_target(crowd.server, host=proxy.host, port=proxy.port, tls="off"))
            await engine.deadlocks()
            await cross(*pair, heavy=pair[0])
            assert len(of(pair, (await engine.deadlocks()).deadlocks)) == 1
            proxy.target = (other.host, other.port)
            proxy.kill()
            with contextlib.suppress(Unreachable):
                await engine.deadlocks()
            assert (await engine.deadlocks()).deadlocks == ()
            await engine.close()
    finally:
        await asyncio.to_thread(other.close)
