"""Estimated bloat: the layout of rows, and a bar that grows with what is not known."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.engine.postgres.bloat import Column, Heap, bounded, estimate, hidden

INT = Column(length=4, alignment="i", width=4)
BIGINT = Column(length=8, alignment="d", width=8)
TEXT = Column(length=-1, alignment="i", width=40)
FULL = Heap(pages=100, rows=22600, live=22600, modified=0)  # 226 rows a page, as the server fills it

widths = st.floats(min_value=0, max_value=2000)
some_columns = st.lists(
    st.builds(
        Column,
        length=st.sampled_from([-1, 1, 2, 4, 8, 16, 64]),
        alignment=st.sampled_from("csid"),
        dropped=st.booleans(),
        width=widths,
        nulls=st.floats(min_value=0, max_value=1),
    ),
    max_size=20,
)
heaps = st.builds(
    Heap,
    pages=st.integers(min_value=0, max_value=10**9),
    rows=st.floats(min_value=0, max_value=1e12),
    live=st.none() | st.integers(min_value=0, max_value=10**12),
    modified=st.integers(min_value=0, max_value=10**12),
    fillfactor=st.integers(min_value=10, max_value=100),
)


@given(heaps, some_columns)
def test_the_bar_holds_the_estimate_and_stays_within_the_table(heap: Heap, columns: list[Column]) -> None:
    bloat = estimate(heap, columns)
    assert bloat is not None
    assert 0 <= bloat.low <= bloat.wasted <= bloat.high <= heap.pages * heap.block
    assert not bloat.exact


@given(heaps, some_columns, st.integers(min_value=0, max_value=10**9))
def test_more_changes_never_narrow_the_bar(heap: Heap, columns: list[Column], more: int) -> None:
    stale = msgspec.structs.replace(heap, modified=heap.modified + more)
    before, after = estimate(heap, columns), estimate(stale, columns)
    assert before is not None
    assert after is not None
    assert after.low <= before.low
    assert after.high >= before.high


def test_a_page_holds_as_many_small_rows_as_the_server_puts_there() -> None:
    bloat = estimate(FULL, [INT])
    assert bloat is not None
    assert (bloat.wasted, bloat.low) == (0, 0)


def test_half_of_the_rows_is_half_of_the_pages() -> None:
    bloat = estimate(msgspec.structs.replace(FULL, rows=11300, live=11300), [INT])
    assert bloat is not None
    assert bloat.wasted == 50 * 8192


def test_the_newer_count_is_taken_and_the_bar_spans_both() -> None:
    bloat = estimate(msgspec.structs.replace(FULL, live=11300), [INT])
    assert bloat is not None
    assert (bloat.low, bloat.wasted) == (0, 50 * 8192)
    assert bloat.high > bloat.wasted


def test_a_fillfactor_is_no_waste() -> None:
    heap = msgspec.structs.replace(FULL, rows=11300, live=11300, fillfactor=50)
    bloat = estimate(heap, [INT])
    assert bloat is not None
    assert bloat.wasted <= 8192


def test_an_empty_table_of_many_pages_is_all_waste() -> None:
    bloat = estimate(Heap(pages=10, rows=0, live=0, modified=0), [INT])
    assert bloat is not None
    assert (bloat.low, bloat.wasted, bloat.high) == (81920, 81920, 81920)


def test_columns_that_vary_or_are_null_widen_the_bar() -> None:
    half = msgspec.structs.replace(FULL, rows=5000, live=5000)

    def bar(*columns: Column) -> int:
        bloat = estimate(half, columns)
        assert bloat is not None
        return bloat.high - bloat.low

    steady = bar(INT, BIGINT)
    assert bar(INT, TEXT) > steady
    assert bar(INT, msgspec.structs.replace(BIGINT, nulls=0.5)) > steady


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ([INT, Column(length=-1, alignment="i", readable=False)], "privilege"),
        ([INT, Column(length=-1, alignment="i", row_security=True)], "row security"),
        ([INT, Column(length=-1, alignment="i")], "not analysed"),
        ([INT, Column(length=0, alignment="i", dropped=True)], ""),
    ],
)
def test_a_column_without_statistics_makes_it_unknown(columns: list[Column], why: str) -> None:
    assert hidden(columns) == why
    assert (estimate(FULL, columns) is None) is bool(why)


def test_a_table_never_analysed_is_unknown() -> None:
    assert estimate(Heap(pages=5, rows=-1, live=10, modified=0), [INT]) is None


def test_more_needed_than_there_is_wastes_nothing() -> None:
    bloat = bounded(100, 120.0, 150.0, 90.0)
    assert (bloat.low, bloat.wasted, bloat.high) == (0, 0, 10)
