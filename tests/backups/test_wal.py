"""Names, numbers and gaps of WAL segments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.backups import wal
from console.backups.wal import Segment

SIZES = st.sampled_from([1 << 20, 16 << 20, 64 << 20, 1 << 30])
SEGMENTS = st.builds(Segment, st.integers(1, 0xFFFFFFFF), st.integers(0, (1 << 34) - 1))


@given(SEGMENTS, SIZES)
def test_a_segment_is_known_by_its_name(one: Segment, size: int) -> None:
    one = Segment(one.timeline, one.number % ((1 << 64) // size >> 8))
    assert wal.segment(one.name(size), size) == one


@pytest.mark.parametrize(
    "name",
    [
        "00000001000000000000000A",
        "00000001000000000000000A.gz",
        "00000001000000000000000A.zst",
        "00000001000000000000000A-1745a4bcc481d4d1f22e173cd94365e499113f48.gz",
    ],
)
def test_archives_call_a_segment_by_many_names(name: str) -> None:
    assert wal.segment(name) == Segment(1, 10)


@pytest.mark.parametrize(
    "name",
    ["00000002.history", "00000001000000000000000A.partial", "00000001000000000000000A.00000028.backup", "x"],
)
def test_what_is_no_whole_segment_counts_for_none(name: str) -> None:
    assert wal.segment(name) is None


def test_a_position_is_in_bytes() -> None:
    assert wal.position("1/2A") == (1 << 32) + 42
    with pytest.raises(ValueError, match="no position"):
        wal.position("nowhere")


@given(st.integers(0, 50), st.sets(st.integers(0, 60), min_size=1))
def test_what_is_missing_lies_between_the_first_and_the_last(first: int, numbers: set[int]) -> None:
    span = wal.span(Segment(1, first), [Segment(1, one) for one in numbers])
    there = {one for one in numbers if one >= first}
    assert (span.last is None) == (not there)
    expected = set(range(first, max(there) + 1)) - there if there else set()
    assert {one.number for one in span.missing} == expected


def test_what_came_with_the_backup_is_not_missing() -> None:
    span = wal.span(Segment(1, 1), [Segment(1, 2), Segment(1, 3)], [Segment(1, 1)])
    assert span.missing == ()


def test_an_old_timeline_that_went_on_by_itself_does_not_count() -> None:
    """It was left at segment 3, and its server wrote up to 9 all the same."""
    found = [*(Segment(1, one) for one in range(1, 10)), Segment(2, 3), Segment(2, 4)]
    span = wal.span(Segment(1, 1), found)
    assert span.last == Segment(2, 4)
    assert span.missing == ()
