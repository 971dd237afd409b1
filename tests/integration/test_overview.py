"""The short look at a server on every engine: what it counts, whom it names, what it may not see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from console.engine.open import open_engine
from console.engine.port import Engine
from console.model.overview import Pulse, Track, rates
from console.present.reads import READS
from tests.command import Command
from tests.servers.accounts import APP, PASSWORDS
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.situations import Scene, scene
from tests.targets import target_of


@pytest_asyncio.fixture
async def shop(any_server: Server) -> AsyncIterator[Scene]:
    async with scene(any_server) as made:
        yield made


@pytest_asyncio.fixture
async def engine(any_server: Server) -> AsyncIterator[Engine]:
    async with open_engine(target_of(any_server)) as opened:
        yield opened


async def waiting(engine: Engine, many: int) -> Pulse:
    for _ in range(100):
        pulse = await engine.pulse()
        if (pulse.waiting or 0) >= many and pulse.queue is not None and pulse.queue.behind >= many:
            return pulse
        await asyncio.sleep(0.1)
    raise AssertionError(f"never saw {many} waiters, last {pulse}")


async def test_nobody_waits_and_what_is_there_is_counted(engine: Engine) -> None:
    pulse = await engine.pulse()
    assert (pulse.waiting, pulse.queue, pulse.unknown) == (0, None, ())
    assert pulse.connections is not None
    assert pulse.most is not None
    assert 0 < pulse.connections <= pulse.most
    assert pulse.at > pulse.started > 0
    assert pulse.wal is not None


async def test_who_waits_is_told_with_the_root_and_the_longest_wait(shop: Scene, engine: Engine) -> None:
    clients = await shop.chain(4)
    pulse = await waiting(engine, 3)
    assert pulse.waiting == 3
    assert pulse.queue is not None
    assert (pulse.queue.root, pulse.queue.behind) == (str(clients[0].id), 3)
    assert (pulse.queue.seconds or 0) > 0


async def test_work_and_the_log_have_rates_after_a_second_look(shop: Scene, engine: Engine) -> None:
    writer = await shop.client()
    track = Track()
    track.add(await engine.pulse(), 0.0)
    for number in range(1, 200):
        await writer.run(f"update orders set n = n + 1 where id = {number}")
    await asyncio.sleep(1.2)  # PostgreSQL's sessions tell what they did once a second
    await writer.run("select 1")
    await asyncio.sleep(0.2)
    track.add(await engine.pulse(), 2.0)
    assert (track.rates.work or 0) > 10
    assert (track.rates.wal or 0) > 100


async def test_a_login_without_rights_knows_that_it_does_not_know(
    any_server: Server, shop: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.root("somebody else")
    monkeypatch.setenv("DBDECK_TEST_APP", PASSWORDS[APP])
    target = target_of(
        any_server, database=shop.database, monitor={"user": APP, "password": "env:DBDECK_TEST_APP"}
    )
    async with open_engine(target) as engine:
        pulse = await engine.pulse()
    assert pulse.waiting is None
    assert any("GRANT" in why and APP in why for why in pulse.unknown)


async def test_numbers_are_old_only_where_they_can_run_out(any_server: Server, engine: Engine) -> None:
    found = (await engine.numbers()).numbers
    (health,) = await READS["health"](engine)
    if isinstance(any_server, MysqlServer):
        assert found == ()
        assert (health["xid_age"], health["xid_database"]) == (None, None)
    else:
        assert [one.kind for one in found] == ["xid", "multixact"]
        connection = await any_server.connect()
        oldest = "select datname::text from pg_database order by age(datfrozenxid) desc, datname limit 1"
        assert found[0].database == health["xid_database"] == await connection.fetchval(oldest)
        await connection.close()
        assert all(0 <= one.age < one.limits.stop for one in found)


async def test_the_rate_across_a_restart_is_not_known() -> None:
    before = Pulse(at=10.0, started=1.0, wal=900, work={"": 5})
    assert rates(before, Pulse(at=12.0, started=1.0, wal=1000, work={"": 25})).work == 10
    assert rates(before, Pulse(at=12.0, started=11.0, wal=1000, work={"": 25})).wal is None


async def test_the_command_tells_of_all_and_of_the_one_that_does_not_answer(
    any_server: Server, tmp_path: Path
) -> None:
    gone = any_server.target_dict() | {"host": "127.0.0.1", "port": 1, "tls": "off"}
    gone.pop("ca", None)
    command = Command(tmp_path, {"gone": gone, "t": any_server.target_dict()})
    done = await command.run("show", "overview", "--json")
    assert done.code == 3
    rows = done.rows
    assert (rows[0]["target"], rows[0]["trouble"]) == ("gone", "bad")
    there = next(row for row in rows if row["target"] == "t")
    assert there["waiting"] == 0
    assert there["work_per_second"] is not None
    assert "Connect call failed" in rows[0]["reasons"][0]["text"]
