"""Version gates, identifiers and shown statements."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.engine.queries import quote_ident, quote_literal, select_lines, shown

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


@given(st.text(max_size=60))
def test_a_quoted_literal_has_no_lone_mark(text: str) -> None:
    """Read the way each server reads it: what comes out is what went in, to the last character."""
    if "\0" not in text:
        assert read_postgres(quote_literal(text, "postgresql")) == text
    for flavor in ("mysql", "mariadb"):
        assert read_mysql(quote_literal(text, flavor)) == text


def read_postgres(literal: str) -> str:
    """PostgreSQL manual 4.1.2.1 and 4.1.2.2; raises ValueError where the literal ends too early."""
    escapes = literal.startswith("E")
    inner = literal[2:-1] if escapes else literal[1:-1]
    return unescaped(inner, escapes=escapes)


def read_mysql(literal: str) -> str:
    return unescaped(literal[1:-1], escapes=True)


def unescaped(inner: str, *, escapes: bool) -> str:
    found, rest = "", inner
    while rest:
        if rest.startswith("''"):
            found, rest = found + "'", rest[2:]
        elif rest.startswith("'"):
            raise ValueError(f"the literal ends before {rest!r}")
        elif escapes and rest.startswith("\\"):
            found, rest = found + {"0": "\0"}.get(rest[1], rest[1]), rest[2:]
        else:
            found, rest = found + rest[0], rest[1:]
    return found


def test_no_string_of_postgresql_has_a_nul() -> None:
    with pytest.raises(ValueError, match="NUL"):
        quote_literal("a\0b", "postgresql")


def test_a_shown_statement_has_its_arguments_as_literals() -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    assert shown("f($1)\n  and b = $2", (4711, at)) == "f(4711) and b = '2026-11-21T00:00:00+00:00'"
    assert shown("KILL %s -- %s", (5, "o'x")) == "KILL 5 -- 'o''x'"
    assert shown("a = $1", (None,)) == "a = NULL"
