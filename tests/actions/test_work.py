"""Running the jobs of a plan over fakes: ladder, guards, budget, stop, records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio

import actions
from actions import overseer, work
from console.audit.ledger import Ledger, open_ledger
from console.audit.record import Kind
from console.dispatch import effect
from console.dispatch.action import Approval, Watch
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.effect import Run
from console.dispatch.registry import Registry, parse_args
from console.engine.port import Row, Statement
from console.errors import (
    ActionFailed,
    AuditUnavailable,
    Cancelled,
    Exit,
    LockTimeout,
    OutcomeUnknown,
    Refused,
    UsageError,
)
from console.model.policy import Policy
from console.model.table_locks import Load
from console.model.tables import Table
from console.present.audit import body
from tests.fakes import ScriptedEngine, ScriptedOperator, make_session


def table(name: str, **over: Any) -> Table:
    values: dict[str, Any] = {
        "schema": "public", "name": name, "number": abs(hash(name)) % 10**6, "bytes": 8192, "rows": 10,
        "vacuums": 0, "analyzes": 0, "xid_age": 5, "filenode": 1,
    }  # fmt: skip
    return Table(**values | over)


class Server(ScriptedOperator):
    """Counts a vacuum or an analyze of the table that a statement names, unless told otherwise."""

    def __init__(self, engine: ScriptedEngine) -> None:
        super().__init__(engine)
        self.ends = None
        self.script: dict[str, list[Exception | list[Row]]] = {}
        self.hold_up: asyncio.Event | None = None
        self.at_once = self.most_at_once = 0
        self.cancelled = asyncio.Event()

    async def run(self, statement: Statement, *, timeout: float | None) -> list[Row]:
        self.sent.append(statement)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._answer(statement)
        finally:
            self.at_once -= 1

    async def _answer(self, statement: Statement) -> list[Row]:
        await asyncio.sleep(0.001)
        name = statement.sql.rpartition(".")[2].strip('"')
        if self.hold_up is not None:
            waits = [asyncio.ensure_future(one.wait()) for one in (self.hold_up, self.cancelled)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for one in waits:
                one.cancel()
            if self.cancelled.is_set():
                raise Cancelled("the statement was cancelled")
        answer = self.script.get(name, [[]]).pop(0) if self.script.get(name) else []
        if isinstance(answer, Exception):
            raise answer
        if not answer:
            self._count(name)
        return answer

    def _count(self, name: str) -> None:
        self.engine.shop = [
            msgspec.structs.replace(one, vacuums=(one.vacuums or 0) + 1, analyzes=(one.analyzes or 0) + 1)
            if one.name == name
            else one
            for one in self.engine.shop
        ]

    async def cancel(self) -> bool:
        self.cancelled.set()
        return True


class Bench:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.engine = ScriptedEngine([])
        self.server = Server(self.engine)
        self.dispatcher = Dispatcher(Registry(actions.ALL), ledger, Policy(), opener=self.server.open)
        self.heard: list[str] = []
        self.watch = Watch(seconds=0, tell=self.heard.append)

    async def run(self, name: str = "table.vacuum", **given: Any) -> Run:
        plan = await self.dispatcher.plan(name, self.engine, given)
        confirm = self.engine.target.name
        approval = Approval(reason="tidy", confirm=confirm)
        return await self.dispatcher.apply(plan, self.engine, approval, watch=self.watch)

    async def rows(self, kind: Kind) -> list[dict[str, Any]]:
        return [body(entry) for entry in await self.ledger.entries(kinds=(kind,), newest_first=False)]


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_ledger(f"sqlite:///{tmp_path}/audit.db", tmp_path / "journal") as ledger:
        yield Bench(ledger)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effect, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(overseer, "LOOK_SECONDS", 0.05)


def taken(name: str) -> LockTimeout:
    return LockTimeout(f"{name}: the lock was not to be had in time")


async def test_one_table_is_recorded_vacuumed_and_proved(bench: Bench) -> None:
    bench.engine.shop = [table("orders")]
    run = await bench.run(table="orders")
    assert (run.exit, run.effect) == (Exit.OK, "applied")
    assert [one.sql for one in bench.server.sent] == ['vacuum "public"."orders"']
    assert (await bench.rows(Kind.STEP))[0]["statement"] == 'vacuum "public"."orders"'
    outcome = (await bench.rows(Kind.OUTCOME))[0]
    assert outcome["verify"]["evidence"]["objects"][0]["end"] == "done"


async def test_many_are_recorded_before_each_runs_and_run_side_by_side(bench: Bench) -> None:
    bench.engine.shop = [table(f"t{n}") for n in range(150)]
    seen: list[tuple[str, int]] = []
    unrecorded: list[str] = []
    tell = bench.server.run

    async def run(statement: Statement, *, timeout: float | None) -> list[Row]:
        rows = await bench.rows(Kind.STEP)
        recorded = [name for row in rows for name in row.get("statements") or [row["statement"]]]
        unrecorded.extend([] if statement.shown in recorded else [statement.shown])
        seen.append((statement.shown, len(recorded)))
        return await tell(statement, timeout=timeout)

    bench.server.run = run  # type: ignore[method-assign]
    done = await bench.run("table.analyze", all=True, jobs=4)
    assert (done.exit, done.effect) == (Exit.OK, "applied")
    assert unrecorded == []
    assert len(seen) == 151  # and what settles all of them
    assert bench.server.most_at_once == 4
    assert seen[0][1] < 150  # in batches, not all at once


async def test_a_ledger_that_fails_midway_stops_what_it_did_not_record(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.engine.shop = [table(f"t{n:03}") for n in range(300)]
    append = bench.ledger.append

    async def second_batch_fails(kind: Kind, *args: Any, **more: Any) -> Any:
        if kind is Kind.STEP and bench.server.sent:
            raise AuditUnavailable("the disk is full")
        return await append(kind, *args, **more)

    monkeypatch.setattr(bench.ledger, "append", second_batch_fails)
    run = await bench.run("table.vacuum", all=True, jobs=3)
    assert (run.exit, run.effect) == (Exit.PARTIAL, "applied")
    assert {one.sql.rpartition(".")[2] for one in bench.server.sent} == {
        f'"t{n:03}"' for n in range(work.BATCH)
    }
    assert run.error is not None
    assert "the disk is full" in run.error.message


async def test_a_server_that_said_done_is_no_proof_while_its_disk_may_not_have_it(bench: Bench) -> None:
    bench.engine.shop = [table(f"t{n}") for n in range(3)]
    settling = bench.server.run

    async def run(statement: Statement, *, timeout: float | None) -> list[Row]:
        if "pg_logical_emit_message" in statement.shown:
            bench.engine.shop = [table(f"t{n}") for n in range(3)]  # as after a crash
            raise ActionFailed("shop: the operator's connection was lost; nothing was sent")
        return await settling(statement, timeout=timeout)

    bench.server.run = run  # type: ignore[method-assign]
    done = await bench.run("table.analyze", all=True)
    assert (done.exit, done.effect) == (Exit.FAILED, "none")
    assert done.verify is not None
    assert "connection was lost" in done.verify.evidence["unsettled"]
    bench.server.run = settling  # type: ignore[method-assign]
    plan = await bench.dispatcher.resume(done.action_id, bench.engine)
    assert len(plan.pieces) == 3


async def test_a_lock_is_tried_for_again_and_again_and_each_wait_is_short(bench: Bench) -> None:
    bench.engine.shop = [table("orders")]
    bench.server.script["orders"] = [taken("orders"), taken("orders")]
    run = await bench.run(table="orders", lock_timeout="200ms")
    assert (run.exit, run.effect) == (Exit.OK, "applied")
    assert [one.lock_seconds for one in bench.server.sent] == [0.1, 0.2, 0.2]
    assert len(await bench.rows(Kind.STEP)) == 1
    assert sum("no lock was to be had" in line for line in bench.heard) == 2


async def test_it_gives_up_clearly(bench: Bench) -> None:
    bench.engine.shop = [table("orders")]
    bench.server.script["orders"] = [taken("orders")] * 2
    run = await bench.run(table="orders", tries=2)
    assert (run.exit, run.effect) == (Exit.FAILED, "none")
    assert run.error is not None
    assert "no lock was to be had" in run.error.message


async def test_some_fail_and_the_others_are_told_apart(bench: Bench) -> None:
    bench.engine.shop = [table(f"t{n}") for n in range(5)]
    bench.server.script["t2"] = [ActionFailed("shop: the server refused the statement: no")]
    bench.server.script["t3"] = [[("WARNING", 'permission denied to vacuum "t3", skipping it')]]
    run = await bench.run(all=True)
    assert (run.exit, run.effect) == (Exit.PARTIAL, "applied")
    assert run.verify is not None
    objects = {one["subject"]: one for one in run.verify.evidence["objects"]}
    assert objects["public.t2"]["end"] == "failed"
    assert "permission denied" in objects["public.t3"]["note"]
    assert run.verify.evidence["counts"] == {"done": 3, "failed": 2}
    assert run.error is not None
    assert "3 objects of 5 done" in run.error.message


async def test_stopped_midway_it_says_what_was_not_begun(bench: Bench) -> None:
    bench.engine.shop = [table(f"t{n}") for n in range(4)]
    bench.server.hold_up = asyncio.Event()
    running = asyncio.create_task(bench.run(all=True))
    while not bench.server.sent:
        await asyncio.sleep(0.01)
    bench.watch.stop.set()
    run = await running
    assert bench.server.cancelled.is_set()
    assert (run.exit, run.effect) == (Exit.FAILED, "none")
    assert run.verify is not None
    assert run.verify.evidence["counts"] == {"cancelled": 1, "not_begun": 3}
    assert run.error is not None
    assert "stopped by its caller" in run.error.message


async def test_a_spent_budget_cancels_what_runs(bench: Bench) -> None:
    bench.engine.shop = [table("orders")]
    bench.server.hold_up = asyncio.Event()
    run = await bench.run(table="orders", budget="100ms")
    assert run.exit is Exit.FAILED
    assert run.error is not None
    assert "budget" in run.error.message


async def test_load_pauses_and_goes_on_and_critical_load_stops(bench: Bench) -> None:
    bench.engine.shop = [table("orders")]
    bench.engine.pressure = Load(running=30)
    running = asyncio.create_task(bench.run(table="orders", max_load=25))
    await asyncio.sleep(0.3)
    assert bench.server.sent == []
    assert any("max_load 25" in line for line in bench.heard)
    bench.engine.pressure = Load(running=3)
    assert (await running).exit is Exit.OK
    bench.engine.pressure = Load(running=60)
    run = await bench.run(table="orders", critical_load=50)
    assert run.exit is Exit.FAILED
    assert len(bench.server.sent) == 1


@pytest.mark.parametrize(("runs_on", "code"), [(True, Exit.UNKNOWN), (False, Exit.FAILED)])
async def test_a_lost_answer_is_unknown_while_its_statement_may_run(
    bench: Bench, runs_on: bool, code: Exit
) -> None:
    bench.engine.shop = [table("orders"), table("items")]
    bench.server.script["orders"] = [OutcomeUnknown("shop: the answer was lost")]
    if runs_on:
        bench.engine.list = [make_session(77, query='vacuum (skip_database_stats) "public"."orders"')]
    run = await bench.run(all=True)
    assert run.exit is code


async def test_a_lost_answer_is_settled_by_what_the_server_shows(bench: Bench) -> None:
    bench.engine.shop = [table("orders")]
    answer = bench.server._answer

    async def lost(statement: Statement) -> list[Row]:
        await answer(statement)
        raise OutcomeUnknown("shop: the answer was lost")

    bench.server._answer = lost  # type: ignore[method-assign]
    run = await bench.run(table="orders")
    assert (run.exit, run.effect) == (Exit.OK, "applied")


async def test_the_rest_of_a_run_is_done_by_resuming_it(bench: Bench) -> None:
    bench.engine.shop = [table(f"t{n}") for n in range(4)]
    bench.server.script["t1"] = [ActionFailed("no")]
    first = await bench.run(all=True)
    assert first.exit is Exit.PARTIAL
    bench.server.sent.clear()
    plan = await bench.dispatcher.resume(first.action_id, bench.engine)
    assert plan.resumes == str(first.action_id)
    assert plan.statements == ('vacuum "public"."t1"',)
    run = await bench.dispatcher.apply(plan, bench.engine, Approval(reason="go on"), watch=bench.watch)
    assert (run.exit, len(bench.server.sent)) == (Exit.OK, 1)


async def test_only_an_action_of_the_ledger_is_resumed(bench: Bench) -> None:
    with pytest.raises(UsageError, match="the ledger has no action"):
        await bench.dispatcher.resume(uuid4(), bench.engine)


async def test_full_wants_the_name_typed_everywhere(bench: Bench) -> None:
    bench.engine.shop = [table("orders")]
    plan = await bench.dispatcher.plan("table.vacuum", bench.engine, {"table": "orders", "full": True})
    assert plan.confirm
    with pytest.raises(Refused, match="typed"):
        await bench.dispatcher.apply(plan, bench.engine, Approval(reason="shrink"))
    assert any("every reader and writer waits" in line for line in plan.forecast)


async def test_the_time_it_took_is_in_the_next_plan(bench: Bench) -> None:
    bench.engine.shop = [table("orders")]
    first = await bench.dispatcher.plan("table.vacuum", bench.engine, {"table": "orders"})
    assert any("time: unknown" in line for line in first.forecast)
    await bench.run(table="orders")
    second = await bench.dispatcher.plan("table.vacuum", bench.engine, {"table": "orders"})
    assert any(line.startswith("time: below a second; it took") for line in second.forecast)
    assert second.pieces[0].seconds is not None


async def test_a_plan_counts_one_as_one(bench: Bench) -> None:
    bench.engine.shop = [table("orders", dead=1), table("events", dead=0)]
    one = await bench.dispatcher.plan("table.vacuum", bench.engine, {"table": "public.orders"})
    assert "1 dead row in 1 table" in one.forecast
    none = await bench.dispatcher.plan("table.vacuum", bench.engine, {"table": "public.events"})
    assert "0 dead rows in 1 table" in none.forecast


async def test_a_missing_right_is_told_before_anything_is_recorded(bench: Bench) -> None:
    bench.engine.shop = [table("orders")]

    async def missing(_: object) -> tuple[str, ...]:
        return ("maintain orders: GRANT MAINTAIN ON orders TO dbdeck_operator;",)

    bench.server.missing = missing  # type: ignore[assignment, method-assign]
    with pytest.raises(Refused, match="GRANT MAINTAIN"):
        await bench.run(table="orders")
    assert await bench.rows(Kind.INTENT) == []


@pytest.mark.parametrize("given", [{}, {"table": "orders", "all": True}, {"worst": 3, "schema": "public"}])
async def test_one_way_of_choosing_tables(bench: Bench, given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"which tables|in different ways"):
        await bench.dispatcher.plan("table.vacuum", bench.engine, given)


async def test_a_standby_is_refused_with_the_reason(bench: Bench) -> None:
    bench.engine.server = msgspec.structs.replace(bench.engine.server, primary=False)
    with pytest.raises(Refused, match="standby"):
        await bench.run(all=True)


async def test_another_engine_is_refused_with_the_reason(bench: Bench) -> None:
    bench.engine.server = msgspec.structs.replace(bench.engine.server, flavor="mariadb")
    with pytest.raises(UsageError, match="is for postgresql"):
        await bench.run(all=True)


async def test_a_key_answers_the_same_words_again(bench: Bench) -> None:
    """The plan makes the choice of tables exact; the key stands for what was asked."""
    bench.engine.shop = [table("orders"), table("items")]
    given = {"all": True, "jobs": 2}
    plan = await bench.dispatcher.plan("table.vacuum", bench.engine, given)
    await bench.dispatcher.apply(plan, bench.engine, Approval(reason="tidy"), idempotency_key="nightly")
    args = parse_args(bench.dispatcher.registry.get("table.vacuum"), given)
    again = await bench.dispatcher.earlier("nightly", "table.vacuum", bench.engine.target, args)
    assert again is not None
    assert (again.exit, again.effect) == (Exit.OK, "no_op")
    other = parse_args(bench.dispatcher.registry.get("table.vacuum"), {"table": "orders"})
    with pytest.raises(Refused, match="something else"):
        await bench.dispatcher.earlier("nightly", "table.vacuum", bench.engine.target, other)


async def test_what_is_done_has_nothing_to_resume(bench: Bench) -> None:
    bench.engine.shop = [table("orders")]
    run = await bench.run(table="orders")
    with pytest.raises(UsageError, match="is done"):
        await bench.dispatcher.resume(run.action_id, bench.engine)


@pytest.mark.parametrize("given", [{"table": ""}, {"pattern": "zz*"}, {"table": "pg_temp_3.t"}])
async def test_what_selects_nothing_is_an_error(bench: Bench, given: dict[str, Any]) -> None:
    bench.engine.shop = [table("orders")]
    with pytest.raises(UsageError, match="nothing was executed"):
        await bench.dispatcher.plan("table.vacuum", bench.engine, given)


async def test_a_budget_that_ends_the_tries_is_named(bench: Bench) -> None:
    bench.engine.shop = [table("orders")]
    bench.server.script["orders"] = [taken("orders")] * 50
    run = await bench.run(table="orders", tries=50, budget="300ms")
    assert run.error is not None
    assert "budget" in run.error.message
    assert "no lock was to be had" in run.error.message


async def test_a_wait_for_an_exclusive_lock_has_its_bounds(bench: Bench) -> None:
    bench.engine.shop = [table("orders")]
    with pytest.raises(UsageError, match="too long"):
        await bench.dispatcher.plan("table.vacuum", bench.engine, {"table": "orders", "lock_timeout": "5h"})
