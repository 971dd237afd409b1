"""Which entry of a setting covers which, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from actions import setting_words as words
from actions.setting_statements import Place
from console.engine.postgres import settings
from console.model.settings import Entry, Setting


@pytest.mark.parametrize(
    ("source", "entries", "covered"),
    [
        ("configuration file", {}, ""),
        ("command line", {}, "the command line of the server"),
        ("default", {(0, 0): "1MB"}, "the entry for all roles"),
        ("default", {(10, 0): "1MB"}, ""),
    ],
)
def test_what_covers_the_configuration_for_everybody(source: str, entries: Any, covered: str) -> None:
    row: Any = {"source": source}
    assert settings._covered(row, entries) == covered


def test_what_covers_it_is_refused_for_the_server_and_not_for_a_role() -> None:
    one = Setting(name="work_mem", value=None, server_value="4096", covered="the command line of the server")
    server, role = Place(flavor="postgresql"), Place(flavor="postgresql", role="app")
    assert "covers what ALTER SYSTEM sets" in words.refusals(server, one)[0]
    assert words.refusals(role, one) == ()


def test_a_wider_entry_is_named_only_where_the_own_one_goes() -> None:
    wide = Entry(where="database shop", value="16MB", wins=False)
    one = Setting(name="work_mem", value="8MB", server_value="4096", others=(wide,), more=3)
    place = Place(flavor="postgresql", role="app")
    assert "new sessions get 1MB" in words.forecast(place, one, "1MB", same=False)
    reset = words.forecast(place, one, None, same=False)
    assert (
        "new sessions get 4096, except where another entry wins: database shop has 16MB; and 3 more" in reset
    )
