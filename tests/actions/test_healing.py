"""What would make a database healthy, in which order."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actions.healing import Step, read_step, wanted_of
from console.errors import UsageError
from console.model.indexes import Finding, IndexFinding, IndexHealth, Severity
from console.model.tables import Bloat, Table, TableKind, Tables
from console.model.wraparound import Numbers, Wraparound, xid_limits
from tests.fakes import IDENTITY, NOW


def table(name: str, **over: Any) -> Table:
    values: dict[str, Any] = {"schema": "public", "name": name, "analyzed_at": NOW, "xid_age": 5}
    return Table(**values | over)


def finding(kind: Finding, name: str, wasted: int = 0, remedy: str = "") -> IndexFinding:
    bloat = Bloat(wasted=wasted, low=wasted, high=wasted) if wasted else None
    return IndexFinding(
        finding=kind,
        severity=Severity.WARN,
        schema="public",
        table="orders",
        name=name,
        bloat=bloat,
        why="so",
        remedy=remedy,
    )


def steps(tables: list[Table], findings: list[IndexFinding] | None = None) -> list[str]:
    numbers = Numbers(kind="xid", age=10, limits=xid_limits(180000, 200_000_000, None))
    around = Wraparound(xid=numbers, mxid=numbers)
    health = IndexHealth(findings=tuple(findings or ()))
    found = wanted_of(IDENTITY, Tables(tables=tuple(tables), wraparound=around), health)
    return [step.shown for step in found]


def test_leftovers_first_then_freezing_dead_rows_bloat_and_statistics() -> None:
    tables = [
        table("stale", modified=5000, analyze_at=100),
        table("dead", dead=900, vacuum_at=50),
        table("old", xid_age=250_000_000),
        table("older", xid_age=300_000_000, dead=900, vacuum_at=50),
        table("well", dead=3, vacuum_at=50, modified=1, analyze_at=100),
    ]
    findings = [
        finding(Finding.BLOATED, "fat", 50 << 20),
        finding(Finding.LEFTOVER_NEW, "i_ccnew", remedy="index.drop_invalid index=public.i_ccnew"),
    ]
    assert steps(tables, findings) == [
        "drop invalid public.i_ccnew",
        "vacuum freeze public.older",
        "vacuum freeze public.old",
        "vacuum public.dead",
        "reindex public.fat",
        "analyze public.stale",
    ]


def test_what_takes_a_decision_or_is_not_certain_is_left_out() -> None:
    findings = [
        finding(Finding.UNUSED, "unused"),
        finding(Finding.DUPLICATE, "twice"),
        finding(Finding.BUILDING, "being_built"),
        finding(Finding.INVALID, "of_partitions", remedy="ALTER INDEX of_partitions ATTACH PARTITION …;"),
        finding(Finding.BLOATED, "a little", 1 << 20),
    ]
    assert steps([], findings) == []


def test_a_table_without_statistics_is_analyzed_and_a_parent_is_not_vacuumed() -> None:
    tables = [
        table("fresh", analyzed_at=None, modified=10, analyze_at=5000),
        table("parent", number=9, kind=TableKind.PARTITIONED, dead=900, vacuum_at=50),
    ]
    assert steps(tables) == ["analyze public.fresh"]


def test_a_partitioned_table_without_statistics_goes_with_its_partitions() -> None:
    parent = table("parent", number=9, kind=TableKind.PARTITIONED, analyzed_at=None, stale_statistics=True)
    leaf = table("leaf", number=10, parent="public.parent", modified=5000, analyze_at=100)
    assert steps([parent, leaf]) == ["analyze public.parent"]
    known = msgspec.structs.replace(parent, stale_statistics=False)
    assert steps([known, leaf]) == ["analyze public.leaf"]


def test_steps_are_read_back() -> None:
    step = Step("vacuum freeze", "public", 'odd "one"')
    assert read_step(step.shown) == step
    with pytest.raises(UsageError, match="no step"):
        read_step("truncate public.orders")
