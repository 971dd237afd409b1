"""A row of MySQL's text protocol, read in one pass: aiomysql makes three calls for every value.

MySQL internals manual, "Protocol::LengthEncodedInteger" and "Text Resultset Row". Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final, TypeAlias

from aiomysql.connection import MySQLResult
from pymysql.constants import FIELD_TYPE
from pymysql.converters import convert_datetime, decoders

# The encoding of a column (None: bytes) and what makes its value of the text (None: it is the value).
Column: TypeAlias = tuple[str | None, Callable[[Any], object] | None]

_NULL: Final = 251
_LONG: Final = {252: 2, 253: 3, 254: 8}  # bytes of the length that follow


class Result(MySQLResult):  # type: ignore[misc]  # aiomysql is untyped
    """aiomysql's, that reads its rows so."""

    def _read_row_from_packet(self, packet: Any) -> tuple[object, ...]:
        return values(packet.get_all_data(), self.converters)


def values(data: bytes, columns: Iterable[Column]) -> tuple[object, ...]:
    """Raises LookupError or ValueError for data that is no row of these columns, and what makes of its text
    what no column of that type has (a decimal's: ArithmeticError).
    """
    found: list[object] = []
    at = 0
    for encoding, make in columns:
        size = data[at]
        at += 1
        if size >= _NULL:
            if size == _NULL:
                found.append(None)
                continue
            here, at = at, at + _LONG[size]
            size = int.from_bytes(data[here:at], "little")
        value: Any = data[at : at + size]
        at += size
        if encoding is not None:
            value = value.decode(encoding)
        found.append(value if make is None else make(value))
    if at != len(data):
        raise ValueError("a row is longer or shorter than its columns")
    return tuple(found)


def moment(text: str) -> object:
    """As PyMySQL makes it, in a tenth of the time; text where the calendar has no such day."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return convert_datetime(text)


DECODERS: Final = {**decoders, FIELD_TYPE.DATETIME: moment, FIELD_TYPE.TIMESTAMP: moment}
