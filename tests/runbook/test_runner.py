"""The runner: nothing happens unrecorded, unapproved or twice, and what is not known is not passed over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

import actions
from console.audit.ledger import Ledger, open_ledger
from console.dispatch import effect as module
from console.dispatch.action import Watch
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.registry import Registry
from console.errors import ActionFailed, AuditUnavailable, Locked, OutcomeUnknown, Stale, UsageError
from console.model.policy import Policy
from console.model.target import Environment
from console.present.reads import READS
from console.runbook.document import Document
from console.runbook.doing import Ground
from console.runbook.events import Decided, Event, Remarked
from console.runbook.history import add, documents_of, recall, runs
from console.runbook.holding import remark
from console.runbook.loader import Library, parse
from console.runbook.runner import Answer, Decide, Order, Runner, resumed, started
from console.runbook.steps import Ask
from tests.fakes import STARTED, TARGET, ScriptedEngine, ScriptedOperator, storm
from tests.runbook.documents import HEAD

END = "{id: end, kind: action, action: session.terminate, %swith: {id: %s, started_at: \"'%s'\"}}"
ORDER = Order(reason="a test", by="ann")


def end(more: str = "", number: str = "1") -> str:
    return f"  - {END % (more, number, STARTED.isoformat())}\n"


class Bench:
    """A runner's ground over fakes and a real SQLite ledger."""

    def __init__(self, ledger: Ledger, environment: Environment = Environment.DEV) -> None:
        self.ledger = ledger
        self.engine = ScriptedEngine(storm(), msgspec.structs.replace(TARGET, environment=environment))
        self.operator = ScriptedOperator(self.engine)
        registry = Registry(actions.ALL)
        self.dispatcher = Dispatcher(registry, ledger, Policy(), opener=self.operator.open)
        self.asked: list[Ask] = []
        self.answers: dict[str, Answer] = {"action": Answer(decision="yes")}
        self.over: dict[str, Any] = {}

    async def decide(self, ask: Ask) -> Answer | None:
        self.asked.append(ask)
        return self.answers.get(ask.question)

    def ground(self) -> Ground:
        values: dict[str, Any] = {
            "dispatcher": self.dispatcher,
            "ledger": self.ledger,
            "engine": self.engine,
            "reads": READS,
            "watch": Watch(seconds=0.1),
            "reason": "a test",
        }
        return Ground(**values | self.over)

    async def begin(self, steps: str, params: Mapping[str, object] | None = None, head: str = "") -> Runner:
        text = HEAD.format(id="one") + head + "steps:\n" + steps
        library = Library([parse(text, "f.yaml")])
        first = await started(library, "one", params or {}, self.engine, ORDER)
        runner = self.runner(documents_of(first), None)
        await drain(runner, first)
        return runner

    def runner(self, documents: Mapping[str, Document], run: Any) -> Runner:
        decide: Decide = self.decide
        return Runner(self.ground(), decide, documents, ORDER, run)

    async def again(self, run: UUID) -> Runner:
        """Another runner, that knows what the ledger says."""
        recalled = await recall(self.ledger, run)
        runner = self.runner(recalled.documents, recalled.run)
        await drain(runner, resumed(ORDER))
        return runner

    async def kinds(self) -> list[str]:
        return [entry.kind for entry in await self.ledger.entries(newest_first=False)][1:]

    async def text(self) -> str:
        return "".join(entry.body or "" for entry in await self.ledger.entries())


async def drain(runner: Runner, first: Event) -> list[Event]:
    return [event async for event in runner.events(first)]


@pytest_asyncio.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(f"sqlite:///{tmp_path}/audit.db", tmp_path / "journal") as opened:
        yield opened


@pytest.fixture
def bench(ledger: Ledger) -> Bench:
    return Bench(ledger)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)


async def test_an_action_is_done_and_its_step_is_recorded_before(bench: Bench) -> None:
    runner = await bench.begin(end())
    assert (runner.code, runner.run.effects) == (0, ("end",))
    kinds = await bench.kinds()
    assert kinds == ["run", "run", "run", "intent", "step", "outcome", "run", "run"]
    assert len(bench.operator.sent) == 1


async def test_what_cannot_be_recorded_is_not_done(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    append = bench.ledger.append

    async def full(kind: Any, action_id: UUID, body: Any, **options: Any) -> Any:
        if body.get("event", {}).get("acts"):
            raise AuditUnavailable("the disk is full")
        return await append(kind, action_id, body, **options)

    monkeypatch.setattr(bench.ledger, "append", full)
    with pytest.raises(AuditUnavailable):
        await bench.begin(end())
    assert bench.operator.sent == []
    assert "intent" not in await bench.kinds()


async def test_nobody_approves_and_nothing_is_done(bench: Bench) -> None:
    bench.answers = {}
    runner = await bench.begin(end())
    assert runner.waiting is not None
    assert (runner.code, bench.operator.sent) == (2, [])
    assert "pg_terminate_backend" in runner.waiting.text


async def test_a_no_ends_the_run_and_nothing_is_done(bench: Bench) -> None:
    bench.answers = {"action": Answer(decision="no")}
    runner = await bench.begin(end())
    assert (runner.code, bench.operator.sent) == (1, [])


@pytest.mark.parametrize(("text", "sent"), [("shop", 1), ("", 0), ("shopp", 0)])
async def test_high_risk_in_prod_wants_the_targets_name(ledger: Ledger, text: str, sent: int) -> None:
    bench = Bench(ledger, Environment.PROD)
    bench.answers = {"action": Answer(decision="yes", text=text)}
    await bench.begin(end())
    assert bench.asked[0].phrase == "shop"
    assert len(bench.operator.sent) == sent


async def test_a_run_whose_lock_was_lost_does_nothing_more(bench: Bench) -> None:
    async def lost() -> None:
        raise Locked("lost")

    bench.over = {"still_held": lost}
    with pytest.raises(Locked):
        await bench.begin(end())
    assert bench.operator.sent == []


async def test_an_outcome_nobody_knows_is_looked_for_and_never_sent_again(bench: Bench) -> None:
    bench.operator.fail = OutcomeUnknown("the answer was lost")
    bench.operator.ends = None
    gone = "verify: {read: sessions, applied_if: \"count(where(rows, 'application', 'checkout')) == 0\"}, "
    runner = await bench.begin(end(gone))
    assert (runner.code, runner.waiting and runner.waiting.question) == (9, "outcome")
    bench.engine.end(1)
    bench.answers["outcome"] = Answer(decision="settle")
    after = await bench.again(runner.id)
    assert (after.code, after.run.effects, len(bench.operator.sent)) == (0, ("end",), 1)


async def test_two_runners_of_one_attempt_do_it_once(bench: Bench) -> None:
    """Even where both their locks failed them: the attempt's key is unique in the ledger."""
    bench.answers = {}
    first = await bench.begin(end())
    bench.answers = {"action": Answer(decision="yes")}
    recalled = await recall(bench.ledger, first.id)
    one, two = (bench.runner(recalled.documents, recalled.run) for _ in range(2))
    bench.operator.ends = None  # the second one finds the session as the first one did
    await drain(one, resumed(ORDER))
    await drain(two, resumed(ORDER))
    assert len(bench.operator.sent) == 1
    assert two.run.effects == ()


async def test_what_is_there_already_is_not_done(bench: Bench) -> None:
    verify = "verify: {read: sessions, applied_if: \"count(where(rows, 'application', 'nobody')) == 0\"}, "
    runner = await bench.begin(end(verify))
    assert (runner.code, bench.operator.sent, runner.run.step("end").effect) == (0, [], "no_op")


async def test_an_effect_that_the_runbooks_own_look_does_not_show_has_failed(bench: Bench) -> None:
    verify = 'verify: {read: sessions, applied_if: "count == 99", within: 0s}, '
    runner = await bench.begin(end(verify))
    assert (runner.code, runner.run.ended and runner.run.ended.result) == (8, "failed")


async def test_a_refused_action_fails_its_step_with_nothing_done(bench: Bench) -> None:
    bench.operator.holder = "bob"
    runner = await bench.begin(end("on_failure: ask, "))
    assert runner.waiting is not None
    assert (runner.waiting.question, bench.operator.sent) == ("failure", [])
    assert "bob" in runner.waiting.text


async def test_an_action_that_failed_can_be_tried_again_as_another_attempt(bench: Bench) -> None:
    bench.operator.fail = ActionFailed("no")
    bench.operator.ends = None
    runner = await bench.begin(end("on_failure: ask, "))
    bench.operator.fail, bench.operator.ends = None, 1
    bench.answers["failure"] = Answer(decision="retry")
    after = await bench.again(runner.id)
    assert (after.code, after.run.step("end").attempt) == (0, 2)


async def test_an_argument_that_is_not_known_begins_nothing(bench: Bench) -> None:
    read = "  - {id: q, kind: query, read: locks, save: s, when: 'false'}\n"
    runner = await bench.begin(read + end(number="s.count"))
    assert (runner.code, "not known" in runner.run.step("end").summary) == (1, True)
    assert "intent" not in await bench.kinds()


async def test_what_is_redacted_is_nowhere_in_the_ledger(bench: Bench) -> None:
    bench.engine.selected["select 1"] = [{"secret": "hunter2", "n": 1}]
    await bench.begin("  - {id: q, kind: query, sql: select 1, save: s, redact: [secret]}\n")
    assert "hunter2" not in await bench.text()


async def test_an_answer_is_kept_as_far_as_a_row_of_the_ledger_should_hold_it(bench: Bench) -> None:
    bench.engine.selected["select 1"] = [{"n": n, "text": "x" * 100_000} for n in range(5)]
    runner = await bench.begin("  - {id: q, kind: query, sql: select 1, save: s}\n")
    value = runner.run.step("q").value
    assert (value["count"], value["truncated"]) == (2, True)


async def test_what_nothing_saves_is_not_kept(bench: Bench) -> None:
    bench.engine.selected["select 1"] = [{"word": "hunter2"}]
    await bench.begin("  - {id: q, kind: query, sql: select 1, expect: [{assert: count == 1}]}\n")
    assert "hunter2" not in await bench.text()


async def test_sql_that_is_more_than_a_read_is_not_sent(bench: Bench) -> None:
    """Also where nobody linted it."""
    bench.engine.selected["select pg_sleep(9)"] = [{"n": 1}]
    runner = await bench.begin("  - {id: q, kind: query, sql: select pg_sleep(9)}\n")
    assert "was not sent" in runner.run.step("q").summary


async def test_a_wait_that_ends_is_done_and_one_that_does_not_fails(bench: Bench) -> None:
    wait = "  - {id: w, kind: wait_until, read: sessions, until: count == %s, timeout: 300ms, every: 100ms}\n"
    assert (await bench.begin(wait % len(bench.engine.list))).code == 0
    late = await bench.begin(wait % 99)
    assert (late.code, "after 300ms" in late.run.step("w").summary) == (1, True)


async def test_a_capture_keeps_what_can_be_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken() -> Any:
        raise ActionFailed("no right")

    monkeypatch.setattr(bench.engine, "transactions", broken)
    runner = await bench.begin(
        "  - {id: c, kind: capture, collect: [sessions, transactions], save: before}\n"
    )
    value = runner.run.step("c").value
    assert runner.code == 0
    assert (value["sessions"]["count"], value["transactions"]["problem"]) == (4, "no right")


async def test_a_precondition_that_does_not_hold_starts_nothing(bench: Bench) -> None:
    for holds in ("server.primary == 3", "coalesce(null, null)"):
        with pytest.raises(Stale, match="nothing was started"):
            await bench.begin(end(), head=f"preconditions: [{{assert: '{holds}'}}]\n")
    assert await bench.kinds() == []


async def test_a_server_it_is_not_for_starts_nothing(bench: Bench) -> None:
    bench.engine.server = msgspec.structs.replace(bench.engine.server, version_num=120000)
    with pytest.raises(UsageError, match="is for postgresql >=13"):
        await bench.begin(end())


async def test_an_action_that_takes_longer_is_finished_and_the_run_goes_on(bench: Bench) -> None:
    bench.operator.before_answer = lambda: asyncio.sleep(0.3)
    runner = await bench.begin(end("timeout: 50ms, ") + "  - {id: n, kind: note, text: n}\n")
    assert (runner.code, runner.interrupted, runner.run.step("n").state) == (0, False, "done")
    evidence = runner.run.step("end").value["evidence"]
    assert evidence["stopped"] == "by the step's timeout of 50ms"


async def test_a_signal_while_an_action_runs_stops_the_run_after_it(bench: Bench) -> None:
    async def cancelled() -> None:
        task.cancel("SIGTERM")
        await asyncio.sleep(0)

    bench.operator.before_answer = cancelled
    task = asyncio.create_task(bench.begin(end() + "  - {id: n, kind: note, text: n}\n"))
    runner = await task
    assert (runner.code, runner.interrupted, runner.run.effects) == (8, True, ("end",))
    assert runner.run.step("n").state == "new"


async def test_a_run_stops_between_steps_when_it_is_told_to(bench: Bench) -> None:
    watch = Watch(seconds=0.1)
    watch.stop.ask("SIGTERM")
    bench.over = {"watch": watch}
    runner = await bench.begin("  - {id: a, kind: note, text: a}\n  - {id: b, kind: note, text: b}\n" + end())
    assert (runner.interrupted, runner.run.ended, bench.operator.sent) == (True, None, [])


async def test_a_row_that_comes_too_late_changes_nothing(bench: Bench) -> None:
    """A dead machine's journal may be delivered after another one went on."""
    from console.audit.record import Kind
    from console.runbook.events import Acted, encode

    runner = await bench.begin(end())
    late = Acted(step="end", effect="none", state="failed", summary="late")
    await bench.ledger.append(Kind.RUN, runner.id, {"event": encode(late)})
    recalled = await recall(bench.ledger, runner.id)
    assert recalled.run == runner.run
    assert [one.run.started.run for one in await runs(bench.ledger, 5)] == [str(runner.id)]


# ---- leaving, handing over, noting ------------------------------------------------------------------

WAIT = "  - {id: w, kind: wait_until, read: locks, until: count > 900, timeout: 60s, every: 100ms}\n"


async def under_way(bench: Bench, steps: str, kind: str) -> tuple[Runner, asyncio.Task[list[Event]]]:
    """A runner that has come to an event of this kind, and goes on."""
    library = Library([parse(HEAD.format(id="one") + "steps:\n" + steps, "f.yaml")])
    first = await started(library, "one", {}, bench.engine, ORDER)
    runner = bench.runner(documents_of(first), None)
    task = asyncio.create_task(drain(runner, first))
    for _ in range(200):
        await asyncio.sleep(0.02)
        if kind in await events_of(bench):
            return runner, task
    raise AssertionError(f"it did not come to {kind}")


async def events_of(bench: Bench) -> list[str]:
    from console.audit.verify import fields

    rows = await bench.ledger.entries(newest_first=False)
    bodies: list[Any] = [fields(row.body) for row in rows if row.kind == "run"]
    return [body["event"]["event"] for body in bodies]


async def test_a_read_is_given_up_when_the_run_is_handed_over_and_made_again_by_the_next(
    bench: Bench,
) -> None:
    runner, task = await under_way(bench, WAIT, "begun")
    await runner.hand_over("bob", "look at the web nodes")
    await asyncio.wait_for(task, 5)
    assert (runner.handed_over, runner.run.ended, runner.run.step("w").state) == (True, None, "begun")
    assert await events_of(bench) == ["started", "begun", "handed_over"]
    bench.over = {"watch": Watch(seconds=0.1)}
    recalled = await recall(bench.ledger, runner.id)
    again = bench.runner(recalled.documents, recalled.run)
    second = asyncio.create_task(drain(again, resumed(Order(reason="a test", by="bob"))))
    await asyncio.sleep(0.3)
    bench.over["watch"].stop.ask("the test")
    await asyncio.wait_for(second, 5)
    assert (await events_of(bench))[3:] == ["resumed", "begun"]


async def test_a_question_is_not_waited_for_once_the_run_is_handed_over(bench: Bench) -> None:
    asked = asyncio.Event()

    async def never(_: Ask) -> Answer | None:
        asked.set()
        await asyncio.Event().wait()
        return None

    bench.decide = never  # type: ignore[method-assign, assignment]
    runner, task = await under_way(bench, end(), "started")
    await asyncio.wait_for(asked.wait(), 5)
    await runner.hand_over("bob", "")
    await asyncio.wait_for(task, 5)
    assert (runner.waiting, bench.operator.sent) == (None, [])


async def test_an_action_under_way_is_finished_before_the_run_is_let_go_of(bench: Bench) -> None:
    bench.operator.before_answer = lambda: asyncio.sleep(0.5)
    runner, task = await under_way(bench, end() + "  - {id: n, kind: note, text: n}\n", "begun")
    await runner.hand_over("bob", "")
    await asyncio.wait_for(task, 5)
    assert (runner.run.effects, runner.run.step("n").state) == (("end",), "new")
    assert "handed_over" in await events_of(bench)


async def test_a_note_changes_nothing_and_is_kept(bench: Bench) -> None:
    runner, task = await under_way(bench, WAIT, "begun")
    await runner.remark("told the web team")
    assert runner.run.step("w").state == "begun"
    bench.over = {}
    runner._ground.watch.stop.ask("the test")
    await asyncio.wait_for(task, 5)
    assert await events_of(bench) == ["started", "begun", "remarked"]


async def test_a_note_is_kept_after_the_end_too_and_the_run_is_still_read(bench: Bench) -> None:
    runner = await bench.begin("  - {id: n, kind: note, text: n}\n")
    await remark(bench.ledger, runner.id, "the cause was a migration", "ann")
    recalled = await recall(bench.ledger, runner.id)
    assert recalled.run.ended is not None
    assert [one.event for one in recalled.events][-1] == Remarked(by="ann", text="the cause was a migration")


async def test_what_an_action_would_do_is_asked_with_its_exact_statements(bench: Bench) -> None:
    await bench.begin(end())
    (ask,) = bench.asked
    assert ask.plan is not None
    assert "pg_terminate_backend" in " ".join(ask.plan.statements)


# ---- the time of a run ---------------------------------------------------------------------------


async def test_the_time_of_a_run_counts_over_all_its_runners(bench: Bench) -> None:
    steps = "  - {id: n, kind: note, text: n}\n  - {id: m, kind: manual, text: x}\n  - {id: c, kind: check}\n"
    first = await bench.begin(steps, head="limits: {timeout: 400ms}\n")
    assert first.waiting is not None
    await asyncio.sleep(0.5)
    bench.answers["manual"] = Answer(decision="done")
    second = await bench.again(first.id)
    assert second.run.ended is not None
    assert (second.run.ended.result, "400ms of the run are over" in second.run.ended.text) == ("failed", True)


async def test_the_wait_for_an_approval_is_not_of_its_time(bench: Bench) -> None:
    head = "limits: {timeout: 400ms}\napprovals: {count: 1}\n"
    first = await bench.begin("  - {id: c, kind: check}\n", head=head)
    await asyncio.sleep(0.5)
    bench.answers["approval"] = Answer(decision="approve", by="bob")
    assert (await bench.again(first.id)).code == 0


async def test_an_approval_that_another_recorded_meanwhile_is_seen(bench: Bench) -> None:
    first = await bench.begin("  - {id: c, kind: check}\n", head="approvals: {count: 1}\n")
    assert first.code == 4
    said = Decided(step="approval", question="approval", decision="approve", by="bob")
    await add(bench.ledger, first.run, said, "bob")
    first.waiting = None
    await drain(first, resumed(ORDER))
    assert (first.code, first.waiting) == (0, None)


async def test_who_started_it_is_not_asked_for_ever(bench: Bench) -> None:
    bench.answers["approval"] = Answer(decision="approve", by="ann")
    first = await bench.begin("  - {id: c, kind: check}\n", head="approvals: {count: 1}\n")
    assert (first.code, len(bench.asked)) == (4, 1)
