"""What is approved: nothing that changes an effect may differ under one hash."""

from __future__ import annotations

from typing import Any

import pytest

from console.dispatch.action import Plan, Risk
from tests.fakes import IDENTITY

SLOT = {"name": "s1", "kind": "physical", "active_pid": None, "restart_lsn": "0/5000", "retained_bytes": 7,
        "wal_status": "reserved"}  # fmt: skip


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
    assert plan({"slot": SLOT}).hash == plan({"slot": SLOT | {"wal_status": "extended"}}).hash
    active = SLOT | {"active_pid": 7, "reader": {"id": 7, "query_seconds": None}}
    assert plan({"slot": active}).hash == plan({"slot": active | {"restart_lsn": "0/6000"}}).hash
    back = {"active_pid": 8, "reader": {"id": 8, "query_seconds": None}}  # its consumer, as another process
    assert plan({"slot": active}).hash == plan({"slot": active | back}).hash
    assert plan({"slot": active}).hash != plan({"slot": SLOT}).hash


def test_the_risk_is_approved() -> None:
    assert plan({"slot": SLOT}).hash != plan({"slot": SLOT}, risk=Risk.LOW).hash
