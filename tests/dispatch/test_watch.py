"""What is watched after an effect, what stops it, and what the ledger remembers of it next time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
import pytest_asyncio

from console.audit.ledger import Ledger, open_ledger
from console.audit.record import Kind
from console.dispatch.action import Action, Approval, Followed, Plan, Result, Risk, Verdict, Watch
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.effect import Run
from console.dispatch.facts import Facts, On
from console.dispatch.operator import Operator
from console.dispatch.registry import Registry
from console.engine.port import Engine, Statement
from console.errors import Exit, OutcomeUnknown
from console.model.policy import Policy
from console.present.audit import body
from tests.fakes import IDENTITY, TARGET, ScriptedEngine, ScriptedOperator, storm

State = Literal["applied", "partial", "not_applied", "undecidable"]


class NoArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """None are taken."""


class Steps:
    """Three statements, one after the other, until it is told to stop."""

    name = "test.steps"
    summary = "three steps"
    risk = Risk.LOW
    flavors: tuple[str, ...] = ("postgresql",)
    facts = Facts(on={"postgresql": On(locks="none", rights="none")}, undo="nothing")
    Args = NoArgs
    likeness = "the same"

    def __init__(self, state: State = "applied") -> None:
        self.state = state
        self.seen: dict[str, Any] = {"came_back": []}
        self.began = asyncio.Event()
        self.fails = False

    async def plan(self, engine: Engine, args: NoArgs) -> Plan:
        return Plan(
            action=self.name,
            target=engine.target.name,
            risk=self.risk,
            args={},
            subject={"title": "three things"},
            statements=("one", "two", "three"),
            likeness=self.likeness,
            server=await engine.identity(),
            made_at=datetime.now(UTC),
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        for text in plan.statements:
            if operator.watch.stop.is_set():
                break
            await operator.execute(Statement(sql=text, shown=text))
            operator.watch.tell(f"{text} was sent")
        return Result(matched=True, evidence={})

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        return Verdict(state=self.state, summary="looked", evidence={"steps": 3})

    async def follow(self, plan: Plan, engine: Engine, watch: Watch, verdict: Verdict) -> Verdict:
        self.began.set()
        if self.fails:
            raise RuntimeError("a defect")
        if watch.seconds > 1:
            await watch.stop.wait()
        return verdict.with_evidence(self.seen)

    def lock(self, plan: Plan) -> str:
        return "steps"


class Bench:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.action = Steps()
        self.engine = ScriptedEngine(storm(), TARGET)
        self.operator = ScriptedOperator(self.engine)
        self.operator.ends = None
        actions: list[Action[Any]] = [self.action]
        self.dispatcher = Dispatcher(Registry(actions), ledger, Policy(), opener=self.operator.open)

    async def plan(self) -> Plan:
        return await self.dispatcher.plan("test.steps", self.engine, {})

    async def run(self, watch: Watch | None = None) -> Run:
        return await self.dispatcher.apply(
            await self.plan(), self.engine, Approval(reason="test"), watch=watch or Watch(seconds=0)
        )

    async def outcome(self) -> dict[str, Any]:
        return body((await self.ledger.entries(kinds=(Kind.OUTCOME,)))[0])


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_ledger(f"sqlite:///{tmp_path}/audit.db", tmp_path / "journal") as opened:
        yield Bench(opened)


async def test_what_was_watched_is_part_of_the_outcome(bench: Bench) -> None:
    said: list[str] = []
    bench.action.seen = {"came_back": [7], "new_root": 9}
    run = await bench.run(Watch(seconds=0, tell=said.append))
    assert isinstance(bench.action, Followed)
    assert said == ["one was sent", "two was sent", "three was sent", "looked"]
    assert run.verify is not None
    assert run.verify.evidence == {"steps": 3, "came_back": [7], "new_root": 9}
    assert (await bench.outcome())["verify"]["evidence"]["new_root"] == 9


async def test_a_watch_that_breaks_takes_nothing_back(bench: Bench) -> None:
    bench.action.fails = True
    run = await bench.run()
    assert (run.effect, run.exit) == ("applied", Exit.OK)
    assert run.verify is not None
    assert run.verify.evidence == {"steps": 3, "watch": "broke: RuntimeError"}


async def test_what_is_not_proved_is_not_watched(bench: Bench) -> None:
    bench.action.state = "undecidable"
    run = await bench.run()
    assert run.exit is Exit.UNKNOWN
    assert not bench.action.began.is_set()


async def test_stop_ends_the_watch_and_the_outcome_is_recorded(bench: Bench) -> None:
    watch = Watch(seconds=30)
    running = asyncio.create_task(bench.run(watch))
    await asyncio.wait_for(bench.action.began.wait(), 5)
    watch.stop.ask("a key-press")
    watch.stop.ask("somebody later")
    run = await asyncio.wait_for(running, 5)
    outcome = await bench.outcome()
    assert (run.effect, outcome["status"]) == ("applied", "applied")
    assert outcome["verify"]["evidence"]["stopped"] == "by a key-press"


async def test_a_cancelled_run_ends_its_watch_and_is_recorded(bench: Bench) -> None:
    running = asyncio.create_task(bench.run(Watch(seconds=30)))
    await asyncio.wait_for(bench.action.began.wait(), 5)
    running.cancel("SIGINT")
    run = await asyncio.wait_for(running, 5)
    assert run.effect == "applied"
    outcome = await bench.outcome()
    assert outcome["status"] == "applied"
    assert outcome["verify"]["evidence"]["stopped"] == "by SIGINT"


async def test_stop_before_the_second_step_leaves_it_out(bench: Bench) -> None:
    watch = Watch(seconds=0)
    bench.action.state = "partial"
    send = bench.operator.run

    async def once(statement: Statement, *, timeout: float | None) -> Any:
        watch.stop.ask("SIGTERM")
        return await send(statement, timeout=timeout)

    bench.operator.run = once  # type: ignore[method-assign]
    run = await bench.run(watch)
    assert [one.shown for one in bench.operator.sent] == ["one"]
    assert (run.effect, run.exit) == ("applied", Exit.PARTIAL)
    assert run.error is not None
    assert run.error.message == "three things: looked; stopped by SIGTERM"
    assert (await bench.outcome())["status"] == "partial"


class PartlyDone(OutcomeUnknown):
    kind = "partial"


@pytest.mark.parametrize(
    ("failure", "effect", "code"),
    [
        (OutcomeUnknown("the answer was lost"), "unknown", Exit.UNKNOWN),
        (PartlyDone("the second was refused"), "applied", Exit.PARTIAL),
    ],
)
async def test_a_partial_end_is_sure_only_when_every_answer_came(
    bench: Bench, failure: OutcomeUnknown, effect: str, code: Exit
) -> None:
    bench.action.state = "partial"
    bench.operator.fail = failure
    run = await bench.run()
    assert (run.effect, run.exit) == (effect, code)


@pytest.mark.parametrize(("back", "words"), [([], "not seen to come back"), ([8], "came back 1 of 1 times")])
async def test_the_next_plan_tells_how_it_went_before(bench: Bench, back: list[int], words: str) -> None:
    assert (await bench.plan()).forecast == ()
    bench.action.seen = {"came_back": back}
    await bench.run()
    (line,) = (await bench.plan()).forecast
    assert "once in the last day" in line
    assert words in line
    assert IDENTITY.system_id not in line
    bench.action.likeness = "another"
    assert (await bench.plan()).forecast == ()
