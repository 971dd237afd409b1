"""What is approved: nothing that changes an effect may differ under one hash."""

from __future__ import annotations

from typing import Any

import pytest

from console.dispatch.action import Plan, Risk
from tests.fakes import IDENTITY

SLOT = {"name": "s1", "kind": "physical", "active_pid": None, "restart_lsn": "0/5000", "retained_bytes": 7}


def plan(subject: dict[str, Any], **over: Any) -> Plan:
    given: dict[str, Any] = {
        "action": "slot.drop", "target": "db1", "risk": Risk.HIGH, "args": {"name": "s1"}, "subject": subject,
        "statements": ("select 1",), "server": IDENTITY, "made_at": IDENTITY.started_at,
    }  # fmt: skip
    return Plan(**{**given, **over})


@pytest.mark.parametrize("change", [{"restart_lsn": None}, {"restart_lsn": "0/6000"}, {"name": "s2"}])
def test_the_condition_of_a_statement_is_approved_with_it(change: dict[str, Any]) -> None:
    assert plan({"slot": SLOT}).hash != plan({"slot": SLOT | change}).hash


def test_what_another_look_measures_is_not() -> None:
    assert plan({"slot": SLOT}).hash == plan({"slot": SLOT | {"retained_bytes": 9}}).hash
    active = SLOT | {"active_pid": 7}
    assert plan({"slot": active}).hash == plan({"slot": active | {"restart_lsn": "0/6000"}}).hash


def test_the_risk_is_approved() -> None:
    assert plan({"slot": SLOT}).hash != plan({"slot": SLOT}, risk=Risk.LOW).hash
