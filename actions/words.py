"""Counts, durations and statements in the sentences of plans and verdicts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from console.errors import UsageError
from console.model.instants import instant
from console.model.sessions import Session
from console.present.units import age, clean, size
from console.present.units import counted as counted

STATEMENT_WIDTH = 80
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m|h|d|)")
_UNITS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "h": 3600.0, "d": 86400.0}


def some(names: Sequence[str], most: int = 5) -> str:
    """`a, b and 3 more`: a list that is cut says so."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def largest_of(sizes: Sequence[int | None]) -> str:
    """`up to 2.0 GB`; what has no known size might be larger, and is told."""
    known = [one for one in sizes if one is not None]
    if not known:
        return "unknown, as ANALYZE has not counted its pages yet"
    rest = len(sizes) - len(known)
    return f"up to {size(max(known))}" + (f", of unknown size: {rest} more" if rest else "")


def duration(given: str | float) -> float:
    """Seconds of `10m`, `90s`, `500ms`, `2h`, `1d` or a bare number of seconds.

    Raises UsageError for anything else and for what is not longer than nothing.
    """
    found = _DURATION.fullmatch(str(given).strip())
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if seconds <= 0:
        raise UsageError(
            f"{given!r} is no duration longer than 0; nothing was executed", "like 90s, 10m or 2h"
        )
    return seconds


def moment(given: str, latest: datetime) -> datetime:
    """A time in ISO 8601, `latest` where none is given.

    Raises UsageError for what is none, and for a later one: what is younger than was asked for would go, too.
    """
    found = instant(given) if given else latest
    if found is None or found > latest:
        why = "is no time" if found is None else f"is later than {latest.isoformat()}, to which the age comes"
        raise UsageError(f"before={given} {why}; nothing was executed", "leave before= away")
    return found


def who(session: Session) -> str:
    """`session 12 (shop_web@10.0.0.7, checkout)`; a worker without a user by its kind."""
    if not session.user and session.kind != "client backend":
        return clean(f"session {session.id} ({session.kind})")
    place = f"{session.user or 'unknown'}@{session.client or 'local'}"
    named = f", {session.application}" if session.application else ""
    return clean(f"session {session.id} ({place}{named})")


def statement_of(session: Session) -> str:
    """The running or last statement on one short line."""
    if not session.query:
        return "no statement known"
    return clean(session.query, STATEMENT_WIDTH)


def idle_for(session: Session) -> str:
    return age(session.state_seconds)
