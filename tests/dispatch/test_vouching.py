"""What of a saved plan may differ from the one that its action makes now, and how it is told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from console.dispatch.action import Plan, Risk
from console.dispatch.vouching import vouch
from console.errors import Refused, Stale
from tests.dispatch.test_plan_hash import plan

JOB = {
    "verb": "vacuum",
    "subject": "shop.orders",
    "statement": {"sql": "vacuum a"},
    "bytes": 1,
    "before": {"vacuums": 1},
}
SAVED = plan(
    {"title": "t", "jobs": [JOB], "before": [1]}, statements=("a", "b"), observed={"table shop.orders": 7}
)


def fresh(**over: Any) -> Plan:
    return msgspec.structs.replace(SAVED, **over)


def test_what_was_measured_may_differ() -> None:
    later = {**JOB, "bytes": 9, "before": {"vacuums": 2}}
    again = fresh(
        subject={"title": "t", "jobs": [later], "before": [1, 2]}, forecast=("x",), evidence={"x": 1}
    )
    vouch(SAVED, again)
    assert again.hash == SAVED.hash


@pytest.mark.parametrize(
    ("observed", "told"),
    [
        ({"table shop.orders": 8}, "table shop.orders was dropped and made anew"),
        ({"table shop.orders": 7, "index shop.i": 9}, "index shop.i was none and is 9"),
        ({}, "table shop.orders is gone"),
    ],
)
def test_objects_that_have_changed_are_stale(observed: dict[str, Any], told: str) -> None:
    with pytest.raises(Stale, match=told):
        vouch(SAVED, fresh(observed=observed, statements=("c",)))


@pytest.mark.parametrize(
    ("over", "told"),
    [
        ({"statements": ("a",)}, "'b' is none of its statements"),
        ({"statements": ("a", "b", "c")}, "'c' is missing"),
        ({"statements": ("b", "a")}, "another order"),
        ({"risk": Risk.LOW}, "its risk is low, not high"),
        ({"confirm": True}, "has to be typed"),
        (
            {"subject": {"title": "t", "jobs": [{**JOB, "statement": {"sql": "drop"}}], "before": [1]}},
            "objects",
        ),
        ({"args": {"table": "other"}}, "objects"),
        ({"version": "9.9", "statements": ("a",)}, "made by dbdeck ''"),
    ],
)
def test_the_rest_is_refused(over: dict[str, Any], told: str) -> None:
    with pytest.raises(Refused, match=told):
        vouch(SAVED, fresh(**over))


def test_a_session_that_went_on_is_the_same_and_another_one_is_not() -> None:
    one = {"id": 1, "started_at": "x", "query_seconds": 1.0, "query": "a", "state": "active"}
    saved = plan({"title": "t", "session": one})
    went_on = plan({"title": "t", "session": {**one, "query": "b", "state": "idle"}})
    vouch(saved, went_on)
    assert went_on.hash == saved.hash  # what was approved stays approved
    with pytest.raises(Refused, match="objects"):
        vouch(saved, plan({"title": "t", "session": {**one, "id": 2}}))


def test_of_a_thinned_plan_only_more_is_refused() -> None:
    vouch(SAVED, fresh(statements=("a",)), thinned=True)
    with pytest.raises(Refused, match="'c' is missing"):
        vouch(SAVED, fresh(statements=("a", "c")), thinned=True)
