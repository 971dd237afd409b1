"""How a table is looked at, and the statement for it."""

from __future__ import annotations

from typing import Any

import pytest

from console.engine.postgres.contents import PACE, SAMPLE, SMALL, Look, look, statement
from console.engine.queries import query
from console.model.inventory import TableContent

TEXT = query("postgres", "contents_rows", "postgresql", 180000)


def row(size: float = 0, key: tuple[str, ...] = ("id",), **more: Any) -> dict[str, Any]:
    return {"name": "s.t", "pages": int(size) // 8192, "key": list(key), "columns": ["id", "v"], **more}


@pytest.mark.parametrize(
    ("size", "left", "key", "sample"),
    [
        (SMALL, 0.1, ("id",), 1),
        (PACE * 10, 30.0, ("id",), 1),
        (PACE * 10, 15.0, ("id",), SAMPLE),
        (PACE * 10, 15.0, (), 0),
    ],
)
def test_a_table_is_summed_whole_where_half_of_the_time_is_enough(
    size: float, left: float, key: tuple[str, ...], sample: int
) -> None:
    assert look(row(size, key), None, left, PACE).sample == sample


def test_a_table_is_looked_at_as_before() -> None:
    before = TableContent(name="s.t", rows=1, checksum="5", sample=100)
    assert look(row(), before, 100, PACE) == Look(100)
    assert look(row(key=()), before, 100, PACE).sample == 0
    assert look(row(), TableContent(name="s.t", rows=1), 100, PACE) == Look(0)


def test_columns_called_like_a_brace_stay_names() -> None:
    text = statement(TEXT, row(columns=['"{table}"', '"{sampled}"'], key=('"{columns}"',)), 100)
    assert text.startswith("select count(*) as rows")
    assert text.rstrip().endswith("from only s.t")
    assert 'row("{table}", "{sampled}")::text' in text


def test_a_table_without_columns_has_rows_too() -> None:
    assert "row()::text" in statement(TEXT, row(columns=[]), 1)
