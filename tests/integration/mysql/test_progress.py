"""Long work on a real server, as far as it tells."""

from __future__ import annotations

import asyncio

import pytest

from console.engine.mysql.engine import MysqlEngine
from console.engine.mysql.progress_rows import CONSUMER_ON, INSTRUMENTS_ON
from console.model.progress import Progress, ProgressReport
from tests.integration.mysql.conftest import Client, Crowd, until
from tests.integration.mysql.test_tables import fill


async def looks(engine: MysqlEngine, session: int, pause: float = 0.1) -> list[Progress]:
    """What was reported of one session, until it is done."""
    found: list[Progress] = []
    async with asyncio.timeout(60):
        while True:
            mine = [one for one in (await engine.progress()).work if one.session == session]
            if not mine and found:
                return found
            found += mine
            await asyncio.sleep(pause)


async def record_stages(root: Client) -> None:
    await root.ask(
        "update performance_schema.setup_consumers set enabled = 'YES' where name = 'events_stages_current'"
    )


async def stop_recording(root: Client) -> None:
    await root.ask(
        "update performance_schema.setup_consumers set enabled = 'NO' where name like 'events_stages%'",
        INSTRUMENTS_ON,
    )


async def test_a_slow_alter_tells_how_far_it_is(crowd: Crowd, engine: MysqlEngine) -> None:
    root, changer = await crowd.root(), await crowd.root()
    await fill(root, f"{crowd.database}.big", 18)
    await record_stages(root)
    try:
        changer.start(f"alter table {crowd.database}.big force, algorithm = copy")
        seen = await looks(engine, changer.id, 0.05)
    finally:
        await stop_recording(root)
    told = [one for one in seen if one.total]
    assert told
    assert all(one.command == "ALTER TABLE" and one.object == f"{crowd.database}.big" for one in seen)
    assert all(one.started_at is not None and one.query for one in seen)
    done = [one.done or 0 for one in told if one.phase == told[0].phase]
    assert done == sorted(done)
    assert done[0] < done[-1]
    assert all(one.fraction is not None for one in told)
    assert any(one.estimate.rate and one.estimate.seconds is not None for one in told)


async def test_an_index_being_built_in_place(crowd: Crowd, engine: MysqlEngine) -> None:
    root, changer = await crowd.root(), await crowd.root()
    await fill(root, f"{crowd.database}.big", 17)
    await record_stages(root)
    try:
        changer.start(f"create index body on {crowd.database}.big (body(300))")
        seen = await looks(engine, changer.id, 0.05)
    finally:
        await stop_recording(root)
    told = [one for one in seen if one.total]
    assert told
    assert {one.command for one in seen} == {"CREATE INDEX"}
    assert {one.object for one in seen} == {f"{crowd.database}.big"}


async def test_an_alter_that_waits_names_who_it_waits_for(crowd: Crowd, engine: MysqlEngine) -> None:
    reader, changer = await crowd.join(), await crowd.root()
    await reader.ask("begin", "select * from orders")
    changer.start(f"alter table {crowd.table} add column more int")
    report = ProgressReport()

    async def waits() -> bool:
        nonlocal report
        report = await engine.progress()
        return any(one.waits_for for one in report.work)

    await until(waits)
    (alter,) = report.work
    assert (alter.session, alter.waits_for) == (changer.id, (reader.id,))
    assert "metadata lock" in alter.phase
    assert alter.done is None


async def test_a_rollback_counts_down(crowd: Crowd, engine: MysqlEngine) -> None:
    root, writer = await crowd.root(), await crowd.root()
    await fill(root, f"{crowd.database}.big", 16)
    await root.ask(f"create index body on {crowd.database}.big (body(100))")
    await writer.ask("begin", f"update {crowd.database}.big set body = concat('y', body)")
    writer.start("rollback")
    seen = await looks(engine, writer.id, 0.05)
    told = [one for one in seen if one.command == "ROLLBACK"]
    assert told
    assert all(one.unit == "rows" for one in told)
    assert (told[-1].done or 0) > 0
    assert told[0].total is not None
    assert told[0].total > 10_000


async def test_what_is_not_recorded_is_told_with_the_statement(crowd: Crowd, engine: MysqlEngine) -> None:
    if crowd.server.flavor == "mariadb":
        pytest.skip("MariaDB reports progress by itself")
    root = await crowd.root()
    assert any(CONSUMER_ON in note for note in (await engine.progress()).notes)
    await record_stages(root)
    await root.ask(
        "update performance_schema.setup_instruments set enabled = 'NO' where name like 'stage/innodb/alter%'"
    )
    try:
        notes = (await engine.progress()).notes
        assert not any(CONSUMER_ON in note for note in notes)
        assert any(INSTRUMENTS_ON in note for note in notes)
        for statement in (CONSUMER_ON, INSTRUMENTS_ON):
            await root.ask(statement)
        assert (await engine.progress()).notes == ()
    finally:
        await stop_recording(root)
