"""What is said of an argument that is none: its name, what was given, what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

import actions
from console.dispatch.registry import Registry, parse_args
from console.errors import UsageError

REGISTRY = Registry(actions.ALL)


@pytest.mark.parametrize(
    ("action", "given", "said"),
    [
        ("table.vacuum", {"jobs": "0"}, "jobs=0: it takes a whole number from 1 to 32"),
        ("table.vacuum", {"jobs": "many"}, "jobs=many: it takes a whole number from 1 to 32"),
        ("table.vacuum", {"jobs": 1.5}, "jobs=1.5: it takes a whole number from 1 to 32"),
        ("index.reindex", {"worst": "-3"}, "worst=-3: it takes a whole number from 0 to 10000"),
        ("table.vacuum", {"max_load": "-1"}, "max_load=-1: it takes a whole number of 0 or more"),
        ("table.vacuum", {"cost_delay": "200"}, "cost_delay=200: it takes a number from 0 to 100"),
        ("table.vacuum", {"freeze": "maybe"}, "freeze=maybe: it takes true or false"),
        ("table.vacuum", {"index_cleanup": "x"}, "index_cleanup=x: it takes one of auto, off, on"),
        ("table.vacuum", {"schema": ["a", "b"]}, "schema= is given 2 times, and takes text once"),
        ("table.vacuum", {"table": 7}, "table=7: it takes text, repeated for several"),
        ("table.vacuum", {"table": ["a", 7]}, 'table=["a",7]: it takes text, repeated for several'),
        ("table.vacuum", {"budget": ["1h", "2h"]}, "budget= is given 2 times, and takes a duration"),
        ("index.create", {"table": "orders"}, "column= is missing"),
        ("session.cancel", {"id": "1", "started_at": "now"}, "started_at=now: it takes a time such as"),
    ],
)
def test_a_wrong_argument_is_told_with_its_value_and_what_is_allowed(
    action: str, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        parse_args(REGISTRY.get(action), given)
    assert said in refused.value.message
    assert refused.value.message.endswith("; nothing was executed")


@pytest.mark.parametrize("name", [one.name for one in REGISTRY])
def test_no_argument_of_any_action_is_refused_in_the_words_of_a_library(name: str) -> None:
    action = REGISTRY.get(name)
    for field in action.Args.__struct_fields__:
        with pytest.raises(UsageError) as refused:
            parse_args(action, {field: {"deep": [None]}})
        assert "Expected" not in refused.value.message
        assert "$" not in refused.value.message
        assert "another value" not in refused.value.message
