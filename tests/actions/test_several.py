"""Effects on several sessions over fakes: order, stops, refusals, and what may be said of the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import actions
from actions import following
from console.audit.ledger import Ledger, open_ledger
from console.audit.record import Kind
from console.audit.verify import fields
from console.dispatch import effect
from console.dispatch.action import Approval, Stop, Watch
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.effect import Run
from console.dispatch.operator import steps_of
from console.dispatch.registry import Registry
from console.engine.port import Row, Statement
from console.errors import ActionFailed, Exit
from console.model.policy import Policy
from console.model.replication import Slot
from console.model.sessions import Protection, State
from tests.fakes import ScriptedEngine, ScriptedOperator, make_session, storm

IDLE = {"state": State.IDLE_IN_TRANSACTION, "state_seconds": 900.0}


class Bulk(ScriptedOperator):
    """Ends the session that a statement names, unless it is among those refused; those `left` end by
    themselves before their statement comes.
    """

    def __init__(self, engine: ScriptedEngine, refused: set[int] | None = None) -> None:
        super().__init__(engine)
        self.refused = refused or set()
        self.left: set[int] = set()

    async def run(self, statement: Statement, *, timeout: float | None) -> list[Row]:
        self.sent.append(statement)
        number = int(str(statement.args[0]))
        if number in self.refused:
            raise ActionFailed(f"may not end {number}", "GRANT something")
        self.engine.end(number)
        return [] if number in self.left else [(True, False)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(effect, "PATIENCE_SECONDS", 0.5)


@pytest_asyncio.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(f"sqlite:///{tmp_path}/audit.db", tmp_path / "journal") as opened:
        yield opened


async def run(
    ledger: Ledger, operator: ScriptedOperator, action: str, watch: Watch | None = None, **given: Any
) -> Run:
    dispatcher = Dispatcher(Registry(actions.ALL), ledger, Policy(), opener=operator.open)
    plan = await dispatcher.plan(action, operator.engine, given)
    return await dispatcher.apply(
        plan, operator.engine, Approval(reason="why"), watch=watch or Watch(seconds=0)
    )


def crowd(*numbers: int) -> ScriptedEngine:
    return ScriptedEngine([make_session(number, **IDLE) for number in numbers])


async def test_all_end_one_after_the_other(ledger: Ledger) -> None:
    operator = Bulk(crowd(11, 12, 13))
    done = await run(ledger, operator, "session.terminate_idle", older_than="10m")
    assert (done.effect, done.exit) == ("applied", Exit.OK)
    assert [one.args[0] for one in operator.sent] == [11, 12, 13]


async def test_a_refused_one_is_passed_over_and_told(ledger: Ledger) -> None:
    operator = Bulk(crowd(11, 12, 13), refused={12})
    done = await run(ledger, operator, "session.terminate_idle", older_than="10m")
    assert (done.effect, done.exit) == ("applied", Exit.PARTIAL)
    assert done.error is not None
    assert done.error.kind == "partial"
    assert "session 12" in done.error.message
    assert done.error.hint == "GRANT something"
    assert done.verify is not None
    assert done.verify.evidence["not_touched"] == [12]


async def test_who_ended_by_himself_is_not_told_as_ended_by_us(ledger: Ledger) -> None:
    operator = Bulk(crowd(11, 12, 13))
    operator.left = {11, 13}
    done = await run(ledger, operator, "session.terminate_idle", older_than="10m")
    assert done.verify is not None
    assert done.verify.summary == "of 3: 1 ended, 2 ended otherwise"
    assert done.verify.evidence["ended"] == [12]
    assert done.verify.evidence["ended_otherwise"] == [11, 13]
    assert (done.effect, done.exit) == ("applied", Exit.OK)


async def test_where_all_ended_by_themselves_nothing_was_done(ledger: Ledger) -> None:
    operator = Bulk(crowd(11, 12))
    operator.left = {11, 12}
    done = await run(ledger, operator, "session.terminate_idle", older_than="10m")
    assert (done.effect, done.exit) == ("no_op", Exit.OK)
    assert done.verify is not None
    assert done.verify.summary == "of 2: 2 ended otherwise"


async def test_each_step_tells_whom_and_what_came_of_the_one_before(ledger: Ledger) -> None:
    operator = Bulk(crowd(11, 12, 13), refused={12})
    operator.left = {11}
    await run(ledger, operator, "session.terminate_idle", older_than="10m")
    rows = [fields(one.body) for one in await ledger.entries(kinds=(Kind.STEP,), newest_first=False)]
    assert [(row["subject"], row["before"]) for row in rows] == [(11, None), (12, "spared"), (13, "refused")]
    steps = steps_of(rows)
    assert steps is not None
    assert [one.answer for one in steps] == ["spared", "refused", None]
    assert steps_of([{"step": 1}]) is None


async def test_three_refusals_in_a_row_are_the_operators(ledger: Ledger) -> None:
    operator = Bulk(crowd(11, 12, 13, 14), refused={11, 12, 13, 14})
    done = await run(ledger, operator, "session.terminate_idle", older_than="10m")
    assert (done.effect, done.exit) == ("none", Exit.FAILED)
    assert len(operator.sent) == 3


async def test_what_is_protected_or_young_is_left_alone(ledger: Ledger) -> None:
    engine = crowd(11)
    engine.list += [
        make_session(12, **IDLE, protection=Protection.BACKUP),
        make_session(13, state=State.IDLE_IN_TRANSACTION, state_seconds=599.0),
        make_session(14, state=State.IDLE, state_seconds=9e9),
    ]
    operator = Bulk(engine)
    done = await run(ledger, operator, "session.terminate_idle", older_than=600)
    assert done.exit == Exit.OK
    assert [one.args[0] for one in operator.sent] == [11]


async def test_nobody_is_a_success(ledger: Ledger) -> None:
    done = await run(ledger, Bulk(crowd()), "session.terminate_idle", older_than="1h")
    assert (done.effect, done.exit) == ("no_op", Exit.OK)


async def test_the_pause_comes_after_a_blocker_only_and_ends_on_stop(ledger: Ledger) -> None:
    engine = ScriptedEngine([*storm(2), make_session(21, **IDLE), make_session(22, **IDLE)])
    engine.change(1, state_seconds=900.0)
    tree = await engine.locks()
    engine.tree = tree
    stop = Stop()
    asyncio.get_running_loop().call_later(0.3, stop.set)
    operator = Bulk(engine)
    done = await run(
        ledger, operator, "session.terminate_idle", Watch(seconds=0, stop=stop), older_than=600, pause=30
    )
    assert [one.args[0] for one in operator.sent] == [1], "the blocker, and then nobody after the stop"
    assert done.exit == Exit.PARTIAL


async def test_a_consumer_that_always_comes_back_is_named_and_the_slot_stays(ledger: Ledger) -> None:
    reader = make_session(50, kind="walsender", application="standby1", protection=Protection.WALSENDER)
    engine = ScriptedEngine([reader])
    engine.held_slots = [Slot(name="s1", kind="physical", active_pid=50, reader=reader, restart_lsn="0/1")]
    operator = ScriptedOperator(engine)
    operator.ends, operator.answer = None, [(True, False)]
    done = await run(ledger, operator, "slot.drop", name="s1", terminate_consumer=True)
    assert (done.effect, done.exit) == ("none", Exit.FAILED)
    assert done.error is not None
    assert "keeps reconnecting" in done.error.message
    assert done.error.hint == "stop the consumer first, then drop its slot"
    assert len(operator.sent) == 17, "8 tries, each recorded, are enough"
