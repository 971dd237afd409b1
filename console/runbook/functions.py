"""The functions of expressions. Each is total over JSON data: a value, UNKNOWN, or an ExpressionError."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from console.runbook.values import (
    UNKNOWN,
    AtLeast,
    Cut,
    ExpressionError,
    compare,
    equal,
    is_answer,
    is_cut,
    is_number,
    kind_of,
    seen_of,
)

_DURATION = re.compile(r"(?P<number>\d{1,12}(?:\.\d{1,9})?)(?P<unit>ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = re.compile(r"(?P<number>\d{1,12}(?:\.\d{1,9})?)\s?(?P<unit>B|kB|MB|GB|TB)")
_SIZES = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """`work` gets known values only; `least` and `most` are how many. `says` is for the reference."""

    least: int
    most: int
    work: Callable[..., Any]
    says: str


def seconds_of(text: str) -> float:
    """`90s`, `5m`, `1.5h` in seconds. Raises ExpressionError."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ExpressionError(f"{text[:40]!r} is no duration like 500ms, 30s, 5m, 2h or 1d")
    number = found["number"]
    return (float(number) if "." in number else int(number)) * _SECONDS[found["unit"]]


def bytes_of(text: str) -> float:
    """`512MB` in bytes, in powers of 1024. Raises ExpressionError."""
    found = _BYTES.fullmatch(text)
    if found is None:
        raise ExpressionError(f"{text[:40]!r} is no size like 8kB, 512MB or 2GB")
    number = found["number"]
    return (float(number) if "." in number else int(number)) * _SIZES[found["unit"]]


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ExpressionError(f"{name} is for a text, not for {kind_of(value)}")
    return value


def _list(value: Any, name: str) -> list[Any]:
    """A list; of a query's answer its rows. It is a Cut where there are more of them."""
    if is_answer(value):
        return seen_of(value)
    if not isinstance(value, list):
        raise ExpressionError(f"{name} is for a list, not for {kind_of(value)}")
    return value


def _like(value: Any, found: list[Any]) -> list[Any]:
    """What was made of the rows of a list: of a beginning only the beginning."""
    return Cut(found) if is_cut(value) else found


def _fields(value: Any, field: Any, name: str) -> list[Any]:
    """One field of every row; null where a row has it not."""
    rows = _list(value, name)
    wanted = _text(field, name)
    for row in rows:
        if not isinstance(row, dict):
            raise ExpressionError(f"{name} looks for the field {wanted[:40]!r} in {kind_of(row)}")
    return [row.get(wanted) for row in rows]


def _given(name: str, value: Any, field: Any) -> list[Any]:
    return list(_list(value, name)) if field is None else _fields(value, field, name)


def _count(value: Any) -> Any:
    found = _list(value, "count")
    return AtLeast(len(found)) if is_cut(value) else len(found)


def _len(value: Any) -> Any:
    return len(value) if isinstance(value, str) else _count(_list(value, "len"))


def _quantified(name: str, decides: bool) -> Callable[..., Any]:
    """Kleene, as `and` and `or`: null is not known."""

    def work(value: Any, field: Any = None) -> Any:
        unsure = False
        for one in _given(name, value, field):
            if one is not None and not isinstance(one, bool):
                raise ExpressionError(f"{name} is over true and false, not over {kind_of(one)}")
            if one is decides:
                return decides
            unsure = unsure or one is None
        return UNKNOWN if unsure or is_cut(value) else not decides

    return work


def _extreme(name: str, operator: str) -> Callable[..., Any]:
    def work(value: Any, field: Any = None) -> Any:
        found = _given(name, value, field)
        if any(one is None for one in found):
            return UNKNOWN
        if not found:
            return UNKNOWN if is_cut(value) else None
        best = found[0]
        compare(operator, best, best)
        for one in found[1:]:
            best = one if compare(operator, one, best) else best
        if is_cut(value):
            return AtLeast(best) if operator == ">" and is_number(best) else UNKNOWN
        return best

    return work


def _sum(value: Any, field: Any = None) -> Any:
    found = _given("sum", value, field)
    for one in found:
        if one is not None and not is_number(one):
            raise ExpressionError(f"sum is over numbers, not over {kind_of(one)}")
    return UNKNOWN if is_cut(value) or any(one is None for one in found) else sum(found)


def _first(value: Any) -> Any:
    found = _list(value, "first")
    if not found and is_cut(value):
        return UNKNOWN
    return found[0] if found else None


def _where(value: Any, field: Any, wanted: Any) -> list[Any]:
    found = zip(_list(value, "where"), _fields(value, field, "where"), strict=True)
    return _like(value, [row for row, one in found if equal(one, wanted, _free)])


def _without(value: Any, field: Any, unwanted: Any) -> list[Any]:
    found = zip(_list(value, "without"), _fields(value, field, "without"), strict=True)
    return _like(value, [row for row, one in found if not equal(one, unwanted, _free)])


def _above(value: Any, field: Any, least: Any) -> list[Any]:
    found = zip(_list(value, "above"), _fields(value, field, "above"), strict=True)
    return _like(value, [row for row, one in found if one is not None and compare(">", one, least)])


def _containing(value: Any, field: Any, part: Any) -> list[Any]:
    """All of them for an empty text, so that a param that is not given leaves nobody out."""
    rows = _list(value, "containing")
    wanted = _text(part, "containing").casefold()
    if not wanted:
        return list(rows)
    found = zip(rows, _fields(value, field, "containing"), strict=True)
    return [row for row, one in found if isinstance(one, str) and wanted in one.casefold()]


def _pluck(value: Any, field: Any) -> list[Any]:
    return _like(value, _fields(value, field, "pluck"))


def _size(value: Any) -> str:
    """`1.5GB`, to two digits or more, in powers of 1024."""
    if not is_number(value):
        raise ExpressionError(f"size is of a number of bytes, not of {kind_of(value)}")
    unit = max((one for one in _SIZES if abs(value) >= _SIZES[one]), key=_SIZES.__getitem__, default="B")
    number = value / _SIZES[unit]
    return f"{number:.0f}{unit}" if abs(number) >= 10 or unit == "B" else f"{number:.1f}{unit}"


def _free(_: int) -> None:
    """Rows have no more parts than the answer they came in, which is bounded."""


def _lazy(*_: Any) -> Any:
    raise ExpressionError("it is worked out with its arguments")


FUNCTIONS: Final[Mapping[str, Function]] = {
    "count": Function(least=1, most=1, work=_count, says="how many rows or items"),
    "len": Function(least=1, most=1, work=_len, says="the length of a text or a list"),
    "any": Function(
        least=1, most=2, work=_quantified("any", True), says="one is true: any(list), any(rows, field)"
    ),
    "all": Function(
        least=1, most=2, work=_quantified("all", False), says="all are true: all(list), all(rows, field)"
    ),
    "min": Function(
        least=1, most=2, work=_extreme("min", "<"), says="the least; null of none: min(rows, field)"
    ),
    "max": Function(
        least=1, most=2, work=_extreme("max", ">"), says="the greatest; null of none: max(rows, field)"
    ),
    "sum": Function(least=1, most=2, work=_sum, says="the sum: sum(rows, field)"),
    "first": Function(least=1, most=1, work=_first, says="the first row or item; null of none"),
    "pluck": Function(least=2, most=2, work=_pluck, says="one field of every row: pluck(rows, field)"),
    "where": Function(
        least=3, most=3, work=_where, says="rows whose field equals: where(rows, field, value)"
    ),
    "without": Function(
        least=3, most=3, work=_without, says="rows whose field differs: without(rows, field, value)"
    ),
    "above": Function(
        least=3,
        most=3,
        work=_above,
        says="rows whose field is greater; null is not: above(rows, field, number)",
    ),
    "containing": Function(
        least=3,
        most=3,
        work=_containing,
        says="rows whose field has a text in it, in capitals or not: containing(rows, field, text)",
    ),
    "exists": Function(least=1, most=1, work=_lazy, says="it is there and not null"),
    "coalesce": Function(least=1, most=8, work=_lazy, says="the first that is there and not null"),
    "duration": Function(
        least=1, most=1, work=lambda value: seconds_of(_text(value, "duration")), says="seconds of 5m"
    ),
    "bytes": Function(
        least=1, most=1, work=lambda value: bytes_of(_text(value, "bytes")), says="bytes of 512MB"
    ),
    "lower": Function(
        least=1, most=1, work=lambda value: _text(value, "lower").lower(), says="a text in small letters"
    ),
    "startswith": Function(
        least=2,
        most=2,
        work=lambda value, start: _text(value, "startswith").startswith(_text(start, "startswith")),
        says="a text begins so",
    ),
    "size": Function(least=1, most=1, work=_size, says="bytes for people: 1.5GB"),
}
