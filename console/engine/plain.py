"""A driver's values as JSON data, the same from both engines: times are ISO in UTC, lengths are seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

MOST_CHARACTERS = 8000


def plain(value: Any) -> Any:
    """Text is cut at 8000 characters; a number that JSON has not is null."""
    match value:
        case None | bool() | int():
            return value
        case float() | Decimal():
            return _number(value)
        case str():
            return value[:MOST_CHARACTERS]
        case list() | tuple():
            return [plain(one) for one in value]
        case Mapping():
            return {str(name): plain(one) for name, one in value.items()}
        case _:
            return _text(value)


def _number(value: float | Decimal) -> int | float | None:
    if not math.isfinite(value):
        return None
    if isinstance(value, float):
        return value
    return int(value) if value == value.to_integral_value() and abs(value) < 10**18 else float(value)


def _text(value: Any) -> Any:
    match value:
        case datetime():
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return aware.astimezone(UTC).isoformat()
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()[:MOST_CHARACTERS]
        case _:
            return str(value)[:MOST_CHARACTERS]
