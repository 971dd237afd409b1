"""Limits by version, and when they would be reached."""

from __future__ import annotations

import pytest

from console.model.wraparound import WRAP, Numbers, race, xid_limits


@pytest.mark.parametrize(
    ("version", "warn", "stop"),
    [
        (130000, 11_000_000, 1_000_000),
        (140000, 40_000_000, 3_000_000),
        (180006, 40_000_000, 3_000_000),
        (190000, 100_000_000, 3_000_000),
    ],
)
def test_limits_are_those_of_the_version(version: int, warn: int, stop: int) -> None:
    limits = xid_limits(version, 200_000_000, None)
    assert (WRAP - limits.warn, WRAP - limits.stop) == (warn, stop)
    assert limits.freeze < limits.warn < limits.stop


def numbers(age: int, rate: float | None) -> Numbers:
    return Numbers(kind="xid", age=age, limits=xid_limits(180000, 200_000_000, 1_600_000_000), rate=rate)


def test_time_to_a_limit_needs_a_rate_and_is_zero_beyond_it() -> None:
    assert numbers(100_000_000, 1000.0).seconds_to(200_000_000) == 100_000.0
    assert numbers(300_000_000, None).seconds_to(200_000_000) == 0.0
    assert numbers(100_000_000, None).seconds_to(200_000_000) is None
    assert numbers(100_000_000, 0.0).seconds_to(200_000_000) is None
    assert numbers(100_000_000, 1.0).seconds_to(None) is None


def test_a_race_is_decided_only_with_both_times() -> None:
    assert race(numbers(0, 1000.0), 10.0, "it") == (True, "it will finish first")
    lost, sentence = race(numbers(2_144_483_600, 1.0), 100.0, "it")
    assert lost is False
    assert "raise its cost limit" in sentence
    assert race(numbers(0, None), 10.0, "it")[0] is None
    assert race(numbers(0, 1.0), None, "it")[0] is None
    assert race(numbers(0, 1.0), 10.0, "") == (None, "")
