"""A reading: the result of one poll, its age, and what stands in the way of the next one."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why the last poll brought nothing. `since` is when the trouble began, of `steady_now`."""

    kind: str
    message: str
    hint: str = ""
    since: datetime | None = None


class Reading(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """`data` is of `taken_at` (`steady_now`); with a `problem` it is the last good one, or None."""

    data: T | None
    taken_at: datetime | None
    latency_ms: float | None
    problem: Problem | None = None

    @property
    def stale(self) -> bool:
        return self.problem is not None
