"""Params and the bounds of servers are typed before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from console.errors import UsageError
from console.runbook.params import supports, typed, version_number
from tests.runbook.documents import HEAD, document

TEXT = (
    HEAD.format(id="params")
    + """
params:
  who: {type: text, pattern: "[a-z]+"}
  number: {type: integer, min: 1, max: 9}
  share: {type: number, default: 0.5}
  sure: {type: boolean, default: false}
  age: {type: duration, default: 10m, min: 1m}
  how: {type: choice, values: [slow, fast], default: slow}
  session: {type: session, required: true}
steps: [{id: a, kind: note, text: hello}]
"""
)
SESSION = "7@2026-11-01T10:00:00+00:00"


def test_a_target_is_one_that_is_configured_where_that_is_known() -> None:
    head = HEAD.format(id="on") + "params: {on: {type: target}}\n"
    one = document(head + "steps: [{id: a, kind: note, text: x}]")
    assert typed(one, {"on": "replica"}, ["replica"]) == {"on": "replica"}
    assert typed(one, {"on": "replica"}) == {"on": "replica"}
    with pytest.raises(UsageError, match="no target 'replic'"):
        typed(one, {"on": "replic"}, ["replica"])


def test_texts_of_the_command_line_become_values() -> None:
    given = {
        "who": "ann",
        "number": "3",
        "share": "1.5",
        "sure": "true",
        "age": "90s",
        "how": "fast",
        "session": SESSION,
    }
    assert typed(document(TEXT), given) == {
        "who": "ann",
        "number": 3,
        "share": 1.5,
        "sure": True,
        "age": 90,
        "how": "fast",
        "session": {"id": 7, "started_at": "2026-11-01T10:00:00+00:00"},
    }


@pytest.mark.parametrize("written", ["10:00:00Z", "11:00:00+01:00"])
def test_a_session_is_written_as_the_rows_of_a_read_have_it(written: str) -> None:
    """Else no row is ever the session that was named, and a runbook takes it for gone."""
    found = typed(document(TEXT), {"session": f"7@2026-11-01T{written}"})
    assert found["session"] == {"id": 7, "started_at": "2026-11-01T10:00:00+00:00"}


@pytest.mark.parametrize("started", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_session_at_the_end_of_time_is_refused(started: str) -> None:
    with pytest.raises(UsageError, match="ID@STARTED_AT"):
        typed(document(TEXT), {"session": f"7@{started}"})


def test_defaults_are_filled_in_and_what_is_not_given_is_null() -> None:
    found = typed(document(TEXT), {"session": SESSION})
    assert (found["age"], found["how"], found["who"]) == (600, "slow", None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("who", "Ann"),
        ("number", "0"),
        ("number", "10"),
        ("number", "1.5"),
        ("number", "x"),
        ("sure", "yes"),
        ("age", "5s"),
        ("age", "soon"),
        ("how", "medium"),
        ("session", "7"),
        ("session", "7@yesterday at 10"),
        ("session", "7@2026-11-01T10:00:00"),
        ("nobody", "1"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_starts(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match="nothing was started"):
        typed(document(TEXT), {"session": SESSION} | {name: value})


def test_what_is_required_is_asked_for() -> None:
    with pytest.raises(UsageError, match="wants the param session"):
        typed(document(TEXT), {})


@pytest.mark.parametrize(
    ("flavor", "version", "number"),
    [
        ("postgresql", "13", 130000),
        ("mysql", "8.0.22", 80022),
        ("mysql", "26.7", 260700),
        ("mariadb", "10.11", 101100),
    ],
)
def test_versions_compare_as_the_servers_own_numbers_do(flavor: str, version: str, number: int) -> None:
    assert version_number(flavor, version) == number


@pytest.mark.parametrize(
    ("number", "fits"), [(100500, False), (100600, True), (101119, True), (120000, False)]
)
def test_bounds_are_numeric(number: int, fits: bool) -> None:
    bound = document(TEXT.replace('{postgresql: ">=13"}', '{mariadb: ">=10.6, <12"}'))
    assert supports(bound, "mariadb", number) is fits
    assert supports(bound, "mysql", number) is False
