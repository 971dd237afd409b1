"""Rules are pure: selections, freezes, denials, tickets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.dispatch.action import Risk
from console.dispatch.policy import (
    NOBODY,
    check_actions,
    check_rules,
    check_selects,
    decided,
    disabled,
    failures,
    ruled_out,
)
from console.dispatch.ruling import Case
from console.dispatch.selection import parts, selects
from console.errors import ConfigError, UsageError
from console.model.policy import BreakGlass, Deny, Freeze, Policy, Rule, RuleTest
from console.model.target import Environment
from tests.fakes import NOW, TARGET

PROD = msgspec.structs.replace(TARGET, environment=Environment.PROD, labels={"team": "shop"})


@pytest.mark.parametrize(
    ("select", "fits"),
    [("", True), ("env=prod", True), ("env=dev", False), ("env=prod,engine=postgres", True),
     ("env=prod,engine=mysql", False), ("team=sh*", True), ("name=shop", True), ("nothing=x", False)],
)  # fmt: skip
def test_a_selection_holds_when_all_of_it_does(select: str, fits: bool) -> None:
    assert selects(select, PROD) is fits


@pytest.mark.parametrize(("minutes", "frozen"), [(-1, False), (0, True), (59, True), (60, False)])
def test_a_freeze_holds_from_its_start_until_its_end(minutes: int, frozen: bool) -> None:
    rule = Freeze(start=NOW, end=NOW + timedelta(hours=1), reason="black friday", select="env=prod")
    refusal = disabled(Policy(freeze=(rule,)), PROD, "session.cancel", NOW + timedelta(minutes=minutes))
    assert (refusal is not None) is frozen
    if refusal:
        assert "black friday" in refusal.reason


def test_a_denial_is_by_pattern() -> None:
    policy = Policy(deny=(Deny(actions=("*.terminate",), reason="ask first"),))
    assert disabled(policy, PROD, "session.terminate", NOW) is not None
    assert disabled(policy, PROD, "session.cancel", NOW) is None


def test_a_target_without_an_operator_is_read_only_and_says_what_to_add() -> None:
    refusal = disabled(Policy(), msgspec.structs.replace(PROD, operator=None), "session.cancel", NOW)
    assert refusal is not None
    assert "operator" in refusal.hint


def test_what_needs_no_server_needs_no_operator() -> None:
    read_only = msgspec.structs.replace(PROD, operator=None)
    assert ruled_out(Policy(), read_only, "backup.drill", NOW) is None
    assert disabled(Policy(), read_only, "backup.drill", NOW) is not None


@pytest.mark.parametrize("select", ["prod", "=prod", "env=", ",,", "env=prod,zzz"])
def test_a_part_that_is_no_condition_is_refused_and_matches_nothing(select: str) -> None:
    with pytest.raises(UsageError):
        parts(select)


def test_a_rule_by_a_key_that_no_target_has_is_a_config_error() -> None:
    rule = Deny(actions=("*",), reason="x", select="enviroment=prod")
    with pytest.raises(ConfigError) as fault:
        check_selects(Policy(deny=(rule,)), [PROD])
    assert "team" in fault.value.hint


@pytest.mark.parametrize(
    ("select", "near"), [("engine=postgresql", "postgres, mysql"), ("env=production", "prod, staging")]
)
def test_a_rule_for_an_engine_or_an_environment_that_there_is_not_is_a_config_error(
    select: str, near: str
) -> None:
    rule = Deny(actions=("*",), reason="x", select=select)
    with pytest.raises(ConfigError, match=select) as fault:
        check_selects(Policy(deny=(rule,)), [PROD])
    assert near in fault.value.hint
    check_selects(Policy(deny=(Deny(actions=("*",), reason="x", select="env=st*,engine=my*"),)), [PROD])


@pytest.mark.parametrize(
    "policy",
    [Policy(deny=(Deny(actions=("session.*", "sesion.terminate"), reason="x"),)),
     Policy(rules=(Rule(name="r", effect="deny", actions=("sesion.terminate",)),)),
     Policy(tests=(RuleTest(action="sesion.terminate", target="shop", expect="deny"),))],
)  # fmt: skip
def test_a_rule_about_an_action_that_there_is_not_is_a_config_error(policy: Policy) -> None:
    with pytest.raises(ConfigError, match=r"sesion\.terminate") as fault:
        check_actions(policy, lambda: ("session.cancel", "session.terminate"))
    assert "'session.terminate'" in fault.value.hint
    check_actions(Policy(deny=(Deny(actions=("session.*",), reason="x"),)), lambda: ("session.cancel",))


def test_the_names_of_actions_are_not_asked_for_where_no_rule_has_one() -> None:
    def loaded() -> tuple[str, ...]:
        raise AssertionError

    check_actions(Policy(rules=(Rule(name="r", effect="allow"),)), loaded)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (Policy(freeze=(Freeze(start=NOW, end=NOW, reason="backwards"),)), "backwards"),
        (Policy(deny=(Deny(actions=(), reason="of nothing"),)), "of nothing"),
        (Policy(rules=(Rule(name="r", effect="deny", who=("groups:dba",)),)), "groups:dba"),
        (Policy(rules=(Rule(name="r", effect="deny", who=("group:",)),)), "group:"),
        (Policy(break_glass=(BreakGlass(who=("user:ann",)),)), "user:ann"),
        (Policy(rules=(Rule(name="r", effect="allow", approvals=1, expires="0m"),)), "0m"),
        (Policy(rules=(Rule(name="r", effect="allow", max_targets=1, per="0h"),)), "0h"),
        (Policy(rules=(Rule(name=" ", effect="allow"),)), "' '"),
        (Policy(rules=(Rule(name="policy.deny", effect="allow"),)), r"policy\.deny"),
    ],
)
def test_what_could_never_hold_as_it_was_meant_is_a_config_error(policy: Policy, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_rules(policy)


def test_tests_of_a_policy_hear_its_denials_and_freezes() -> None:
    policy = Policy(
        deny=(Deny(actions=("session.terminate",), reason="ask first"),),
        freeze=(Freeze(start=NOW, end=NOW + timedelta(hours=1), reason="sale"),),
        tests=(
            RuleTest(action="session.terminate", target="shop", expect="deny", at=NOW, rule="policy.deny"),
            RuleTest(action="session.cancel", target="shop", expect="deny", at=NOW, rule="policy.freeze"),
            RuleTest(action="session.cancel", target="shop", expect="allow", at=NOW),
            RuleTest(action="session.cancel", target="shop", expect="allow", at=NOW - timedelta(hours=1)),
        ),
    )
    found = list(failures(policy, {"shop": PROD}, NOW))
    assert [text.partition(" (")[0] for text in found] == ["test 3"], found
    assert "policy.freeze says deny" in found[0]


_EFFECTS = st.sampled_from(["allow", "deny"])
_GLOBS = st.sampled_from(["*", "session.*", "session.cancel", "table.*"])
_SELECTS = st.sampled_from(["", "env=prod", "env=dev", "team=shop", "name=shop"])
_SPANS = st.tuples(st.integers(-3, 3), st.integers(1, 3))


@given(
    denied=st.lists(st.tuples(_GLOBS, _SELECTS), max_size=2),
    frozen=st.lists(st.tuples(_SPANS, _SELECTS), max_size=2),
    rules=st.lists(st.tuples(_EFFECTS, _GLOBS, _SELECTS), max_size=3),
    action=st.sampled_from(["session.cancel", "table.analyze"]),
    risk=st.sampled_from(list(Risk)),
)
def test_what_decides_is_what_refuses(
    denied: list[tuple[str, str]],
    frozen: list[tuple[tuple[int, int], str]],
    rules: list[tuple[Any, str, str]],
    action: str,
    risk: Risk,
) -> None:
    """`policy explain` tells by the one, `apply` goes by the other."""
    hour = timedelta(hours=1)
    policy = Policy(
        deny=tuple(Deny(actions=(glob,), reason="d", select=select) for glob, select in denied),
        freeze=tuple(
            Freeze(start=NOW + begin * hour, end=NOW + (begin + long) * hour, reason="f", select=select)
            for (begin, long), select in frozen
        ),
        rules=tuple(
            Rule(name=f"r{n}", effect=effect, actions=(glob,), select=select)
            for n, (effect, glob, select) in enumerate(rules)
        ),
    )
    found = decided(policy, Case(who=NOBODY, action=action, target=PROD, at=NOW, risk=risk))
    refusal = disabled(policy, PROD, action, NOW, NOBODY, risk)
    assert (found.effect == "deny") is (refusal is not None)
    assert found.effect is not None
