"""A dispatcher whose ledger is a journal alone: rules as ever, one target, and an end."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

import actions
from console.audit.glass import GlassLedger, open_glass
from console.audit.ledger import open_ledger
from console.audit.record import Kind
from console.dispatch import effect as module
from console.dispatch.action import Approval
from console.dispatch.approving import ApprovalMissing
from console.dispatch.breaking import terms
from console.dispatch.dispatcher import Broken, Dispatcher
from console.dispatch.effect import Run
from console.dispatch.policy import check_selects, may_break_glass
from console.dispatch.registry import Registry
from console.dispatch.ruling import Who
from console.errors import AuditUnavailable, ConfigError, Refused
from console.model.policy import BreakGlass, Policy, Rule
from console.model.target import Environment
from tests.fakes import STARTED, TARGET, ScriptedEngine, ScriptedOperator, storm

APPROVAL = Approval(reason="the shop is down")
ROOT = {"id": 1, "started_at": STARTED}
MAY = BreakGlass(who=("*",), minutes=5)
PROD = msgspec.structs.replace(TARGET, environment=Environment.PROD)


# ---- who may --------------------------------------------------------------------------------------


def test_without_an_entry_nobody_may() -> None:
    with pytest.raises(Refused, match="no policy lets ann break the glass"):
        may_break_glass(Policy(), PROD, Who(user="ann"))


@pytest.mark.parametrize(
    ("entry", "may"),
    [
        (BreakGlass(who=("ann",)), True),
        (BreakGlass(who=("group:dba",)), True),
        (BreakGlass(who=("group:dba",), select="env=prod"), True),
        (BreakGlass(who=("group:dba",), select="env=dev"), False),
        (BreakGlass(who=("bob", "group:ops")), False),
    ],
)
def test_an_entry_is_for_people_and_targets(entry: BreakGlass, may: bool) -> None:
    who = Who(user="ann", groups=("dba",))
    if may:
        assert may_break_glass(Policy(break_glass=(entry,)), PROD, who) is entry
    else:
        with pytest.raises(Refused):
            may_break_glass(Policy(break_glass=(entry,)), PROD, who)


@pytest.mark.parametrize("wrong", [{"who": []}, {"who": ["*"], "minutes": 31}, {"who": ["*"], "minutes": 0}])
def test_an_entry_names_somebody_and_is_short(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, BreakGlass)


def test_an_entry_by_a_key_that_no_target_has_is_a_config_error() -> None:
    with pytest.raises(ConfigError):
        check_selects(Policy(break_glass=(BreakGlass(who=("*",), select="tema=shop"),)), [PROD])


def test_nobody_gets_more_minutes_than_the_policy_says() -> None:
    assert terms(MAY, PROD, "x", 30).seconds == 300
    assert terms(MAY, PROD, "x", 1).seconds == 60


# ---- what may be done -----------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)


@pytest_asyncio.fixture
async def glass(tmp_path: Path) -> AsyncIterator[GlassLedger]:
    url, journal = f"sqlite:///{tmp_path}/audit.db", tmp_path / "journal"
    async with open_ledger(url, journal):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "audit.db", isolation_level=None)) as locker:
        locker.execute("begin immediate")
        async with open_glass(url, journal, terms(MAY, TARGET, "the shop is down"), deadline=0.5) as opened:
            yield opened


class Bench:
    def __init__(self, glass: GlassLedger, policy: Policy = Policy(), **over: object) -> None:  # noqa: B008
        self.engine = ScriptedEngine(storm(), TARGET)
        self.operator = ScriptedOperator(self.engine)
        by = msgspec.structs.replace(MAY, **{k: v for k, v in over.items() if k != "target"})
        broken = Broken(target=str(over.get("target", TARGET.name)), by=by)
        opener = self.operator.open
        self.dispatcher = Dispatcher(Registry(actions.ALL), glass, policy, opener=opener, glass=broken)

    async def run(self, **options: Any) -> Run:
        plan = await self.dispatcher.plan("session.terminate", self.engine, ROOT)
        return await self.dispatcher.apply(plan, self.engine, APPROVAL, **options)


def rows(glass: GlassLedger) -> list[str]:
    lines = glass.path.read_text().splitlines()[1:]
    return [line.split('"kind":"')[1].split('"')[0] for line in lines]


async def test_it_runs_and_is_in_the_journal_before_it_is_sent(glass: GlassLedger) -> None:
    bench, seen = Bench(glass), []
    bench.operator.before_answer = lambda: seen.extend(rows(glass))
    await bench.run()
    assert seen[-2:] == ["intent", "step"]
    assert rows(glass)[-1] == "outcome"


async def test_it_is_for_the_target_whose_name_was_typed(glass: GlassLedger) -> None:
    with pytest.raises(Refused, match="not for shop"):
        await Bench(glass, target="another").run()


async def test_a_key_that_nobody_can_look_up_is_refused(glass: GlassLedger) -> None:
    with pytest.raises(Refused, match="idempotency key"):
        await Bench(glass).run(idempotency_key="k")


async def test_the_approval_of_others_cannot_be_read_and_is_waived_by_policy_alone(
    glass: GlassLedger,
) -> None:
    rules = Policy(rules=(Rule(name="two", effect="allow", approvals=1),))
    with pytest.raises(ApprovalMissing, match="can be read"):
        await Bench(glass, rules).run()
    await Bench(glass, rules, without_approvals=True).run()
    intents = [line for line in glass.path.read_text().splitlines() if '"kind":"intent"' in line]
    assert len(intents) == 1
    assert '\\"approvals_waived\\":1' in intents[0]


async def test_when_it_is_over_between_intent_and_step_nothing_is_sent(glass: GlassLedger) -> None:
    bench = Bench(glass)
    append = glass.append

    async def closing(kind: Kind, *given: object, **more: object) -> object:
        receipt = await append(kind, *given, **more)  # type: ignore[arg-type]
        if kind is Kind.INTENT:
            glass.window.close()
        return receipt

    glass.append = closing  # type: ignore[assignment,method-assign]
    run = await bench.run()
    assert bench.operator.sent == []
    assert run.exit == 1
    assert rows(glass)[-2:] == ["intent", "outcome"]


async def test_when_it_is_over_no_intent_is_recorded(glass: GlassLedger) -> None:
    glass.window.close()
    bench = Bench(glass)
    with pytest.raises(AuditUnavailable, match="nothing was executed"):
        await bench.run()
    assert bench.operator.sent == []
    assert "intent" not in rows(glass)


async def test_an_action_whose_end_is_not_known_freezes_the_next_one(glass: GlassLedger) -> None:
    bench = Bench(glass)
    bench.operator.ends = None
    await bench.run()
    with pytest.raises(Refused, match="no known outcome"):
        await bench.run()
