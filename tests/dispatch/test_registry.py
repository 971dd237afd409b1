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


def test_an_action_asked_for_by_its_name_is_the_one_of_the_list() -> None:
    assert list(actions.WHERE) == [action.name for action in actions.ALL]
    for action in actions.ALL:
        assert type(actions.one(action.name)) is type(action)
    assert actions.one("no.such") is None


def test_one_action_is_had_without_the_others() -> None:
    def all_of_them() -> list[Action[Any]]:
        raise AssertionError("nobody needs the others")

    registry = Registry(all_of_them, actions.one)
    assert registry.get("slot.drop") is registry.get("slot.drop")
