"""Which binary logs are being read, by how often each file is open."""

from __future__ import annotations

import pytest

from console.engine.mysql.binary_logs import being_read

FILES = ("b.1", "b.2", "b.3")


@pytest.mark.parametrize(
    ("opened", "readers", "read"),
    [
        ({"b.3": 1}, 0, ()),
        ({}, 0, ()),
        ({"b.3": 2}, 1, ()),
        ({"b.1": 1, "b.3": 1}, 1, ("b.1",)),
        ({"b.1": 1, "b.2": 1, "b.3": 1}, 2, ("b.1", "b.2")),
        ({"b.3": 1}, 1, None),
        ({}, 1, None),
        ({"b.2": 1, "b.3": 1}, 2, None),
        ({"other.7": 1, "b.3": 1}, 1, None),
    ],
)
def test_a_reader_that_is_not_counted_makes_it_unknown(
    opened: dict[str, int], readers: int, read: tuple[str, ...] | None
) -> None:
    assert being_read(FILES, opened, readers) == read
