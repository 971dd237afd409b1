"""What CHECK TABLE says: damage, or that it did not look."""

from __future__ import annotations

import pytest

from actions.checking import told
from console.engine.port import Row

DENIED: Row = ("a.b", "check", "Error", "SELECT command denied to user")
FAILED: Row = ("a.b", "check", "status", "Operation failed")
NOTE: Row = ("a.b", "check", "note", "The storage engine for the table doesn't support check")
BROKEN: Row = ("a.b", "check", "Warning", "InnoDB: The B-tree of index k is corrupted.")
CORRUPT: Row = ("a.b", "check", "error", "Corrupt")
GONE: Row = ("a.b", "check", "Error", "Table 'a.b' doesn't exist in engine")
OK: Row = ("a.b", "check", "status", "OK")


@pytest.mark.parametrize(
    ("rows", "faults", "unfit"),
    [
        ([OK], 0, False),
        ([DENIED, FAILED], 0, True),
        ([NOTE], 0, True),
        ([BROKEN, CORRUPT], 2, False),
        ([NOTE, BROKEN, CORRUPT], 2, False),
        ([GONE, FAILED], 2, False),
    ],
)
def test_damage_is_told_apart_from_no_look(rows: list[Row], faults: int, unfit: bool) -> None:
    found, why = told(rows)
    assert (len(found), bool(why)) == (faults, unfit)
