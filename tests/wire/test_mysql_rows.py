"""Rows are read as aiomysql and PyMySQL read them, and what is none is said to be none."""

from __future__ import annotations

import datetime as clock
import decimal
from typing import Any

import pytest
from aiomysql.connection import MySQLResult
from hypothesis import given
from hypothesis import strategies as st
from pymysql.converters import convert_datetime
from pymysql.protocol import MysqlPacket

from console.wire.mysql import _UNREADABLE
from console.wire.mysql_rows import Column, Result, moment, plain, values

TEXT: Column = ("utf8", None)
BYTES: Column = (None, None)
NUMBER: Column = ("ascii", int)
EXACT: Column = ("ascii", decimal.Decimal)
AT: Column = ("ascii", moment)

texts = st.text(max_size=400)
numbers = st.integers(-(2**63), 2**64)
cells = st.one_of(
    st.tuples(st.just(TEXT), st.none() | texts),
    st.tuples(st.just(BYTES), st.none() | st.binary(max_size=400)),
    st.tuples(st.just(NUMBER), st.none() | numbers),
)


def length(size: int) -> bytes:
    """As the server writes it."""
    for most, head, width in ((250, b"", 1), (2**16 - 1, b"\xfc", 2), (2**24 - 1, b"\xfd", 3)):
        if size <= most:
            return head + size.to_bytes(width, "little")
    return b"\xfe" + size.to_bytes(8, "little")


def written(value: object) -> bytes:
    if value is None:
        return b"\xfb"
    data = value if isinstance(value, bytes) else str(value).encode()
    return length(len(data)) + data


def stock(data: bytes, columns: list[Column]) -> Any:
    result = MySQLResult.__new__(MySQLResult)
    result.converters = columns
    return result._read_row_from_packet(MysqlPacket(data, "utf8"))


@given(st.lists(cells, max_size=12))
def test_a_row_is_what_was_written_and_what_aiomysql_reads(row: list[tuple[Column, object]]) -> None:
    columns = [column for column, _ in row]
    data = b"".join(written(value) for _, value in row)
    assert values(data, columns) == tuple(value for _, value in row) == stock(data, columns)


@pytest.mark.parametrize("size", [0, 250, 251, 252, 255, 256, 2**16 - 1, 2**16, 2**24 - 1, 2**24])
def test_every_length_of_a_length(size: int) -> None:
    value = b"x" * size
    data = written(value) + written(7)
    assert values(data, [BYTES, NUMBER]) == (value, 7) == stock(data, [BYTES, NUMBER])


@given(st.binary(max_size=60), st.lists(st.sampled_from([TEXT, BYTES, NUMBER, EXACT, AT]), max_size=6))
def test_anything_else_is_an_error_that_is_known_or_a_whole_row(data: bytes, columns: list[Column]) -> None:
    try:
        found = values(data, columns)
    except _UNREADABLE:
        return
    assert len(found) == len(columns)
    assert found == stock(data, columns)


@pytest.mark.parametrize(
    "data", [b"", b"\x03ab", b"\xff", b"\xfc\x05", b"\x01ab", b"\xfe" + b"\xff" * 8], ids=repr
)
def test_a_row_that_is_cut_or_too_long_is_none(data: bytes) -> None:
    with pytest.raises((LookupError, ValueError)):
        values(data, [TEXT])


def test_the_result_of_a_query_reads_so() -> None:
    result = Result.__new__(Result)
    result.converters = [TEXT]
    assert result._read_row_from_packet(MysqlPacket(b"\x02\xc3\xa9", "utf8")) == ("é",)


@given(st.datetimes(min_value=clock.datetime(1, 1, 1)), st.integers(0, 6))  # noqa: DTZ001 - as it is sent
def test_a_moment_is_what_pymysql_makes_of_it(at: clock.datetime, digits: int) -> None:
    whole = at.strftime("%Y").zfill(4) + at.strftime("-%m-%d %H:%M:%S")
    text = f"{whole}.{at.microsecond:06}"[: 20 + digits] if digits else whole
    assert moment(text) == convert_datetime(text)
    assert isinstance(moment(text), clock.datetime)


@pytest.mark.parametrize(
    "text", ["0000-00-00 00:00:00", "2007-02-31 23:06:20", "", "junk", "2007-02-00 00:00:00"]
)
def test_a_day_that_no_calendar_has_stays_text(text: str) -> None:
    assert moment(text) == convert_datetime(text) == text


packets = st.lists(st.binary(min_size=1, max_size=300).filter(lambda data: data[0] < 254), max_size=20)


def framed(data: bytes, number: int) -> bytes:
    return len(data).to_bytes(3, "little") + bytes([number % 256]) + data


@given(packets, st.integers(0, 255), st.integers(0, 6000))
def test_rows_at_the_front_of_a_block_are_those_that_are_whole(
    rows: list[bytes], number: int, cut: int
) -> None:
    block = b"".join(framed(row, number + place) for place, row in enumerate(rows))[:cut]
    found, end = plain(block, number)
    assert found == rows[: len(found)]
    assert end == sum(4 + len(row) for row in found)
    assert len(block) - end < (4 + len(rows[len(found)]) if len(found) < len(rows) else 1)


@pytest.mark.parametrize(
    "then",
    [
        pytest.param(framed(b"\xfe\x00\x00\x02\x00", 3), id="the end of the rows"),
        pytest.param(framed(b"\xff\x48\x04#HY000no", 3), id="an error"),
        pytest.param(framed(b"\x01a", 4), id="not the next one"),
        pytest.param(framed(b"", 3), id="nothing"),
        pytest.param(b"\xff\xff\xff\x03\x01a", id="of many packets"),
    ],
)
def test_what_is_no_row_is_left_to_the_driver(then: bytes) -> None:
    row = framed(b"\x01a", 2)
    assert plain(row + then + framed(b"\x01b", 4), 2) == ([b"\x01a"], len(row))


def test_a_value_of_16_mb_is_no_end_of_rows() -> None:
    wide = b"\xfe" + (2**24).to_bytes(8, "little") + b"x" * 20
    assert plain(framed(wide, 0), 0) == ([wide], len(wide) + 4)
