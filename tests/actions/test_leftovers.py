"""Which invalid indexes a run of ours may have left, by their names."""

from __future__ import annotations

from typing import Any

import pytest

from actions.jobs import Job
from actions.leftovers import made_by
from console.engine.port import Statement
from console.model.indexes import Index

ELEPHANTS = "🐘" * 15  # 60 bytes


def job(name: str, verb: str = "reindex") -> Job:
    nothing = Statement(sql="", shown="")
    return Job(
        subject=name, kind="index", schema="s", name=name, table="t", verb=verb, statement=nothing, lock=""
    )


def left(name: str, number: int = 7, **over: Any) -> Index:
    return Index(schema="s", name=name, number=number, **{"table": "t", "state": "invalid"} | over)


@pytest.mark.parametrize(
    ("name", "work"),
    [
        ("orders_at", "orders_at_ccnew"),
        ("orders_at", "orders_at_ccold3"),
        ("a_ccnew", "a_ccnew_ccnew"),
        ("x" * 63, "x" * 57 + "_ccnew"),
        ("x" * 63, "x" * 56 + "_ccnew1"),
        ("x" * 57, "x" * 57 + "_ccnew"),
        (ELEPHANTS + "abc", "🐘" * 14 + "_ccnew"),
    ],
)
def test_the_work_of_a_rebuild_is_known_by_its_name(name: str, work: str) -> None:
    assert [one.name for one in made_by([job(name)], [left(work)])] == [work]


@pytest.mark.parametrize(
    "other",
    [
        left("orders_at_place_ccnew"),  # of another index, whose name begins so
        left("orders_ccnew"),
        left("orders_at"),
        left("orders_at_ccnew", table="u"),
        left("orders_at_ccnew", state="valid"),
        left("orders_at_ccnew", state="building", builder=12),
    ],
)
def test_what_is_another_index_is_nothing_of_ours(other: Index) -> None:
    assert made_by([job("orders_at")], [other]) == []


def test_of_two_that_could_be_ours_neither_is_taken() -> None:
    assert made_by([job("orders_at")], [left("orders_at_ccnew", 7), left("orders_at_ccnew1", 8)]) == []


def test_a_failed_build_bears_its_own_name() -> None:
    made = made_by([job("orders_at", "create index")], [left("orders_at"), left("orders_at_ccnew", 8)])
    assert [one.number for one in made] == [7]
