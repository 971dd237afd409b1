"""The catalogue of actions, and when it is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import actions
from console.dispatch.action import Action
from console.dispatch.registry import Registry


def test_a_function_that_gives_the_actions_is_asked_once_and_only_when_one_is_wanted() -> None:
    asked = []

    def given() -> Sequence[Action[Any]]:
        asked.append(1)
        return actions.ALL

    registry = Registry(given)
    assert not asked
    assert registry.get("session.terminate").name == "session.terminate"
    assert [one.name for one in registry] == [one.name for one in actions.ALL]
    assert len(asked) == 1


def test_two_actions_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two actions are called"):
        Registry([actions.ALL[0], actions.ALL[0]])
