"""Bloat of B-trees, estimated from the planner's statistics, with an error bar. Pure.

A leaf holds index tuples of 8 bytes and their columns, each with a line pointer of 4 (nbtree/README,
itup.h). Since 13 equal keys share one tuple with a list of 6 bytes a row, where the index allows it and
a page was about to be split: how much of that happened nobody can tell from statistics, so the bar
reaches from all of it to none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from console.engine.postgres.bloat import (
    LINE_POINTER,
    MAXALIGN,
    NOISE,
    PAGE_HEADER,
    Column,
    aligned,
    bounded,
    padding,
)
from console.model.tables import Bloat

TUPLE_HEADER, SPECIAL, ROW_ID = 8, 16, 6
UNIQUE_TO_ROWS = 0.95  # so few equal keys that lists of them save nothing
POSTING_SHARE = 6  # a list of rows takes at most about a sixth of a page (BTMaxItemSize halves a third)
# Types whose equal values need not be the same bytes: an index on them keeps every key (manual 65.1.4.3).
NO_DEDUPLICATION = frozenset({700, 701, 1700, 3802})  # float4, float8, numeric, jsonb


class BTree(msgspec.Struct, frozen=True, kw_only=True):
    """`rows` are the index's own (fewer than the table's where it is partial); `distinct` the share of
    rows with a key of their own, None where it is not known. `deduplicates` is whether it may.
    """

    pages: int
    rows: float
    live: int | None
    modified: int
    fillfactor: int = 90
    block: int = 8192
    deduplicates: bool = True
    distinct: float | None = None


def estimate(tree: BTree, columns: Sequence[Column]) -> Bloat | None:
    """None where nothing can be said: never analysed, or a column's statistics are hidden or missing."""
    if tree.rows < 0 or not columns or any(column.width is None for column in columns):
        return None
    size = tree.pages * tree.block
    tuple_bytes, doubt = _tuple(columns)
    least_bytes = _deduplicated(tree, tuple_bytes)
    changed = min(1.0, tree.modified / max(1.0, tree.rows))
    spread = min(1.0, NOISE + doubt + changed)
    fewest = min(tree.rows, tree.rows if tree.live is None else float(tree.live))
    return bounded(
        size,
        tree.block * _pages(tree, _likely(least_bytes, tuple_bytes, len(columns)), tree.rows),
        tree.block * _pages(tree, tuple_bytes, tree.rows) * (1 + spread),
        tree.block * _pages(tree, least_bytes, fewest) * (1 - spread),
    )


def _tuple(columns: Sequence[Column]) -> tuple[float, float]:
    """(bytes of an average tuple with its line pointer, the share by which that may be wrong)."""
    some_null = any(column.nulls > 0 for column in columns)
    header = aligned(TUPLE_HEADER + 4, MAXALIGN) if some_null else TUPLE_HEADER
    data = doubt = 0.0
    for column in columns:
        width = column.width or 0.0
        data += (1 - column.nulls) * (padding(data, column, width) + width)
        if column.length < 0:
            doubt += min(4.0, width / 8)
        doubt += 8.0 * min(column.nulls, 1 - column.nulls)
    whole = LINE_POINTER + header + aligned(data, MAXALIGN)
    return whole, doubt / whole


def _deduplicated(tree: BTree, tuple_bytes: float) -> float:
    """Bytes a row when as many as fit share a tuple."""
    if not tree.deduplicates or tree.distinct is None or tree.distinct > UNIQUE_TO_ROWS:
        return tuple_bytes
    at_most = max(1.0, tree.block / POSTING_SHARE / ROW_ID)
    alike = min(at_most, 1 / max(tree.distinct, 1e-9))
    return min(tuple_bytes, tuple_bytes / alike + ROW_ID)


def _likely(least: float, most: float, columns: int) -> float:
    """Of several columns nobody knows how many combinations there are, only how many values each has."""
    return least if columns == 1 else (least + most) / 2


def _pages(tree: BTree, row: float, rows: float) -> float:
    """Leaves filled to the fillfactor, the pages above them, and the metapage."""
    room = (tree.block - PAGE_HEADER - SPECIAL) * tree.fillfactor / 100
    leaves = math.ceil(rows * row / room)
    above = leaves * row / room
    return 1 + leaves + math.ceil(above)


def distinct_share(values: Sequence[float | None], rows: float) -> float | None:
    """The share of rows with a key of their own, at least: that of the column with most values.

    `values` are pg_stats.n_distinct: a number, or minus a share of the rows.
    """
    if any(one is None for one in values) or rows <= 0:
        return None
    shares = [-one if one < 0 else one / rows for one in values if one is not None]
    return min(1.0, max(shares, default=1.0))
