"""How servers tell of damaged data: by an error of PostgreSQL, by a row of CHECK TABLE."""

from __future__ import annotations

import re

from console.engine.port import Row

# SQLSTATE internal_error, data_corrupted, index_corrupted; class 58: a file is gone or cannot be read.
_CODES = re.compile(r"\((?:XX00[0-2]|58\w{3})\)\s*$")
_DROPPED = re.compile(r"could not open relation with OID|cache lookup failed")
_NOT_LOOKED = re.compile(r"doesn't exist(?! in engine)|denied|lock wait timeout|interrupted", re.IGNORECASE)


def is_damage(message: str) -> bool:
    """Whether an operator's error, which ends with its SQLSTATE, is about the data and not about us."""
    return _CODES.search(message) is not None and _DROPPED.search(message) is None


def is_wrong(row: Row) -> bool:
    """(table, operation, kind of message, text): the last row of a table says status and OK."""
    kind, text = str(row[2]).lower(), str(row[3])
    return kind in ("error", "warning") or (
        kind == "status" and text not in ("OK", "Table is already up to date")
    )


def not_looked_at(row: Row) -> bool:
    """CHECK TABLE says that it could not look; that is no damage."""
    kind, text = str(row[2]).lower(), str(row[3])
    return kind == "note" or (kind == "error" and _NOT_LOOKED.search(text) is not None)
