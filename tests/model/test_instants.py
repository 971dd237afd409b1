"""Ages are differences of a clock that nobody sets."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from console.model import instants
from console.model.instants import Clock
from console.poll import Feed

HOUR = timedelta(hours=1)


def machine_set_by(monkeypatch: pytest.MonkeyPatch, shift: timedelta) -> None:
    """What NTP, or a person, does to the clock of this machine."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Shifted:
            return cls.fromtimestamp(time.time() + shift.total_seconds(), tz)

    monkeypatch.setattr(instants, "datetime", Shifted)


@pytest.mark.parametrize("shift", [HOUR, -HOUR])
async def test_a_reading_is_no_older_and_no_younger_when_the_clock_is_set(
    monkeypatch: pytest.MonkeyPatch, shift: timedelta
) -> None:
    clock = Clock()
    feed: Feed[int] = Feed(_one, every=1.0)
    monkeypatch.setattr("console.poll.steady_now", clock.now)
    taken_at = (await feed.poll()).taken_at
    assert taken_at is not None
    assert abs(datetime.now(UTC) - taken_at) < timedelta(minutes=1), "it began as the machine's"
    machine_set_by(monkeypatch, shift)
    assert abs(clock.now() - taken_at) < timedelta(minutes=1)
    assert abs(Clock().now() - taken_at) > timedelta(minutes=59), "the machine's clock was set in this test"


async def _one() -> int:
    return 1
