"""Verdicts, differences of inventories, and what is overdue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.model.backups import DrillRule, Method, Source, TargetDrills, source_fault
from console.model.drill_history import DrillRecord, coverage, records, states
from console.model.drills import Area, Check, Outcome, Verdict, judge
from console.model.inventory import Inventory, Known, differences, of_databases
from console.model.target import EngineKind

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
CAME_UP = Check(area=Area.RECOVERY, name="the restored server answers", outcome=Outcome.PASSED)


def check(area: Area, outcome: Outcome, name: str = "it") -> Check:
    return Check(area=area, name=name, outcome=outcome)


def test_what_came_up_and_has_no_fault_passes() -> None:
    assert judge([CAME_UP])[0] is Verdict.PASS


def test_nothing_restored_is_no_pass() -> None:
    assert judge([]) == (Verdict.INCONCLUSIVE, ("nothing was restored",))


def test_a_fault_of_the_backup_outweighs_what_could_not_be_told() -> None:
    found = [CAME_UP, check(Area.ROWS, Outcome.FAILED), check(Area.INTEGRITY, Outcome.BROKEN)]
    assert judge(found)[0] is Verdict.FAIL


def test_a_check_that_broke_is_neither_pass_nor_fail() -> None:
    assert judge([CAME_UP, check(Area.INTEGRITY, Outcome.BROKEN)])[0] is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("area", [Area.FENCE, Area.GROUND])
def test_a_copy_without_a_fence_or_a_ground_says_nothing_of_the_backup(area: Area) -> None:
    assert judge([CAME_UP, check(area, Outcome.FAILED)])[0] is Verdict.INCONCLUSIVE


def test_a_missed_objective_degrades() -> None:
    verdict, reasons = judge([CAME_UP, check(Area.OBJECTIVE, Outcome.FAILED, "age of the backup")])
    assert (verdict, reasons) == (Verdict.DEGRADED, ("age of the backup",))


def test_what_was_left_behind_is_no_pass() -> None:
    verdict, reasons = judge([CAME_UP], left=["/tmp/dbdeck-scratch-x"])
    assert verdict is Verdict.INCONCLUSIVE
    assert "/tmp/dbdeck-scratch-x" in reasons[0]


def test_a_drill_that_was_stopped_is_aborted() -> None:
    assert judge([CAME_UP], aborted=True)[0] is Verdict.ABORTED


def test_a_skipped_check_is_never_a_pass_by_itself() -> None:
    assert judge([check(Area.RECOVERY, Outcome.SKIPPED)])[0] is Verdict.INCONCLUSIVE


@given(
    st.lists(st.builds(check, st.sampled_from(Area), st.sampled_from(Outcome)), max_size=12), st.booleans()
)
def test_a_pass_has_no_fault_and_a_fail_has_one(checks: list[Check], aborted: bool) -> None:
    verdict, _ = judge(checks, aborted=aborted)
    others = (Area.OBJECTIVE, Area.FENCE, Area.GROUND)
    bad = [one for one in checks if one.outcome is Outcome.FAILED and one.area not in others]
    if verdict is Verdict.PASS:
        assert all(one.outcome in (Outcome.PASSED, Outcome.SKIPPED) for one in checks)
    assert (verdict is Verdict.FAIL) == bool(bad)


# ---- inventories --------------------------------------------------------------------------------------


def inventory(objects: dict[str, dict[str, str]], version: int = 17, **more: dict[str, str]) -> Inventory:
    return Inventory(database="shop", flavor="postgresql", version=version, objects=objects, **more)


def test_each_missing_object_is_named_with_its_kind() -> None:
    wanted = inventory({"view": {"shop.daily": "a"}, "trigger": {"shop.orders.audit": "b"}})
    seen = differences(wanted, inventory({"view": {"shop.daily": "a"}}))
    assert seen.missing == (("trigger", "shop.orders.audit"),)


def test_definitions_of_two_major_versions_are_not_compared() -> None:
    one, other = inventory({"view": {"v": "a"}}), inventory({"view": {"v": "b"}}, version=18)
    assert not differences(one, other)
    assert differences(one, inventory({"view": {"v": "b"}})).changed == (("view", "v"),)


def test_a_kind_that_may_not_be_seen_is_neither_there_nor_missing() -> None:
    wanted = inventory({"function": {"f()": "a"}})
    seen = differences(wanted, inventory({}, unseen={"function": "GRANT …"}))
    assert not seen.missing
    assert seen.unseen == ("function",)


def test_a_backup_of_one_database_is_not_blamed_for_the_others() -> None:
    server = inventory(
        {
            "database": {"shop": "a", '"Other one"': "b"},
            "grant": {
                "database shop to app": "c",
                'database "Other one" to app': "c",
                "tablespace t to app": "d",
            },
            "role": {"app": "e"},
        }
    )
    kept = of_databases(server, ("shop",)).objects
    assert list(kept["database"]) == ["shop"]
    assert list(kept["grant"]) == ["database shop to app", "tablespace t to app"]
    assert kept["role"] == {"app": "e"}
    assert next(iter(of_databases(server, ("Other one",)).objects["grant"])) == 'database "Other one" to app'


def test_a_grant_of_mysql_on_what_is_not_in_the_backup_is_not_expected() -> None:
    shop = msgspec.structs.replace(inventory({"table": {"Orders": "a", "a`b": "c"}}), database="shop")
    known = Known.of((shop,))
    for line in (
        "GRANT SELECT ON *.* TO `app`@`%`",
        "GRANT SELECT ON `other`.* TO `app`@`%`",
        "GRANT SELECT (`a on `), INSERT ON `shop`.`orders` TO `app`@`%`",
        "GRANT SELECT ON `shop`.`a``b` TO `app`@`%`",
        "GRANT SELECT ON `mysql`.`user` TO `app`@`%`",
        "CREATE USER IF NOT EXISTS `a`@`%` COMMENT 'on `other`.`t` to '",
        "GRANT `reader`@`%` TO `app`@`%`",
    ):
        assert known.holds(line), line
    for line in (
        "GRANT SELECT ON `shop`.`gone` TO `app`@`%`",
        "GRANT SELECT (`a on ``shop``.``orders`` to `) ON `other`.`orders` TO `app`@`%`",
        "GRANT EXECUTE ON PROCEDURE `other`.`orders` TO `app`@`%`",
        "privileges on FUNCTION `other`.`f` to app@%",
    ):
        assert not known.holds(line), line
    blind = msgspec.structs.replace(shop, unseen={"procedure": "GRANT SHOW_ROUTINE"})
    assert Known.of((shop, blind)).holds("GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `app`@`%`")
    grants = {"privileges on `other`.`t` to app@%": "a", "privileges on `shop`.* to app@%": "b"}
    server = inventory({"grant": grants})
    assert list(known.within(server).objects["grant"]) == ["privileges on `shop`.* to app@%"]
    assert list(of_databases(server, ("shop",)).objects["grant"]) == ["privileges on `shop`.* to app@%"]


OBJECTS = st.dictionaries(
    st.sampled_from(["table", "view"]), st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xy"))
)


def test_an_invalid_index_that_a_dump_left_out_is_not_missing() -> None:
    wanted = inventory({"invalid index": {"shop.twice": "a"}})
    assert not differences(wanted, inventory({}))
    assert differences(inventory({}), wanted).more == (("invalid index", "shop.twice"),)


@given(OBJECTS, OBJECTS)
def test_differences_are_mirrored(one: dict[str, dict[str, str]], other: dict[str, dict[str, str]]) -> None:
    there, back = differences(inventory(one), inventory(other)), differences(inventory(other), inventory(one))
    assert (there.missing, there.more, there.changed) == (back.more, back.missing, back.changed)
    assert not differences(inventory(one), inventory(one))


# ---- history ------------------------------------------------------------------------------------------


def drill(days: float, verdict: Verdict = Verdict.PASS, source: str = "nightly") -> DrillRecord:
    return DrillRecord(
        id=f"{source}-{days}",
        target="shop",
        source=source,
        backup="b",
        method="pg_dump",
        verdict=verdict,
        started_at=NOW - timedelta(days=days),
        seconds=5.0,
    )


def rule(**more: str) -> DrillRule:
    sources = {
        "nightly": Source(method=Method.PG_DUMP, path="/b"),
        "base": Source(method=Method.BARMAN, path="/c"),
    }
    return DrillRule(sources=sources, **more)  # type: ignore[arg-type]


def test_what_was_never_proved_is_overdue() -> None:
    assert all(one.overdue for one in states("shop", rule(), [], NOW))


def test_what_was_proved_within_its_cadence_is_not_overdue() -> None:
    found = {one.source: one.overdue for one in states("shop", rule(cadence="7d"), [drill(6)], NOW)}
    assert found["nightly"] is None
    assert found["base"] is not None


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ABORTED])
def test_a_drill_that_proved_nothing_leaves_it_overdue(verdict: Verdict) -> None:
    found = {one.source: one for one in states("shop", rule(), [drill(1, verdict), drill(9)], NOW)}
    assert found["nightly"].overdue == pytest.approx(2 * 86400)
    assert found["nightly"].last == drill(1, verdict)


def test_coverage_counts_targets_that_have_backups() -> None:
    every = {"shop": rule(), "billing": rule(), "nothing": TargetDrills()}
    held = coverage(every, [drill(29)], NOW)
    assert (held.proved, held.targets) == (1, 2)
    assert coverage(every, [drill(31)], NOW).proved == 0


def test_records_of_another_make_are_left_out() -> None:
    good = {"id": "a", "source": "s", "backup": "b", "method": "m", "verdict": "pass",
            "started_at": NOW.isoformat(), "seconds": 1.0}  # fmt: skip
    found = records([{"drills": [good, {"id": "b"}], "target": "shop", "action_id": "7"}, {}])
    assert [(one.id, one.target, one.action_id) for one in found] == [("a", "shop", "7")]


# ---- sources ------------------------------------------------------------------------------------------


def test_a_source_of_the_other_engine_is_a_fault() -> None:
    assert source_fault(Source(method=Method.MYSQLDUMP, path="/b"), EngineKind.POSTGRES)


def test_a_repository_wants_its_name() -> None:
    assert "stanza" in source_fault(Source(method=Method.PGBACKREST, path="/b"), EngineKind.POSTGRES)
    assert "server" in source_fault(Source(method=Method.BARMAN, path="/b"), EngineKind.POSTGRES)


def test_a_relative_path_is_a_fault() -> None:
    assert source_fault(Source(method=Method.PG_DUMP, path="backups"), EngineKind.POSTGRES)
