"""Values of expressions: JSON data, and what is not known yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

from console.errors import UsageError

MOST_TEXT: Final = 64 * 1024
MOST_NUMBER: Final = 10**18
MOST_NESTED: Final = 32


class _Unknown(Enum):
    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown.UNKNOWN


class Cut(list[Any]):
    """The beginning of a list: there is more, which was not kept, and nobody knows what."""


class AtLeast(NamedTuple):
    """A number of which only this much is known: how many there are of what was cut off."""

    least: int | float


def seen_of(answer: Mapping[str, Any]) -> list[Any]:
    """The rows of a query's answer, which know whether they are all."""
    rows: list[Any] = answer["rows"]
    return Cut(rows) if answer.get("truncated") else rows


def is_answer(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("rows"), list)


def is_cut(value: Any) -> bool:
    return isinstance(value, Cut) or (is_answer(value) and bool(value.get("truncated")))


class ExpressionError(UsageError):
    """A fault of an expression, or of the data it was given."""

    kind = "expression"


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def kind_of(value: Any) -> str:
    """What it is, for people."""
    if value is UNKNOWN:
        return "something unknown"
    if isinstance(value, AtLeast):
        return f"a number of which only is known that it is at least {value.least}"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value):
        return "a number"
    kinds = ((str, "a text"), (list, "a list"), (dict, "a mapping"))
    return next((word for kind, word in kinds if isinstance(value, kind)), "no value of a runbook")


def equal(a: Any, b: Any, spend: Callable[[int], None], depth: int = 0) -> bool:
    """By kind and value: 1 is 1.0, and true is not 1."""
    spend(1)
    if depth > MOST_NESTED:
        raise ExpressionError(f"values nested more than {MOST_NESTED} deep are not compared")
    if is_number(a) and is_number(b):
        return bool(a == b)
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(equal(x, y, spend, depth + 1) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key], spend, depth + 1) for key in a)
    return bool(a == b)


def compare(operator: str, a: Any, b: Any) -> bool:
    """Raises ExpressionError unless both are numbers or both are texts."""
    if not ((is_number(a) and is_number(b)) or (isinstance(a, str) and isinstance(b, str))):
        raise ExpressionError(f"{kind_of(a)} and {kind_of(b)} have no order")
    if operator == "<":
        return bool(a < b)
    if operator == "<=":
        return bool(a <= b)
    return bool(a > b) if operator == ">" else bool(a >= b)


# What is decided by the least alone: whatever the number is, `>` holds above it, and `<` fails.
_FLIPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def compare_least(operator: str, a: Any, b: Any) -> Any:
    """A comparison in which one side is AtLeast. Raises ExpressionError as `compare`."""
    if isinstance(b, AtLeast):
        if isinstance(a, AtLeast):
            return UNKNOWN
        return compare_least(_FLIPPED[operator], b, a)
    if operator in (">", ">="):
        return True if compare(operator, a.least, b) else UNKNOWN
    return UNKNOWN if compare(operator, a.least, b) else False


def equal_least(a: Any, b: Any) -> Any:
    """Whether they are equal, where one side is AtLeast: never where the other is smaller, or no number."""
    known, other = (a, b) if isinstance(a, AtLeast) else (b, a)
    if isinstance(other, AtLeast) or (is_number(other) and other >= known.least):
        return UNKNOWN
    return False
