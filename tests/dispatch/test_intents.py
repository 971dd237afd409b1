"""What an intent row holds: each thing once, and the plan can be had again."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from actions.selection import TableArgs
from actions.tables import AnalyzeTable
from console.audit.record import canonical_json
from console.dispatch import intents
from console.dispatch.action import Approval, Plan
from console.model.tables import Table
from tests.fakes import ScriptedEngine

TABLES = [Table(schema="shop", name=f"orders_{n}", number=16000 + n, analyzes=n) for n in range(3)]


async def planned() -> tuple[Plan, dict[str, Any]]:
    engine = ScriptedEngine([])
    engine.shop = TABLES
    action = AnalyzeTable()
    plan = await action.plan(engine, TableArgs(all=True))
    written = intents.body(plan, Approval(reason="tidy"), engine.target, "dbdeck_operator")
    return plan, json.loads(canonical_json(written))


def plain(plan: Plan) -> object:
    return json.loads(msgspec.json.encode(plan))


async def test_the_plan_is_read_back_but_for_what_only_shows_it() -> None:
    plan, body = await planned()
    assert plain(intents.plan_of(body)) == plain(msgspec.structs.replace(plan, pieces=()))
    assert intents.plan_of(body).hash == plan.hash == body["plan_hash"]


async def test_each_statement_stands_where_people_look_and_where_it_is_run_from() -> None:
    plan, body = await planned()
    text = canonical_json(body)
    assert body["statements"] == list(plan.statements)
    # as shown, and in its job as sent and as shown
    assert text.count(json.dumps(plan.statements[0])[1:-1]) == 2


async def test_a_row_of_version_1_is_read_too() -> None:
    plan, body = await planned()
    old = body | {"version": 1, "plan": msgspec.to_builtins(plan, str_keys=True)}
    assert plain(intents.plan_of(json.loads(canonical_json(old)))) == plain(plan)


def test_a_row_without_a_plan_is_told_as_such() -> None:
    with pytest.raises(msgspec.ValidationError):
        intents.plan_of({"version": 2, "statements": []})
