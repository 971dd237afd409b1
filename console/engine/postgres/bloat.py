"""Bloat of tables and B-trees, estimated from the planner's statistics, with an error bar. Pure.

The layout of a row is that of heap_form_tuple (heaptuple.c) and the manual, section 66.6: a line pointer
of 4 bytes, a header of 23 and a bit a column where something is NULL, then the columns, each aligned;
short varlena (below 127 bytes) are not. What differs from the classic estimates of check_postgres: inner
padding is counted, and what is not known widens the bar instead of being left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from console.engine.postgres.rows import Record
from console.model.tables import Bloat

ALIGNMENTS = {"c": 1, "s": 2, "i": 4, "d": 8}
MAXALIGN = 8
PAGE_HEADER, LINE_POINTER, HEAP_HEADER = 24, 4, 23
SHORT_VARLENA = 127

# The bar at its narrowest: rows of one table are not all as long as the average, and no page is filled
# to its last byte. A share of what is expected.
NOISE = 0.03


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column in the order of its place. `length` -1 is variable; a dropped one is NULL in new rows.

    `width` is the average of those not NULL, in bytes as stored (TOAST pointers count as such), None
    without statistics; `nulls` is the share of NULL.
    """

    length: int
    alignment: str
    dropped: bool = False
    readable: bool = True
    row_security: bool = False
    width: float | None = None
    nulls: float = 0.0

    @classmethod
    def of(cls, row: Record) -> Column:
        return cls(
            length=row["length"],
            alignment=row["alignment"],
            dropped=row["dropped"],
            readable=row["readable"],
            row_security=row["row_security"],
            width=row["width"],
            nulls=row["nulls"] or 0.0,
        )

    @property
    def known(self) -> bool:
        """Of a fixed length the width is known without statistics, though not how much of it is NULL."""
        return self.dropped or self.width is not None


class Heap(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a table: `rows` the planner's number when it counted `pages`, `live` the
    statistics' number now, `modified` rows changed since the last analyze.

    Either number of rows may be the right one: the estimate takes the newer, the bar spans both.
    """

    pages: int
    rows: float
    live: int | None
    modified: int
    fillfactor: int = 100
    block: int = 8192


def estimate(heap: Heap, columns: Sequence[Column]) -> Bloat | None:
    """None where nothing can be said: never analysed, or a column's statistics are hidden or missing."""
    here = [column for column in columns if not column.dropped]
    if heap.rows < 0 or not all(column.known for column in here):
        return None
    size = heap.pages * heap.block
    row, doubt = _row(columns)
    spread = min(1.0, doubt + NOISE + _changed(heap))
    counts = (heap.rows, heap.rows if heap.live is None else float(heap.live))
    return bounded(
        size,
        heap.block * _pages(heap, row, counts[1]),
        heap.block * _pages(heap, row, max(counts)) * (1 + spread),
        heap.block * _pages(heap, row, min(counts)) * (1 - spread),
    )


def bounded(size: int, expected: float, most: float, least: float) -> Bloat:
    """Of a relation of `size` bytes that would need `expected`, at `most` and at `least`."""

    def waste(needed: float) -> int:
        return min(size, max(0, round(size - needed)))

    return Bloat(wasted=waste(expected), low=waste(most), high=waste(least))


def _pages(heap: Heap, row: float, rows: float) -> float:
    """Pages are filled up to the fillfactor by inserts, with whole rows."""
    room = (heap.block - PAGE_HEADER) * heap.fillfactor / 100
    fitting = max(1, math.floor(room / row)) if row < room else room / row
    return math.ceil(rows / fitting)


def _row(columns: Sequence[Column]) -> tuple[float, float]:
    """(bytes of an average row with its line pointer, the share by which that may be wrong)."""
    some_null = [column for column in columns if column.dropped or column.nulls > 0]
    bitmap = math.ceil(len(columns) / 8) if some_null else 0
    header = aligned(HEAP_HEADER + bitmap, MAXALIGN) if some_null else aligned(HEAP_HEADER, MAXALIGN)
    data = 0.0
    doubt = 0.0
    for column in columns:
        if column.dropped:
            continue
        width = column.width or 0.0
        share = 1 - column.nulls
        data += share * (padding(data, column, width) + width)
        doubt += _doubt(column, width)
    row = LINE_POINTER + header + aligned(data, MAXALIGN)
    return row, doubt / row


def _doubt(column: Column, width: float) -> float:
    """Bytes by which a column's part of the average row may be wrong, from three causes.

    A length that varies: the average is of a sample, and varlena of 127 bytes and more are padded. NULL:
    what stands behind shifts with it. Wide values: which of them were compressed or moved away differs.
    """
    doubt = 0.0
    if column.length < 0:
        doubt += min(4.0, width / 8) + (0.1 * width if width > SHORT_VARLENA else 0.02 * width)
    return doubt + 4.0 * min(column.nulls, 1 - column.nulls) * 2


def padding(at: float, column: Column, width: float) -> float:
    align = ALIGNMENTS.get(column.alignment, 1)
    if column.length < 0 and width < SHORT_VARLENA:
        return 0.0
    if column.length < 0 or at != int(at):  # somewhere between none and all of it
        return (align - 1) / 2
    return aligned(at, align) - at


def aligned(size: float, to: int) -> float:
    return math.ceil(size / to) * to


def _changed(heap: Heap) -> float:
    """Share of the rows whose widths may be others than the statistics say."""
    return min(1.0, heap.modified / max(1.0, heap.rows))


def hidden(columns: Iterable[Column]) -> str:
    """Why statistics are missing: `privilege`, `row security`, `not analysed`, or empty where none is."""
    missing = [column for column in columns if not column.known]
    if any(not column.readable for column in missing):
        return "privilege"
    if any(column.row_security for column in missing):
        return "row security"
    return "not analysed" if missing else ""
