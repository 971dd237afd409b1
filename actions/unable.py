"""Storage engines of MySQL and MariaDB without a statement: they answer it with a note, and do nothing.

MySQL manual 15.7.3 (ANALYZE, CHECK, OPTIMIZE TABLE); MariaDB "OPTIMIZE TABLE", "CHECK TABLE", "SEQUENCE".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from actions.selection import TableArgs, ways_of
from actions.words import some
from console.model.tables import Table

Statement = Literal["ANALYZE", "CHECK", "OPTIMIZE"]
_NONE_OF_THEM = frozenset({"MEMORY", "BLACKHOLE", "SEQUENCE"})
_WITHOUT: dict[Statement, frozenset[str]] = {
    "ANALYZE": _NONE_OF_THEM | {"CSV", "ARCHIVE", "MRG_MYISAM"},
    "CHECK": _NONE_OF_THEM,
    "OPTIMIZE": _NONE_OF_THEM | {"CSV", "MRG_MYISAM"},
}


def able(
    tables: Sequence[Table], statement: Statement, args: TableArgs
) -> tuple[tuple[Table, ...], tuple[str, ...]]:
    """The tables that can be worked on, and a word about the others; named ones are left to the server."""
    if ways_of(args) == ["table"]:
        return tuple(tables), ()
    unfit = [one for one in tables if one.storage.upper() in _WITHOUT[statement]]
    if not unfit:
        return tuple(tables), ()
    said = some([f"{one.key} ({one.storage})" for one in unfit])
    left = tuple(one for one in tables if one not in unfit)
    return left, (f"left out, their engine has no {statement}: {said}",)
