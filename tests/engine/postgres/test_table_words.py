"""Patterns, options, sequences and sums: rows and queries -> the model."""

from __future__ import annotations

import fnmatch
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.engine.postgres.remedies import past_row_security, to_read_data
from console.engine.postgres.sequences import closed, exhaustion, nearest
from console.engine.postgres.table_rows import added_up, like, settings
from console.model.tables import Bloat, Table, TableKind


def matches(pattern: str, text: str) -> bool:
    """LIKE as the server has it."""
    parts = []
    signs = iter(pattern)
    for sign in signs:
        if sign == "\\":
            parts.append(re.escape(next(signs)))
        else:
            parts.append({"%": ".*", "_": "."}.get(sign, re.escape(sign)))
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


@given(st.text(alphabet="ab*?%_\\.", max_size=8), st.text(alphabet="ab*?%_\\.", max_size=8))
def test_a_shell_pattern_means_the_same_as_its_like(pattern: str, name: str) -> None:
    assert matches(like(pattern), name) == fnmatch.fnmatchcase(name, pattern)


def test_options_are_names_and_values() -> None:
    assert settings(None) == {}
    assert settings(["fillfactor=70", "x=a=b"]) == {"fillfactor": "70", "x": "a=b"}


def sequence(**over: Any) -> dict[str, Any]:
    return {
        "table": 1,
        "column": "id",
        "oid": 2,
        "sequence": "s.q",
        "most": 9223372036854775807,
        "width": 4,
        "up": True,
    } | over


@pytest.mark.parametrize(
    ("row", "last", "used", "limit"),
    [
        (sequence(), 1073741824, 1073741824, 2147483647),
        (sequence(width=2, most=32767), 32767, 32767, 32767),
        (sequence(width=8, most=1000), None, 0, 1000),
        (sequence(up=False, most=-9223372036854775808), -5, 5, 2147483648),
        (sequence(up=False, most=-10, width=8), -10, 10, 10),
    ],
)
def test_the_narrower_of_sequence_and_column_is_the_limit(
    row: dict[str, Any], last: int | None, used: int, limit: int
) -> None:
    one = exhaustion(row, last)
    assert (one.last, one.limit) == (used, limit)


def test_the_column_nearest_to_its_end_is_told_and_an_unknown_one_is_not() -> None:
    rows = [sequence(oid=2, most=100), sequence(oid=3, column="b", most=100), sequence(oid=4, column="c")]
    assert nearest(rows, {2: 10, 3: 20})[1].column == "b"
    assert nearest(rows, {}) == {}


def test_what_writers_of_a_sequence_wait_for_closes_it() -> None:
    def lock(relation: int, mode: str) -> dict[str, Any]:
        return {"locktype": "relation", "relation": relation, "mode": mode}

    rows = [lock(1, "AccessShareLock"), lock(2, "ShareRowExclusiveLock"), lock(3, "AccessExclusiveLock")]
    assert closed(rows) == {2, 3}


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    parent = Table(schema="s", name="p", kind=TableKind.PARTITIONED, partitions=2)
    known = Table(schema="s", name="a", parent="s.p", bloat=Bloat(wasted=2, low=1, high=3))
    hidden = Table(schema="s", name="b", parent="s.p")
    assert added_up([parent, known, known])[0].bloat == Bloat(wasted=4, low=2, high=6)
    assert added_up([parent, known, hidden])[0].bloat is None
    assert added_up([parent, known])[0].bloat is None


def test_grants_can_be_pasted() -> None:
    assert to_read_data(140000, "eye") == "GRANT pg_read_all_data TO eye;"
    assert to_read_data(140000, 'A "b"') == 'GRANT pg_read_all_data TO "A ""b""";'
    assert "GRANT SELECT ON ALL TABLES IN SCHEMA" in to_read_data(130000, "eye")
    assert past_row_security("eye") == "ALTER ROLE eye BYPASSRLS;"
