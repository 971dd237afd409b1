"""How old what is shown is, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from console.model.reading import Problem
from console.present.target import foremost, freshness, paused

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
RIGHT = Problem(kind="privilege", message="no right", since=NOW)


def test_what_is_paused_is_not_live() -> None:
    assert paused(NOW, NOW + timedelta(seconds=9)) == "PAUSED"
    assert paused(NOW, NOW + timedelta(seconds=10)) == "PAUSED · data 10s old"
    assert paused(NOW, NOW + timedelta(seconds=19)) == "PAUSED · data 10s old", "no byte a second"
    assert paused(NOW, NOW + timedelta(minutes=12, seconds=5)) == "PAUSED · data 12m old"
    assert paused(None, NOW) == "PAUSED"


def away(seconds: float) -> Problem:
    return Problem(kind="unreachable", message="gone", since=NOW - timedelta(seconds=seconds))


def test_a_missing_right_does_not_tick() -> None:
    first = freshness(None, NOW, RIGHT, 0.0)
    assert first == freshness(None, NOW + timedelta(seconds=9), RIGHT, 0.0)
    assert first == ("NO RIGHT to read this, no data yet", True)


def test_a_server_that_is_away_is_told_before_a_right_that_is_missing() -> None:
    assert foremost(RIGHT, away(3)) == away(3)
    assert foremost(away(3), RIGHT) == away(3)
    assert foremost(RIGHT, None) == RIGHT
    assert foremost(None, RIGHT) is None


def test_a_server_is_away_since_it_was_first_missed() -> None:
    assert foremost(away(0), away(6)) == away(6)
    assert freshness(NOW - timedelta(seconds=10), NOW, foremost(away(0), away(6)), 0.0)[0] == (
        "FAILING for 6s, data 10s old"
    )
