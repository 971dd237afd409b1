"""The fakes keep the promises of the ports that tests/integration/test_contract.py asks of real engines."""

from __future__ import annotations

from itertools import pairwise

from console.engine.port import Engine, OperatorConnection
from console.model.sessions import State
from console.model.settings import Setting
from tests.fakes import ScriptedEngine, ScriptedOperator, storm


async def test_a_queue_shows_its_idle_root_and_keeps_its_order() -> None:
    engine: Engine = ScriptedEngine(storm(3))
    nodes = await engine.locks()
    assert [node.session.id for node in nodes] == [1, 2, 3, 4]
    assert (nodes[0].root, nodes[0].blocks, nodes[0].session.state) == (True, 3, State.IDLE_IN_TRANSACTION)
    for earlier, later in pairwise(nodes):
        assert earlier.session.id in later.blocked_by
        assert (later.wait_seconds or 0) > 0


async def test_nobody_waits_is_an_empty_answer() -> None:
    assert await ScriptedEngine([]).locks() == ()


async def test_a_session_has_a_key_that_stays_and_a_gone_one_is_none() -> None:
    engine: Engine = ScriptedEngine(storm(1))
    first, second = await engine.session(1), await engine.session(1)
    assert first is not None
    assert second is not None
    assert first.key == second.key
    assert await engine.session(99) is None


async def test_the_other_reads_answer_what_was_scripted_and_nothing_else() -> None:
    engine = ScriptedEngine(storm(1))
    port: Engine = engine
    assert [one.session.id for one in await port.transactions()] == [1, 2]
    assert (await port.horizon()).holders == ()
    assert (await port.deadlocks()).deadlocks == ()
    assert await port.slots() == ()
    assert await port.setting("lock_timeout") is None
    known = Setting(name="lock_timeout", value="5s", server_value="0")
    engine.settings["lock_timeout", "web", ""] = known
    assert await port.setting("lock_timeout", role="web") == known
    assert await port.setting("lock_timeout", role="other") is None


async def test_a_lock_excludes_another_and_names_its_holder() -> None:
    operator = ScriptedOperator(ScriptedEngine([]))
    port: OperatorConnection = operator
    assert await port.hold("session:1") is None
    operator.holder = "dbdeck operator carol"
    assert await port.hold("session:2") == "dbdeck operator carol"
    await port.let_go("session:1")
    assert operator.held == set()
