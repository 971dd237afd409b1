"""The order of an effect: what stops it, what is recorded, and that nothing runs unrecorded."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

import actions
from console.audit.ledger import Ledger, open_ledger
from console.audit.record import Kind
from console.dispatch import dispatcher as dispatching
from console.dispatch import effect as module
from console.dispatch.action import Approval, Plan, Result, Risk, Verdict
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.effect import Run
from console.dispatch.registry import Registry
from console.errors import (
    ActionFailed,
    AuditUnavailable,
    DbdeckError,
    Exit,
    Locked,
    OutcomeUnknown,
    Refused,
    Stale,
)
from console.model.policy import Deny, Policy
from console.model.sessions import Protection, State
from console.model.target import Environment
from console.present.audit import body, open_line
from tests.fakes import IDENTITY, NOW, STARTED, TARGET, ScriptedEngine, ScriptedOperator, storm

APPROVAL = Approval(reason="checkout left its transaction open")
ROOT = {"id": 1, "started_at": STARTED}


class Bench:
    """A dispatcher over fakes and a real SQLite ledger."""

    def __init__(self, ledger: Ledger, policy: Policy, environment: Environment) -> None:
        target = msgspec.structs.replace(TARGET, environment=environment)
        self.ledger = ledger
        self.engine = ScriptedEngine(storm(), target)
        self.operator = ScriptedOperator(self.engine)
        self.dispatcher = Dispatcher(Registry(actions.ALL), ledger, policy, opener=self.operator.open)

    async def plan(self, name: str = "session.terminate") -> Plan:
        return await self.dispatcher.plan(name, self.engine, ROOT)

    async def run(self, plan: Plan, approval: Approval = APPROVAL, **options: Any) -> Run:
        return await self.dispatcher.apply(plan, self.engine, approval, **options)

    async def kinds(self) -> list[str]:
        return [entry.kind for entry in await self.ledger.entries(newest_first=False)][1:]

    async def last(self, kind: Kind) -> dict[str, Any]:
        return body((await self.ledger.entries(kinds=(kind,)))[0])


@pytest_asyncio.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(f"sqlite:///{tmp_path}/audit.db", tmp_path / "journal") as opened:
        yield opened


@pytest.fixture
def bench(ledger: Ledger) -> Bench:
    return Bench(ledger, Policy(), Environment.DEV)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)


async def test_the_intent_is_committed_before_the_statement_is_sent(bench: Bench) -> None:
    seen: list[list[str]] = []
    send = bench.operator.run

    async def watch(statement: Any, *, timeout: float | None) -> Any:
        seen.append(await bench.kinds())
        return await send(statement, timeout=timeout)

    bench.operator.run = watch  # type: ignore[method-assign]
    run = await bench.run(await bench.plan())
    assert seen == [["intent", "step"]]
    assert await bench.kinds() == ["intent", "step", "outcome"]
    assert (run.effect, run.exit, run.error) == ("applied", Exit.OK, None)
    assert run.intent is not None
    assert run.outcome is not None
    assert run.intent < run.outcome


async def test_the_intent_says_who_what_whom_where_and_why(bench: Bench) -> None:
    await bench.run(await bench.plan())
    intent = await bench.last(Kind.INTENT)
    assert intent["reason"] == APPROVAL.reason
    assert intent["operator"] == "dbdeck_operator"
    assert intent["target"] == "shop"
    assert intent["server"]["system_id"] == IDENTITY.system_id
    assert "pg_terminate_backend" in intent["statements"][0]
    assert intent["subject"]["id"] == 1


async def test_the_waiters_are_followed_until_they_are_free(bench: Bench) -> None:
    run = await bench.run(await bench.plan())
    assert run.verify is not None
    assert run.verify.evidence == {
        "waiters_before": 3,
        "waiters_released": 3,
        "still_waiting_behind": [],
    }


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"started_at": NOW}, Stale),
        ({"transaction_started_at": STARTED}, Stale),
        ({"protection": Protection.WALSENDER}, Refused),
        (None, Stale),
    ],
    ids=["another session", "another transaction", "protected since", "gone"],
)
async def test_what_changed_since_the_plan_stops_it_without_an_intent(
    bench: Bench, change: dict[str, Any] | None, error: type[DbdeckError]
) -> None:
    plan = await bench.plan()
    bench.engine.end(1) if change is None else bench.engine.change(1, **change)
    with pytest.raises(error, match="nothing was executed"):
        await bench.run(plan)
    assert bench.operator.sent == []
    assert "intent" not in await bench.kinds()


IDLE = {"state": State.IDLE, "transaction_started_at": None}
BUSY = {"state": State.ACTIVE}
BETWEEN = {"state": State.IDLE_IN_TRANSACTION}
LATER = {"transaction_started_at": STARTED}


MOVES = pytest.mark.parametrize(
    ("planned", "then", "fits"),
    [
        (BETWEEN, BUSY, True),
        (BUSY, IDLE, True),
        (IDLE, BUSY, True),
        (BUSY, BUSY | LATER, True),
        (BETWEEN, BETWEEN | LATER, False),
        (BETWEEN, BUSY | LATER, False),
        (IDLE, BETWEEN, False),
        (BUSY, BETWEEN | LATER, False),
    ],
)


@MOVES
async def test_a_session_may_work_in_between_and_not_begin_anew(
    bench: Bench, planned: dict[str, Any], then: dict[str, Any], fits: bool
) -> None:
    began = bench.engine.list[0].transaction_started_at
    bench.engine.list = bench.engine.list[:1]  # nobody waits for it
    bench.engine.change(1, **planned)
    plan = await bench.plan()
    bench.engine.change(1, **({"transaction_started_at": began} | then))
    if fits:
        assert (await bench.run(plan)).effect == "applied"
        return
    with pytest.raises(Stale, match="nothing was executed"):
        await bench.run(plan)
    assert bench.operator.sent == []


def test_what_the_last_look_missed_is_called_no_session() -> None:
    """It may be a setting, a slot, an account."""
    plan = Plan(
        action="setting.set", target="shop", risk=Risk.LOW, args={}, subject={"title": "set work_mem"},
        statements=(), server=IDENTITY, made_at=NOW,
    )  # fmt: skip
    verdict = Verdict(state="not_applied", summary="work_mem is 4MB")
    end = module.conclude(plan, Result(matched=False), verdict, None)
    assert end.error is not None
    assert (end.error.kind, end.error.hint) == ("stale", "look again: it may have changed since the plan")


@MOVES
async def test_a_saved_plan_holds_as_long_as_one_in_the_console(
    bench: Bench, planned: dict[str, Any], then: dict[str, Any], fits: bool
) -> None:
    """And its hash stays, by which others approved it."""
    began = bench.engine.list[0].transaction_started_at
    bench.engine.list = bench.engine.list[:1]  # nobody waits for it
    bench.engine.change(1, **planned)
    saved = msgspec.json.decode(msgspec.json.encode(await bench.plan()), type=Plan)
    bench.engine.change(1, **({"transaction_started_at": began} | then))
    if fits:
        vouched = await bench.dispatcher.vouched(saved, bench.engine)
        assert (vouched.hash, vouched.statements) == (saved.hash, saved.statements)
        assert (await bench.run(vouched)).effect == "applied"
        return
    with pytest.raises(Stale, match="nothing was executed"):
        await bench.dispatcher.vouched(saved, bench.engine)


@pytest.mark.parametrize("began", [None, "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00", 7, "x"])
async def test_a_saved_plan_is_bound_to_no_other_transaction_by_who_edits_it(
    bench: Bench, began: object
) -> None:
    bench.engine.change(1, **BETWEEN)
    plan = await bench.plan()
    edited = msgspec.structs.replace(plan, observed={**plan.observed, "transaction started": began})
    with pytest.raises((Refused, Stale), match="nothing was executed"):
        await bench.dispatcher.vouched(edited, bench.engine)


@pytest.mark.parametrize(
    "change",
    [{"system_id": "1"}, {"started_at": NOW}, {"primary": False}],
    ids=["another server", "restarted", "demoted"],
)
async def test_another_server_or_another_run_of_it_is_stale(bench: Bench, change: dict[str, Any]) -> None:
    plan = await bench.plan()
    bench.engine.server = msgspec.structs.replace(IDENTITY, **change)
    with pytest.raises(Stale, match="nothing was executed"):
        await bench.run(plan)
    assert bench.operator.sent == []


async def test_a_saved_plan_does_not_say_how_risky_it_is(bench: Bench) -> None:
    """Policy judges by the risk, and who may write the file of a plan may write anything into it."""
    plan = await bench.plan()
    lower = next(risk for risk in Risk if risk is not plan.risk)
    changed = msgspec.structs.replace(plan, risk=lower)
    assert changed.hash != plan.hash
    with pytest.raises(Stale, match="risk now; nothing was executed"):
        await bench.run(changed)
    assert bench.operator.sent == []
    assert "intent" not in await bench.kinds()


async def test_a_held_lock_names_its_holder(bench: Bench) -> None:
    bench.operator.holder = "dbdeck operator carol@jump1 (pid 77)"
    with pytest.raises(Locked, match="carol@jump1"):
        await bench.run(await bench.plan())
    assert await bench.kinds() == []


async def test_the_lock_is_given_back_whatever_happens(bench: Bench) -> None:
    await bench.run(await bench.plan())
    bench.engine.list = storm()
    bench.operator.fail = ActionFailed("no")
    await bench.run(await bench.plan())
    assert bench.operator.held == set()


async def test_a_refusal_is_a_row_and_no_intent(bench: Bench) -> None:
    with pytest.raises(Refused, match="idle in transaction"):
        await bench.run(await bench.plan("session.cancel"))
    assert await bench.kinds() == ["refused"]
    assert (await bench.last(Kind.REFUSED))["action"] == "session.cancel"


async def test_high_risk_in_prod_wants_the_targets_name(ledger: Ledger) -> None:
    bench = Bench(ledger, Policy(), Environment.PROD)
    plan = await bench.plan()
    for typed in ("", "shop2", "Shop"):
        with pytest.raises(Refused) as refused:
            await bench.run(plan, Approval(reason="why", confirm=typed))
        assert refused.value.hint == "--confirm shop"
    assert (await bench.run(plan, Approval(reason="why", confirm="shop"))).effect == "applied"


async def test_policy_denies_by_pattern_and_selection(ledger: Ledger) -> None:
    rule = Deny(actions=("session.*",), reason="hands off", select="env=prod")
    refused = Bench(ledger, Policy(deny=(rule,)), Environment.PROD)
    with pytest.raises(Refused, match="hands off"):
        await refused.run(await refused.plan(), Approval(reason="why", confirm="shop"))
    allowed = Bench(ledger, Policy(deny=(rule,)), Environment.DEV)
    assert (await allowed.run(await allowed.plan())).effect == "applied"


async def test_a_statement_the_server_refused_is_failed_and_nothing_is_left(bench: Bench) -> None:
    bench.operator.fail = ActionFailed("must be a superuser", "use a superuser")
    run = await bench.run(await bench.plan())
    assert (run.effect, run.exit) == ("none", Exit.FAILED)
    assert run.error is not None
    assert run.error.hint == "use a superuser"
    assert (await bench.last(Kind.OUTCOME))["status"] == "failed"


async def test_a_lost_answer_is_unknown_until_the_server_shows_it(bench: Bench) -> None:
    bench.operator.fail = OutcomeUnknown("the answer was lost")
    run = await bench.run(await bench.plan())
    assert (run.effect, run.exit) == ("unknown", Exit.UNKNOWN)


async def test_a_lost_answer_is_applied_when_the_server_shows_it(bench: Bench) -> None:
    async def lost(statement: Any, *, timeout: float | None) -> Any:
        bench.engine.end(1)
        raise OutcomeUnknown("the answer was lost")

    bench.operator.run = lost  # type: ignore[method-assign]
    run = await bench.run(await bench.plan())
    assert (run.effect, run.exit) == ("applied", Exit.OK)


async def test_a_session_that_stays_is_unknown_and_never_done(bench: Bench) -> None:
    bench.operator.ends = None
    run = await bench.run(await bench.plan())
    assert (run.effect, run.exit) == ("unknown", Exit.UNKNOWN)
    assert run.verify is not None
    assert "still there" in run.verify.summary


async def test_an_unknown_outcome_freezes_its_family_on_the_target(bench: Bench) -> None:
    bench.operator.ends = None
    plan = await bench.plan()
    await bench.run(plan)
    with pytest.raises(Refused, match="no known outcome") as refused:
        await bench.run(plan)
    assert "reconcile" in refused.value.hint


async def test_an_open_intent_without_its_text_freezes_everything(bench: Bench) -> None:
    """Nobody can tell any more which action it is, nor of which target."""
    bench.operator.ends = None
    run = await bench.run(await bench.plan())
    with closing(sqlite3.connect(bench.ledger.sink.removeprefix("sqlite://"))) as connection:
        connection.execute("drop trigger entry_no_update")
        connection.execute("update entry set body = null where kind = 'intent'")
        connection.commit()
    with pytest.raises(Refused, match="the text that told which and where is gone") as refused:
        await bench.run(await bench.plan())
    assert "audit open" in refused.value.hint
    (left,) = await bench.ledger.open_intents()
    assert left.action_id == run.action_id
    assert open_line(left).startswith("an action whose text is gone since ")


async def test_an_idempotency_key_runs_once(bench: Bench) -> None:
    run = await bench.run(await bench.plan(), idempotency_key="ticket-7")
    bench.engine.list = storm()
    with pytest.raises(Refused, match=str(run.action_id)):
        await bench.run(await bench.plan(), idempotency_key="ticket-7")
    assert len(bench.operator.sent) == 1


async def test_without_an_intent_row_nothing_is_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = await bench.plan()

    async def full(*_: Any, **__: Any) -> Any:
        raise AuditUnavailable("the ledger is full")

    monkeypatch.setattr(bench.ledger, "append", full)
    with pytest.raises(AuditUnavailable, match="nothing was executed"):
        await bench.run(plan)
    assert bench.operator.sent == []


async def test_a_cancellation_after_the_intent_waits_for_the_outcome(bench: Bench) -> None:
    plan = await bench.plan()
    sending, go = asyncio.Event(), asyncio.Event()

    async def slow(statement: Any, *, timeout: float | None) -> Any:
        sending.set()
        await go.wait()
        bench.engine.end(1)
        return [(True, False)]

    bench.operator.run = slow  # type: ignore[method-assign]
    task = asyncio.create_task(bench.run(plan))
    await sending.wait()
    task.cancel()
    await asyncio.sleep(0)
    go.set()
    assert (await task).effect == "applied"
    assert await bench.kinds() == ["intent", "step", "outcome"]


async def test_a_defect_inside_an_action_still_gets_its_outcome(bench: Bench) -> None:
    bench.operator.ends = None
    bench.operator.fail = ZeroDivisionError("a defect")
    run = await bench.run(await bench.plan())
    assert run.effect == "unknown"
    assert await bench.kinds() == ["intent", "step", "outcome"]


async def test_cancel_is_bound_to_the_statement_that_was_seen(bench: Bench) -> None:
    bench.engine.change(1, state=State.ACTIVE)
    plan = await bench.plan("session.cancel")
    bench.engine.change(1, query_started_at=STARTED)
    with pytest.raises(Stale, match="statement"):
        await bench.run(plan)


async def test_a_window_that_closes_meanwhile_takes_no_approval_away(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter([datetime(2026, 1, 1, 22, 59, 59, tzinfo=UTC), *[datetime(2026, 1, 1, 23, tzinfo=UTC)] * 9])

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return next(ticks)

    rule = {
        "name": "eyes",
        "effect": "allow",
        "approvals": 1,
        "windows": [{"start": "22:00", "end": "23:00"}],
    }
    bench = Bench(ledger, msgspec.convert({"rules": [rule]}, Policy), Environment.DEV)
    plan = await bench.plan()
    monkeypatch.setattr(dispatching, "datetime", Clock)
    with pytest.raises(Refused, match="eyes wants 1 other"):
        await bench.run(plan)
