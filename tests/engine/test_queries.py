"""Version gates, identifiers and shown statements."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.engine.queries import quote_ident, select_lines, shown

TEXT = """
-- Purpose: a test
select 1,
       new_name,  --: postgresql>=170000
       old_name,  --: postgresql<170000
       status,  --: mysql>=80022, mariadb
       'a' -- trailing words
"""


@pytest.mark.parametrize(
    ("flavor", "version", "there", "absent"),
    [
        ("postgresql", 180001, "new_name", "old_name"),
        ("postgresql", 150020, "old_name", "new_name"),
        ("mysql", 90400, "status", "new_name"),
        ("mysql", 260700, "status", "old_name"),
        ("mysql", 80021, "select 1", "status"),
        ("mariadb", 101119, "status", "old_name"),
    ],
)
def test_lines_are_gated_by_number(flavor: str, version: int, there: str, absent: str) -> None:
    found = select_lines(TEXT, flavor, version)
    assert there in found
    assert absent not in found
    assert "--" not in found


def test_a_malformed_gate_is_a_defect() -> None:
    with pytest.raises(ValueError, match="malformed"):
        select_lines("select 1 --: postgresql=>17", "postgresql", 1)


@given(st.text(min_size=1, max_size=60).filter(lambda name: "\0" not in name))
def test_a_quoted_identifier_has_no_lone_mark(name: str) -> None:
    for flavor, mark in (("postgresql", '"'), ("mysql", "`"), ("mariadb", "`")):
        quoted = quote_ident(name, flavor)
        assert quoted[0] == quoted[-1] == mark
        assert quoted[1:-1].replace(mark * 2, "") == name.replace(mark, "")


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_no_server_takes_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="identifier"):
        quote_ident(name, "postgresql")


def test_a_shown_statement_has_its_arguments_as_literals() -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    assert shown("f($1)\n  and b = $2", (4711, at)) == "f(4711) and b = '2026-11-21T00:00:00+00:00'"
    assert shown("KILL %s -- %s", (5, "o'x")) == "KILL 5 -- 'o''x'"
    assert shown("a = $1", (None,)) == "a = NULL"
