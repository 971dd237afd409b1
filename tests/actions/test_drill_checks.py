"""What a comparison with the baseline says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from actions.drill_baseline import after_replay
from actions.drill_checks import age_check, assertion_check, inventory_check, rows_checks
from console.model.backups import Backup, DrillRule, Method
from console.model.drills import Check, Outcome
from console.model.inventory import Baseline, Contents, Inventory, TableContent

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def inventory(**objects: dict[str, str]) -> Inventory:
    return Inventory(database="shop", flavor="postgresql", version=17, objects=objects)


def contents(*tables: TableContent) -> Contents:
    return Contents(database="shop", tables=tables)


def table(rows: int | None, checksum: str = "", **more: object) -> TableContent:
    return TableContent(name="shop.orders", rows=rows, checksum=checksum, **more)  # type: ignore[arg-type]


def baseline(*tables: TableContent, exact: bool = True) -> Baseline:
    return Baseline(exact=exact, taken_at=NOW, origin="the manifest", contents=(contents(*tables),))


def failed(checks: list[Check]) -> list[Check]:
    return [one for one in checks if one.outcome is Outcome.FAILED]


def test_a_missing_view_fails_and_is_named() -> None:
    found = inventory_check(inventory(view={"shop.daily": "a"}), inventory(), baseline())
    assert [one.items for one in failed(found)] == [("view shop.daily",)]
    assert "view shop.daily" in failed(found)[0].detail


def test_by_the_live_server_a_missing_trigger_fails_too_and_says_so() -> None:
    live = baseline(exact=False)
    found = inventory_check(inventory(trigger={"t": "a"}), inventory(), live)
    assert "since the backup" in failed(found)[0].detail


def test_by_the_live_server_another_definition_is_no_fault_of_the_backup() -> None:
    found = inventory_check(inventory(view={"v": "a"}), inventory(view={"v": "b"}), baseline(exact=False))
    assert failed(found) == []
    assert any(one.outcome is Outcome.SKIPPED for one in found)


def test_without_a_baseline_nothing_is_passed() -> None:
    assert [one.outcome for one in inventory_check(None, inventory(), None)] == [Outcome.SKIPPED]
    assert [one.outcome for one in rows_checks(None, contents(table(1)), drift=0, physical=False)] == [
        Outcome.SKIPPED
    ]


def test_one_row_less_than_in_the_snapshot_fails() -> None:
    found = failed(rows_checks(baseline(table(10)), contents(table(9)), drift=0.5, physical=False))
    assert found[0].items == ("shop.orders: 9 rows instead of 10",)


@pytest.mark.parametrize(("rows", "bad"), [(95, 0), (105, 0), (85, 1), (0, 1)])
def test_the_drift_of_a_live_server_is_allowed(rows: int, bad: int) -> None:
    live = baseline(table(100), exact=False)
    assert len(failed(rows_checks(live, contents(table(rows)), drift=0.05, physical=False))) == bad


@pytest.mark.parametrize(("live", "have", "bad"), [(10, 11, 0), (11, 1, 0), (12, 1, 1), (5, 0, 1)])
def test_a_small_table_of_a_live_server_may_differ_by_some_rows_and_not_be_empty(
    live: int, have: int, bad: int
) -> None:
    found = rows_checks(baseline(table(live), exact=False), contents(table(have)), drift=0.05, physical=False)
    assert len(failed(found)) == bad


def test_an_empty_table_is_missing_data_even_by_an_estimate() -> None:
    live = baseline(table(100_000, exact=False), exact=False)
    assert failed(rows_checks(live, contents(table(0)), drift=0.05, physical=False))


def test_other_contents_fail_though_the_count_is_right() -> None:
    found = rows_checks(baseline(table(5, "a")), contents(table(5, "b")), drift=0, physical=False)
    assert [one.items for one in failed(found)] == [("shop.orders",)]


def test_sums_of_different_samples_are_not_compared() -> None:
    found = rows_checks(baseline(table(5, "a", sample=8)), contents(table(5, "b")), drift=0, physical=False)
    assert failed(found) == []
    assert found[-1].outcome is Outcome.SKIPPED


def test_an_unlogged_table_may_be_empty_after_a_copy_of_files() -> None:
    found = contents(table(0, unlogged=True))
    assert failed(rows_checks(baseline(table(5)), found, drift=0, physical=True)) == []
    assert failed(rows_checks(baseline(table(5)), found, drift=0, physical=False))


def test_a_table_that_was_not_counted_is_skipped_by_name() -> None:
    found = rows_checks(
        baseline(table(5)), contents(table(None, why="no time was left")), drift=0, physical=False
    )
    assert [one.outcome for one in found if "all tables" in one.name] == [Outcome.SKIPPED]
    assert found[-1].items == ("shop.orders",)


def test_what_was_replayed_since_takes_the_exactness_of_a_baseline_away() -> None:
    exact = baseline(table(5))
    assert after_replay(exact, None, None) is exact
    assert after_replay(exact, NOW, None) is exact
    for found in (after_replay(exact, NOW + timedelta(seconds=1), None), after_replay(exact, None, NOW)):
        assert found is not None
        assert not found.exact
        assert "replayed since" in found.origin
    assert after_replay(None, NOW, NOW) is None


@pytest.mark.parametrize(
    ("expect", "answer", "good"),
    [
        ("true", "true", 1),
        ("true", "1", 1),
        ("false", "0", 1),
        ("true", "0", 0),
        ("1", "true", 0),
        ("true", None, 0),
    ],
)
def test_a_truth_is_answered_by_each_engine_in_its_way(expect: str, answer: str | None, good: int) -> None:
    assert (assertion_check("it", expect, answer).outcome is Outcome.PASSED) == bool(good)


def test_a_backup_of_the_future_is_not_taken_for_a_new_one() -> None:
    backup = Backup(source="s", id="b", method=Method.PG_DUMP, path="/b", started_at=NOW + timedelta(hours=9))
    found = age_check(backup, DrillRule(), NOW)
    assert found.outcome is Outcome.BROKEN
    assert "a time zone" in found.detail
