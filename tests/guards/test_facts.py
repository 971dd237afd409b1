"""What the actions say of themselves agrees with their code."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

import actions
from console.dispatch.action import Action
from tests.guards.sources import called, files

ALL = pytest.mark.parametrize("action", actions.ALL, ids=lambda one: one.name)


def _words(node: ast.AST) -> Iterator[str]:
    """Privileges spelled in an expression: capitals only."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.isupper():
            yield part.value


def wanted(source: str) -> set[str]:
    """The privileges that a module asks for beforehand: in `Need(privileges=…)` and `needs(plan, (…))`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        if called(node) == "Need":
            found |= {
                word
                for key in node.keywords
                if key.arg in ("privileges", "enough")
                for word in _words(key.value)
            }
        elif called(node) == "needs" and len(node.args) == 2:
            found |= set(_words(node.args[1]))
    return found


def _rights(some: list[Action[Any]]) -> str:
    return " ".join(on.rights for one in some for on in one.facts.on.values())


def _of_module(path: str) -> list[Action[Any]]:
    """The actions whose class, or whose parent's, stands in that file."""
    return [
        one
        for one in actions.ALL
        if any(kind is not object and inspect.getsourcefile(kind) == path for kind in type(one).__mro__)
    ]


@ALL
def test_every_engine_of_an_action_has_its_facts_and_no_other(action: Action[Any]) -> None:
    assert set(action.facts.on) == set(action.flavors)


@ALL
def test_every_fact_is_a_clause_without_a_full_stop(action: Action[Any]) -> None:
    facts = action.facts
    said = [facts.undo, *(text for on in facts.on.values() for text in (on.locks, on.rights))]
    assert all(text and not text.endswith(".") and "\n" not in text for text in said)


@pytest.mark.parametrize("path", files("actions", ".py"), ids=lambda path: path.stem)
def test_the_rights_that_are_asked_for_beforehand_are_told(path: Any) -> None:
    """`credential_own` asks on behalf of the actions on accounts."""
    missing = wanted(path.read_text(encoding="utf-8"))
    some = _of_module(str(path)) or list(actions.ALL)
    told = _rights(some)
    assert {word for word in missing if word not in told} == set()


def test_a_right_that_is_asked_for_is_seen() -> None:
    assert wanted('Need(schema="*", privileges=("FILE",), enough=("SUPER",))') == {"FILE", "SUPER"}
    assert wanted('draft.needs(plan, ("INDEX",))') == {"INDEX"}
