"""Short tries for a lock."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from actions.ladder import longest_seconds, rungs


@given(st.floats(0.001, 600), st.integers(1, 50), st.integers())
def test_no_try_waits_longer_than_allowed_and_pauses_differ_by_chance(
    longest: float, tries: int, seed: int
) -> None:
    steps = list(rungs(longest, tries, random.Random(seed)))
    assert len(steps) == tries
    assert all(0 < step.wait <= longest for step in steps)
    assert [step.wait for step in steps] == sorted(step.wait for step in steps)
    assert all(0.25 <= step.pause <= 45 for step in steps)
    whole = sum(step.wait + step.pause for step in steps) - steps[-1].pause
    assert whole <= longest_seconds(longest, tries) + 1e-6


def test_waits_double_up_to_the_longest() -> None:
    steps = list(rungs(2.0, 7, random.Random(1)))
    assert [step.wait for step in steps] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
