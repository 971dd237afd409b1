"""Rules of the policy: who, what, how dangerous, where, and when. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.dispatch.action import Risk
from console.dispatch.policy import check_rules, disabled, failures
from console.dispatch.ruling import Case, Who, is_open, over_the_limit, ruling
from console.errors import ConfigError
from console.model.policy import Policy, Rule, RuleTest, Window
from console.model.target import Environment
from tests.fakes import NOW, TARGET

PROD = msgspec.structs.replace(TARGET, environment=Environment.PROD)
DEV = msgspec.structs.replace(TARGET, environment=Environment.DEV)
ANN = Who(user="ann", groups=("dba", "oncall"))
BOB = Who(user="bob")


def rule(effect: str = "allow", name: str = "r", **more: Any) -> Rule:
    return msgspec.convert({"name": name, "effect": effect, **more}, Rule)


def ask(*rules: Rule, who: Who = ANN, action: str = "session.terminate", risk: Risk | None = Risk.HIGH,
        target: Any = PROD, at: datetime = NOW) -> tuple[str | None, str]:  # fmt: skip
    found = ruling(Policy(rules=rules), Case(who=who, action=action, target=target, at=at, risk=risk))
    return found.effect, found.rule


def test_without_rules_everything_is_allowed() -> None:
    assert ask() == ("allow", "the default")


@pytest.mark.parametrize(
    ("risk", "target", "effect"),
    [(Risk.LOW, PROD, "allow"), (Risk.MEDIUM, PROD, "deny"), (Risk.HIGH, PROD, "deny"),
     (Risk.HIGH, DEV, "allow")],
)  # fmt: skip
def test_with_rules_nothing_dangerous_is_allowed_in_prod_unless_one_says_so(
    risk: Risk, target: Any, effect: str
) -> None:
    assert ask(rule(who=["nobody"]), risk=risk, target=target) == (effect, "the default")


def test_a_denial_wins_wherever_it_stands() -> None:
    assert ask(rule(), rule("deny", "no", actions=["session.*"])) == ("deny", "no")


def test_the_first_denial_and_the_first_permission_are_named() -> None:
    assert ask(rule("deny", "one"), rule("deny", "two")) == ("deny", "one")
    allowing = (rule(name="one", who=["bob"]), rule(name="two"), rule(name="three"))
    assert ask(*allowing) == ("allow", "two")


@pytest.mark.parametrize(
    ("who", "globs", "fits"),
    [(ANN, ["ann"], True), (ANN, ["a*"], True), (ANN, ["bob"], False), (ANN, ["group:dba"], True),
     (ANN, ["group:on*"], True), (BOB, ["group:*"], False), (BOB, ["dba", "bob"], True),
     (ANN, ["dba"], False)],
)  # fmt: skip
def test_who_is_a_user_or_a_group(who: Who, globs: list[str], fits: bool) -> None:
    assert (ask(rule(who=globs), who=who)[0] == "allow") is fits


def test_a_rule_about_a_risk_waits_for_the_plan() -> None:
    no = rule("deny", "no", risk=["high"])
    assert ask(no, rule(), risk=None)[0] is None
    assert ask(no, rule(), risk=Risk.HIGH) == ("deny", "no")
    assert ask(no, rule(), risk=Risk.MEDIUM) == ("allow", "r")


@pytest.mark.parametrize(
    ("at", "fits"),
    [
        ("2026-11-23T21:59:00+00:00", False),  # a Monday, 22:59 in Berlin
        ("2026-11-23T22:00:00+00:00", True),
        ("2026-11-24T04:59:00+00:00", True),  # it goes on into Tuesday
        ("2026-11-24T05:00:00+00:00", False),
        ("2026-11-27T22:30:00+00:00", False),  # Friday's does not begin
        ("2026-11-23T04:30:00+00:00", False),  # nor did Sunday's
        ("2026-07-06T21:00:00+00:00", True),  # in summer 23:00 is two hours before
        ("2026-07-06T20:59:00+00:00", False),
    ],
)
def test_a_window_over_midnight_follows_its_own_clock(at: str, fits: bool) -> None:
    window = Window(start="23:00", end="06:00", days=("mon", "tue", "wed", "thu"), zone="Europe/Berlin")
    assert is_open(window, datetime.fromisoformat(at)) is fits


@given(at=st.datetimes(timezones=st.just(UTC)), start=st.integers(0, 1439), end=st.integers(0, 1439))
def test_a_window_and_its_complement_are_never_both_open(at: datetime, start: int, end: int) -> None:
    def clock(minutes: int) -> str:
        return f"{minutes // 60:02}:{minutes % 60:02}"

    one, other = Window(start=clock(start), end=clock(end)), Window(start=clock(end), end=clock(start))
    if start != end:
        assert is_open(one, at) != is_open(other, at)
    else:
        assert is_open(one, at)


def test_a_denial_is_told_with_who_and_by_which_rule() -> None:
    policy = Policy(rules=(rule("deny", "no nights", reason="call first"),))
    found = disabled(policy, PROD, "session.cancel", NOW, ANN, Risk.MEDIUM)
    assert found is not None
    assert all(word in found.reason for word in ("ann", "no nights", "call first"))
    assert "policy explain session.cancel" in found.hint


def test_a_window_in_no_zone_and_two_rules_of_one_name_are_refused() -> None:
    for zone in ("Europe/Brelin", "Europe", "../UTC"):
        with pytest.raises(ConfigError, match=zone):
            check_rules(Policy(rules=(rule(windows=[{"start": "01:00", "end": "02:00", "zone": zone}]),)))
    with pytest.raises(ConfigError, match="two rules"):
        check_rules(Policy(rules=(rule(), rule())))


def test_tests_of_rules_tell_what_does_not_hold() -> None:
    policy = Policy(
        rules=(
            rule("deny", "no nights", windows=[{"start": "22:00", "end": "06:00"}]),
            rule(name="dba", who=["ann"]),
        ),
        tests=(
            RuleTest(action="x.y", target="shop", expect="deny", at=NOW, rule="no nights"),
            RuleTest(action="x.y", target="shop", expect="allow", at=NOW),
            RuleTest(action="x.y", target="shop", expect="allow", who="ann", at=NOW + timedelta(hours=9),
                     rule="z"),
            RuleTest(action="x.y", target="nowhere", expect="allow"),
        ),
    )  # fmt: skip
    found = list(failures(policy, {"shop": PROD}, NOW))
    assert [text.partition(":")[0][:6] for text in found] == ["test 2", "test 3", "test 4"]
    assert "no nights says deny" in found[0]


def test_a_rule_counts_the_targets_that_its_actions_met() -> None:
    few = rule(actions=["session.*"], max_targets=2)
    acted = [("session.terminate", "a"), ("session.cancel", "b"), ("table.vacuum", "c")]
    assert over_the_limit(few, "d", acted) == ["a", "b"]
    assert over_the_limit(few, "b", acted) == []  # it is one of them
    assert over_the_limit(few, "d", acted[1:]) == []
    assert over_the_limit(rule(max_targets=2), "a", acted[1:]) == ["b", "c"]


def test_the_rule_that_decides_brings_its_limit_along() -> None:
    few = rule(max_targets=1)
    asked = Case(who=ANN, action="session.terminate", target=PROD, at=NOW, risk=Risk.HIGH)
    assert ruling(Policy(rules=(few,)), asked).limit == few
    assert ruling(Policy(rules=(rule(), few)), asked).limit is None


def test_the_hash_of_a_policy_tells_two_apart() -> None:
    assert Policy(rules=(rule(),)).hash == Policy(rules=(rule(),)).hash
    assert Policy(rules=(rule(),)).hash != Policy(rules=(rule(max_targets=2),)).hash
