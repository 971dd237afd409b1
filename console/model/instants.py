"""Times as servers and people write them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


def instant(text: str) -> datetime | None:
    """A timestamp in ISO 8601, or as PostgreSQL and MySQL print it; UTC where no zone is told. None for
    what is none.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


class Clock:
    """The time now, of a clock that is read once and then only runs: it is never set, and goes on while the
    machine sleeps. Ages are differences of it, whatever a person or NTP does to the machine's own clock.
    """

    def __init__(self) -> None:
        self._began, self._at = datetime.now(UTC), _ticks()

    def now(self) -> datetime:
        return self._began + timedelta(seconds=_ticks() - self._at)


def _ticks() -> float:
    """Seconds. Linux's monotonic clock stands still in a laptop that sleeps; its boot clock does not."""
    boot: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


steady_now = Clock().now
