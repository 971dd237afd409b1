"""Estimated bloat of B-trees, with a bar from all deduplicated to nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.engine.postgres.bloat import Column
from console.engine.postgres.btree_bloat import BTree, distinct_share, estimate

BIGINT = Column(length=8, alignment="d", width=8)

trees = st.builds(
    BTree,
    pages=st.integers(1, 10**9),
    rows=st.floats(min_value=0, max_value=1e12),
    live=st.none() | st.integers(0, 10**12),
    modified=st.integers(0, 10**12),
    fillfactor=st.integers(10, 100),
    deduplicates=st.booleans(),
    distinct=st.none() | st.floats(min_value=0, max_value=1),
)
columns = st.lists(
    st.builds(
        Column,
        length=st.sampled_from([-1, 1, 4, 8]),
        alignment=st.sampled_from("csid"),
        width=st.floats(min_value=0, max_value=500),
        nulls=st.floats(min_value=0, max_value=1),
    ),
    min_size=1,
    max_size=5,
)


@given(trees, columns)
def test_the_bar_holds_the_estimate_and_stays_within_the_index(tree: BTree, some: list[Column]) -> None:
    bloat = estimate(tree, some)
    assert bloat is not None
    assert 0 <= bloat.low <= bloat.wasted <= bloat.high <= tree.pages * tree.block


def test_a_freshly_built_tree_of_numbers_wastes_nothing() -> None:
    """1,000,000 rows of bigint are 2,745 pages when built at fillfactor 90 (measured)."""
    bloat = estimate(BTree(pages=2745, rows=1e6, live=10**6, modified=0, distinct=1.0), [BIGINT])
    assert bloat is not None
    assert bloat.low == 0
    assert bloat.wasted < 0.02 * 2745 * 8192


def test_equal_keys_widen_the_bar_where_they_may_share_a_tuple() -> None:
    def bar(**over: object) -> int:
        told = {"pages": 3000, "rows": 1e6, "live": 10**6, "modified": 0} | over
        bloat = estimate(BTree(**told), [BIGINT])  # type: ignore[arg-type]
        assert bloat is not None
        return bloat.high - bloat.low

    assert bar(distinct=0.001) > bar(distinct=1.0)
    assert bar(distinct=0.001, deduplicates=False) == bar(distinct=1.0)


@pytest.mark.parametrize(
    ("values", "rows", "share"),
    [
        ([-1.0], 100.0, 1.0),
        ([-0.5, 10.0], 100.0, 0.5),
        ([10.0], 100.0, 0.1),
        ([500.0], 100.0, 1.0),
        ([None, -1.0], 100.0, None),
        ([5.0], 0.0, None),
    ],
)
def test_the_share_of_different_keys_is_at_least_that_of_the_best_column(
    values: list[float | None], rows: float, share: float | None
) -> None:
    assert distinct_share(values, rows) == share


def test_missing_statistics_are_unknown() -> None:
    assert estimate(BTree(pages=10, rows=-1, live=0, modified=0), [BIGINT]) is None
    assert estimate(BTree(pages=10, rows=5, live=5, modified=0), [Column(length=4, alignment="i")]) is None
    assert estimate(BTree(pages=10, rows=5, live=5, modified=0), []) is None
