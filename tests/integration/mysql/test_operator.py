"""The pinned connection that effects run on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from console.engine.mysql.engine import MysqlEngine
from console.engine.mysql.operator import MysqlOperator
from console.engine.port import Statement
from console.errors import ActionFailed, OutcomeUnknown
from console.model.sessions import State
from console.model.target import Target
from tests.integration.mysql.conftest import Client, Crowd, tree, until


async def an_operator(target: Target, who: str = "ann@ops") -> MysqlOperator:
    assert target.operator is not None
    return await MysqlOperator.connect(target, target.operator, purpose=f"operator {who}")


@pytest.fixture
async def operator(target: Target) -> AsyncIterator[MysqlOperator]:
    made = await an_operator(target)
    yield made
    await made.close()


def statement(sql: str, *args: object) -> Statement:
    return Statement(sql=sql, args=args, shown=sql)


async def test_rows_and_identity(operator: MysqlOperator, engine: MysqlEngine) -> None:
    assert await operator.run(statement("select 6 * %s, 'a%%'", 7), timeout=5) == [(42, "a%")]
    assert await operator.run(statement("do 0"), timeout=5) == []
    mine, theirs = await operator.identity(), await engine.identity()
    assert (mine.system_id, mine.started_at) == (theirs.system_id, theirs.started_at)
    assert operator.user == "dbdeck_operator@%"
    names = {session.application for session in await engine.sessions()}
    assert "dbdeck operator ann@ops" in names


async def test_without_a_right_on_the_database_of_the_target_it_gets_in(target: Target, crowd: Crowd) -> None:
    """Who only ends sessions has a right on none: the documented GRANTs are enough with any `database`."""
    made = await an_operator(msgspec.structs.replace(target, database=crowd.database))
    try:
        assert await made.run(statement("select database()"), timeout=5) == [(None,)]
    finally:
        await made.close()


async def test_the_rows_of_several_statements_in_one_packet(operator: MysqlOperator) -> None:
    several = statement("set @dbdeck = %s; do 0; select @dbdeck; select 2", 7)
    assert await operator.run(several, timeout=5) == [(7,)]


async def test_a_refusal_is_known_to_have_done_nothing(operator: MysqlOperator) -> None:
    with pytest.raises(ActionFailed, match=r"\(1094\)"):
        await operator.run(statement("kill 4000000000"), timeout=5)
    with pytest.raises(ActionFailed, match=r"\(1094\)"):
        await operator.run(statement("set @dbdeck = null; kill query @dbdeck"), timeout=5)
    assert await operator.run(statement("select 1"), timeout=5) == [(1,)]


async def test_an_answer_that_does_not_come_is_unknown_and_nothing_is_sent_after_it(
    operator: MysqlOperator,
) -> None:
    with pytest.raises(OutcomeUnknown):
        await operator.run(statement("select sleep(2)"), timeout=0.2)
    with pytest.raises(ActionFailed, match="nothing was sent"):
        await operator.run(statement("select 1"), timeout=5)


async def test_a_connection_that_is_lost_under_a_statement(operator: MysqlOperator, crowd: Crowd) -> None:
    root = await crowd.root()
    ((mine,),) = await operator.run(statement("select connection_id()"), timeout=5)
    running = asyncio.create_task(operator.run(statement("select sleep(30)"), timeout=60))
    await asyncio.sleep(0.3)
    await root.ask(f"kill {mine}")
    with pytest.raises(OutcomeUnknown):
        await running


async def test_one_run_at_a_time(operator: MysqlOperator, target: Target) -> None:
    other = await an_operator(target, "bob@ops")
    try:
        assert await operator.hold("session.terminate") is None
        holder = await other.hold("session.terminate")
        assert holder is not None
        assert holder.startswith("dbdeck operator ann@ops (connection ")
        assert await other.hold("index.create") is None
        await operator.let_go("session.terminate")
        assert await other.hold("session.terminate") is None
    finally:
        await other.close()


# What actions may build on: the server itself compares identity and kills, in one round trip.

MYSQL_CANCEL = (
    "set @dbdeck = (select t.processlist_id from performance_schema.threads t"
    " join performance_schema.events_statements_current e"
    " on e.thread_id = t.thread_id and e.nesting_event_level = 0"
    " where t.processlist_id = %s and e.statement_id = %s and e.end_event_id is null);"
    " kill query @dbdeck"
)


async def _sleeping(crowd: Crowd, engine: MysqlEngine) -> tuple[Client, int]:
    client = await crowd.join()
    await client.ask("begin", "update orders set state = 1 where id = 4")
    client.start("select sleep(60)")

    async def runs() -> bool:
        found = await engine.session(client.id)
        return found is not None and found.query == "select sleep(60)" and found.state is State.ACTIVE

    await until(runs)
    found = await engine.session(client.id)
    assert found is not None
    assert found.query_id is not None
    return client, found.query_id


async def test_cancel_is_bound_to_the_statement(
    crowd: Crowd, engine: MysqlEngine, operator: MysqlOperator
) -> None:
    client, query_id = await _sleeping(crowd, engine)
    if crowd.server.flavor == "mysql":
        stale = statement(MYSQL_CANCEL, client.id, query_id + 1000000)
        exact = statement(MYSQL_CANCEL, client.id, query_id)
    else:
        stale = statement("kill query id %s", query_id + 1000000)
        exact = statement("kill query id %s", query_id)
    with pytest.raises(ActionFailed, match=r"\(1094\)|\(1957\)"):
        await operator.run(stale, timeout=5)
    still = await engine.session(client.id)
    assert still is not None
    assert still.query_id == query_id
    await operator.run(exact, timeout=5)
    await client.finish()

    async def idle_again() -> bool:
        ended = await engine.session(client.id)
        return ended is not None and ended.state is State.IDLE_IN_TRANSACTION

    await until(idle_again)
    await client.ask("do 0")  # MariaDB knows the last statement of an idle session, and ends nothing
    with pytest.raises(ActionFailed, match=r"\(1094\)|\(1957\)"):
        await operator.run(exact, timeout=5)


async def test_terminate_is_bound_to_the_server_and_the_session(
    crowd: Crowd, engine: MysqlEngine, operator: MysqlOperator
) -> None:
    holder, waiter = await crowd.join(), await crowd.join()
    await holder.ask("begin", "update orders set state = 1 where id = 1")
    waiter.start("update orders set state = 2 where id = 1")
    await tree(engine, waiter)
    if crowd.server.flavor == "mysql":
        sql = (
            "set @dbdeck = (select processlist_id from performance_schema.threads"
            " where processlist_id = %s and processlist_user = %s); kill @dbdeck"
        )
        with pytest.raises(ActionFailed, match=r"\(1094\)"):
            await operator.run(statement(sql, holder.id, "somebody else"), timeout=5)
        await operator.run(statement(sql, holder.id, "app_user"), timeout=5)
    else:
        sql = (
            "begin not atomic if exists (select 1 from information_schema.processlist"
            " where id = %s and user = %s) then kill %s; select 1; else select 0; end if; end"
        )
        assert await operator.run(statement(sql, holder.id, "x", holder.id), timeout=5) == [(0,)]
        assert await operator.run(statement(sql, holder.id, "app_user", holder.id), timeout=5) == [(1,)]
    await waiter.finish()
    assert await engine.locks() == ()
