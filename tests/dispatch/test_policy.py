"""Rules are pure: selections, freezes, denials, tickets."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from console.dispatch.policy import check_selects, disabled, ruled_out
from console.dispatch.selection import parts, selects
from console.errors import ConfigError, UsageError
from console.model.policy import Deny, Freeze, Policy
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
