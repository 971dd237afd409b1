"""How far, how fast, when done: from looks at a phase."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.model.progress import (
    KEPT,
    KEPT_SECONDS,
    Confidence,
    Estimate,
    Pace,
    Progress,
    Sample,
    estimate,
)  # fmt: skip


def work(done: int | None, **over: Any) -> Progress:
    told: dict[str, Any] = {
        "session": 7,
        "command": "VACUUM",
        "object": "s.t",
        "phase": "scanning heap",
        "total": 1000,
    } | over
    return Progress(done=done, unit="blocks", **told)


def at(*samples: tuple[float, int]) -> list[Sample]:
    return [Sample(seconds, done) for seconds, done in samples]


def test_one_look_at_a_first_phase_is_rough() -> None:
    one = estimate(work(200, seconds=20.0), at((0, 200)))
    assert one == Estimate(rate=10.0, seconds=80.0, confidence=Confidence.ROUGH)


def test_one_look_at_a_later_phase_says_nothing() -> None:
    assert estimate(work(200, phase="vacuuming heap", seconds=20.0), at((0, 200))) == Estimate()


def test_two_looks_are_rough_and_a_steady_rate_is_good() -> None:
    assert estimate(work(200), at((0, 100), (10, 200))).confidence is Confidence.ROUGH
    one = estimate(work(400), at((0, 100), (10, 200), (20, 300), (30, 400)))
    assert one == Estimate(rate=10.0, seconds=60.0, confidence=Confidence.GOOD)


def test_a_rate_that_changed_is_the_later_one_and_rough() -> None:
    one = estimate(work(310), at((0, 100), (10, 290), (20, 300), (30, 310)))
    assert one.confidence is Confidence.ROUGH
    assert one.rate == pytest.approx(1.0)


def test_what_stands_still_has_a_rate_and_no_end() -> None:
    one = estimate(work(100), at((0, 100), (10, 100)))
    assert (one.rate, one.seconds, one.confidence) == (0.0, None, Confidence.NONE)


def test_without_a_total_or_a_count_nothing_is_known() -> None:
    assert estimate(work(5, total=None), at((0, 1), (1, 5))) == Estimate()
    assert estimate(work(None), []) == Estimate()


def test_done_is_done() -> None:
    assert estimate(work(1000), at((0, 0), (10, 1000))).seconds == 0.0
    assert estimate(work(1200), at((0, 0), (10, 1200))).seconds == 0.0
    assert work(1200).fraction == 1.0
    assert work(5, total=0).fraction is None


def test_a_pace_learns_forgets_what_is_gone_and_begins_anew_when_the_count_goes_back() -> None:
    pace = Pace()
    assert pace.feed([work(100)], 0.0)[0].estimate == Estimate()
    assert pace.feed([work(200)], 10.0)[0].estimate.rate == 10.0
    assert pace.feed([work(50)], 20.0)[0].estimate == Estimate()
    assert pace.feed([work(70)], 30.0)[0].estimate.rate == 2.0
    assert pace.feed([], 40.0) == ()
    assert pace.feed([work(90)], 50.0)[0].estimate == Estimate()


def test_phases_and_sessions_have_paces_of_their_own() -> None:
    pace = Pace()
    pace.feed([work(100), work(10, session=8)], 0.0)
    first, second = pace.feed([work(200), work(11, session=8)], 10.0)
    assert (first.estimate.rate, second.estimate.rate) == (10.0, 0.1)
    assert pace.feed([work(300, phase="vacuuming heap")], 20.0)[0].estimate == Estimate()


def test_old_looks_are_forgotten() -> None:
    pace = Pace()
    pace.feed([work(0)], 0.0)
    assert pace.feed([work(600)], KEPT_SECONDS + 1)[0].estimate == Estimate()


@given(
    st.lists(
        st.tuples(st.floats(min_value=0.1, max_value=60), st.integers(0, 10**6)), min_size=1, max_size=80
    )
)
def test_an_estimate_is_never_negative_and_memory_is_bounded(steps: list[tuple[float, int]]) -> None:
    pace, now, done = Pace(), 0.0, 0
    for seconds, more in steps:
        now, done = now + seconds, done + more
        (one,) = pace.feed([work(done, total=10**9)], now)
        assert one.estimate.rate is None or one.estimate.rate >= 0
        assert one.estimate.seconds is None or one.estimate.seconds >= 0
        assert (one.estimate.seconds is None) is (one.estimate.confidence is Confidence.NONE)
    assert all(len(kept) <= KEPT for kept in pace._samples.values())
