"""Every action is killed at its awaits on every engine it is for, or it is said why not."""

from __future__ import annotations

import actions
from tests.crashing.scenarios import ALL, WITHOUT
from tests.crashing.situation import Scenario

REGISTERED = {(one.name, flavor) for one in actions.ALL for flavor in one.flavors}


def missing(scenarios: tuple[Scenario, ...]) -> set[tuple[str, str]]:
    covered = {(one.action, flavor) for one in scenarios for flavor in one.flavors}
    return REGISTERED - covered - set(WITHOUT)


def test_every_action_has_a_scenario_on_every_engine_it_is_for() -> None:
    assert missing(ALL) == set()


def test_an_action_without_one_is_seen() -> None:
    name = actions.ALL[0].name
    assert {action for action, _ in missing(tuple(one for one in ALL if one.action != name))} == {name}


def test_no_scenario_is_of_what_is_not_registered() -> None:
    assert {(one.action, flavor) for one in ALL for flavor in one.flavors} <= REGISTERED


def test_no_exception_is_needless() -> None:
    covered = {(one.action, flavor) for one in ALL for flavor in one.flavors}
    assert set(WITHOUT) <= REGISTERED - covered
