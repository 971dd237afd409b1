"""One contract, every sink."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from console.audit.export import export_lines, verify_exports
from console.audit.ledger import Ledger
from console.audit.record import AlreadyRecorded, Kind, canonical_json
from console.audit.table.port import Query, sql
from console.audit.table.sqlite import asked
from console.errors import UsageError
from console.secrets import Secret
from tests.audit.sinks import PostgresSink, Sink, SqliteSink
from tests.servers.accounts import OPERATOR

APPENDS = 60
READ_BY_INDEX = """select coalesce(sum(idx_tup_read), 0)::bigint from pg_stat_user_indexes
    where schemaname = 'dbdeck_audit' and relname = 'entry'"""
HOSTILE = {"statement": "select 'é😀' -- \\ \" ' %s %(x)s \u2028 \0 \x1b[31m \udcff", "big": "x" * 100_000}


async def an_action(ledger: Ledger, status: str = "applied") -> UUID:
    action = uuid4()
    await ledger.append(Kind.INTENT, action, {"action": "session.terminate"})
    await ledger.append(Kind.STEP, action, {"n": 1}, parent=action)
    await ledger.append_late(Kind.OUTCOME, action, {"status": status})
    return action


async def test_a_row_reads_back_as_it_was_written(sink: Sink) -> None:
    action, parent = uuid4(), uuid4()
    async with sink.open() as ledger:
        made = await ledger.append(Kind.INTENT, action, HOSTILE, parent=parent, idempotency_key="schlüssel 1")
        (read,) = await ledger.entries(action_id=action)
        found = await ledger.verify()
    assert made.recorded
    assert (read.id, read.at, read.seq, read.link, read.seal) == (made.id, made.at, 2, made.link, made.seal)
    assert (read.writer, read.parent, read.idempotency_key) == (ledger.writer, parent, "schlüssel 1")
    assert read.body == canonical_json(HOSTILE)
    assert abs(read.at - datetime.now(UTC)) < timedelta(minutes=1)
    assert found.ok


def test_a_file_finds_the_rows_of_an_action_by_an_index(tmp_path: Path) -> None:
    """All rows were read for them: seconds at a million, and more than the deadline."""
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.executescript(sql("sqlite.sql"))
        for query in (Query(action_id=uuid4()), Query(action_id=uuid4(), kinds=(Kind.OUTCOME,), limit=1)):
            text, values = asked(query)
            plan = connection.execute(f"explain query plan {text}", values).fetchall()
            assert any("SEARCH entry USING INDEX entry_action" in row[-1] for row in plan), plan
        text, values = asked(Query())
        assert connection.execute(text, values).fetchall() == []


async def test_the_actions_of_a_run_are_found_by_it(sink: Sink) -> None:
    run = uuid4()
    async with sink.open() as ledger:
        await ledger.append(Kind.INTENT, uuid4(), {"action": "a"}, parent=uuid4())
        mine = await ledger.append(Kind.INTENT, uuid4(), {"action": "b"}, parent=run)
        found = await ledger.entries(parent=run)
    assert [row.id for row in found] == [mine.id]


async def test_a_server_says_who_writes_and_a_file_does_not(sink: Sink) -> None:
    async with sink.open() as ledger:
        await ledger.append(Kind.NOTE, uuid4(), {})
        assert ledger.own_person == ("" if sink.url.startswith("sqlite") else OPERATOR)


async def test_opening_and_closing_are_rows(sink: Sink) -> None:
    async with sink.open(about={"command": "dbdeck apply"}) as ledger:
        pass
    async with sink.open(write=False) as reader:
        rows = await reader.entries(newest_first=False)
        with pytest.raises(UsageError):
            await reader.append(Kind.NOTE, uuid4(), {})
    assert [row.kind for row in rows] == ["open", "close"]
    assert {row.writer for row in rows} == {ledger.writer}
    assert '"command":"dbdeck apply"' in (rows[0].body or "")
    assert '"code_hash":"' in (rows[0].body or "")


async def test_one_intent_and_one_outcome_an_action(sink: Sink) -> None:
    async with sink.open() as ledger, sink.open() as other:
        action = await an_action(ledger)
        for late, kind in ((False, Kind.INTENT), (True, Kind.OUTCOME)):
            append = other.append_late if late else other.append
            with pytest.raises(AlreadyRecorded) as caught:
                await append(kind, action, {"status": "failed"})
            assert caught.value.action_id == action
        await an_action(other)
        assert other.pending == 0
        assert (await ledger.verify()).ok


async def test_a_second_intent_is_refused_by_a_file_that_lost_its_indexes(disk: Path, journal: Path) -> None:
    sink = SqliteSink(disk / "audit.db", journal)
    async with sink.open() as ledger:
        action = await an_action(ledger)
        await sink.attack("drop index entry_one_intent", "drop index entry_one_outcome")
        with pytest.raises(AlreadyRecorded):
            await ledger.append(Kind.INTENT, action, {})


async def test_an_idempotency_key_tells_the_earlier_action(sink: Sink) -> None:
    async with sink.open() as ledger, sink.open() as other:
        earlier = uuid4()
        await ledger.append(Kind.INTENT, earlier, {}, idempotency_key="ticket-1")
        with pytest.raises(AlreadyRecorded) as caught:
            await other.append(Kind.INTENT, uuid4(), {}, idempotency_key="ticket-1")
        assert caught.value.action_id == earlier
        assert await other.find_idempotency("ticket-1") == earlier
        assert await other.find_idempotency("ticket-1 ") is None
        await an_action(other)
        assert (await other.verify()).ok


async def test_the_same_key_at_the_same_time_is_taken_once(sink: Sink) -> None:
    async with sink.open() as ledger, sink.open() as other:
        tried = await asyncio.gather(
            *(one.append(Kind.INTENT, uuid4(), {}, idempotency_key="k") for one in (ledger, other)),
            return_exceptions=True,
        )
        assert sorted(type(one).__name__ for one in tried) == ["AlreadyRecorded", "Receipt"]
        assert (await ledger.verify()).ok


async def test_entries_can_be_chosen(sink: Sink) -> None:
    async with sink.open() as ledger:
        first, second = await an_action(ledger), await an_action(ledger)
        newest = await ledger.entries(limit=2)
        outcomes = await ledger.entries(kinds=[Kind.OUTCOME, Kind.RESOLVED], newest_first=False)
        one = await ledger.entries(action_id=first, kinds=[Kind.STEP])
        everything = [row async for row in ledger.stream()]
    assert [row.seq for row in newest] == [7, 6]
    assert [row.action_id for row in outcomes] == [first, second]
    assert [row.parent for row in one] == [first]
    assert [row.seq for row in everything] == [1, 2, 3, 4, 5, 6, 7]


async def test_an_intent_is_open_until_its_end_is_known(sink: Sink) -> None:
    async with sink.open() as ledger:
        lost, unknown = uuid4(), await an_action(ledger, "unknown")
        await an_action(ledger)
        await ledger.append(Kind.INTENT, lost, {"target": "orders"})
        found = {one.action_id: one for one in await ledger.open_intents()}
        assert set(found) == {lost, unknown}
        assert found[lost].alive
        assert (found[lost].body, found[lost].outcome) == ({"target": "orders"}, None)
        assert found[unknown].outcome == "unknown"
    async with sink.open() as later:
        (dead,) = [one for one in await later.open_intents() if one.action_id == lost]
        assert not dead.alive
        for action in (lost, unknown):
            await later.append_late(Kind.RESOLVED, action, {"status": "not_applied"})
        assert await later.open_intents() == []
        assert (await later.verify()).open_intents == ()


async def test_a_secret_is_never_recorded(sink: Sink) -> None:
    async with sink.open() as ledger:
        with pytest.raises(TypeError):
            await ledger.append(Kind.INTENT, uuid4(), {"arguments": {"password": Secret("hunter2")}})
        await an_action(ledger)
        assert (await ledger.verify()).ok
        rows = await ledger.entries()
    told = "".join(row.body or "" for row in rows) + "".join(
        path.read_text() for path in sink.journal.iterdir()
    )
    assert "hunter2" not in told


async def test_an_export_verifies_without_the_server(sink: Sink) -> None:
    async with sink.open() as ledger:
        await ledger.append(Kind.NOTE, uuid4(), HOSTILE)
        lines = list(export_lines(await ledger.entries(newest_first=False)))
    path = sink.journal / "export"
    await asyncio.to_thread(path.write_text, "".join(f"{line}\n" for line in lines))
    assert verify_exports([path])[0].ok
    await asyncio.to_thread(path.write_text, "".join(f"{line}\n" for line in lines).replace("xxx", "xyx"))
    assert {fault.kind for fault in verify_exports([path])[0].faults} == {"body"}


@pytest.mark.parametrize("writers", [16])
async def test_concurrent_writers_leave_no_fault(sink: Sink, writers: int) -> None:
    async def work() -> None:
        async with sink.open(deadline=30) as ledger:
            for _ in range(5):
                await an_action(ledger)

    async def watch() -> None:
        async with sink.open(write=False) as ledger:
            while len(running) > 0:
                assert (await ledger.verify()).ok
                await asyncio.sleep(0.05)

    running = {asyncio.create_task(work()) for _ in range(writers)}
    for task in running:
        task.add_done_callback(running.discard)
    await asyncio.sleep(0.2)
    await asyncio.gather(watch(), *list(running))
    async with sink.open(write=False) as ledger:
        found = await ledger.verify()
        rows = await ledger.entries(limit=1000)
    assert found.faults == ()
    assert (found.rows, found.writers, found.open_intents) == (len(rows), writers, ())
    # To say goodbye is tried for a moment only: what was promised is recorded by then.
    assert sum(row.kind != Kind.CLOSE for row in rows) == writers * 16


async def test_a_cancelled_caller_leaves_no_open_intent(sink: Sink) -> None:
    async with sink.open() as ledger:
        for pause in (0.0, 0.0005, 0.001, 0.003, 0.01):
            action = uuid4()
            task = asyncio.ensure_future(ledger.append(Kind.INTENT, action, {}))
            await asyncio.sleep(pause)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if not task.cancelled() and task.exception() is None:
                await ledger.append_late(Kind.OUTCOME, action, {"status": "no_op"})
    async with sink.open(write=False) as reader:
        found = await reader.verify()
    assert found.ok
    assert found.open_intents == ()


async def test_an_append_does_not_read_the_rows_of_its_writer(postgres_sink: PostgresSink) -> None:
    """Also on a table that nobody has analyzed: there a look by writer and number took another index, and
    read all rows of the writer, each time."""
    async with postgres_sink.open() as ledger:
        for number in range(APPENDS):
            await ledger.append(Kind.STEP, uuid4(), {"n": number})
    connection = await postgres_sink.server.connect(database=postgres_sink.database)
    try:
        read = 0
        while read < APPENDS:  # a session tells of what it did when it has ended
            await asyncio.sleep(0.05)
            read = await connection.fetchval(READ_BY_INDEX)
    finally:
        await connection.close()
    assert read < 10 * APPENDS
