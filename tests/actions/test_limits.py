"""What maintenance may cost, and what stops it."""

from __future__ import annotations

import pytest

from actions.limits import Limits, WorkArgs, limits_of, pausing, stopping, words
from console.errors import UsageError
from console.model.table_locks import Load


def test_durations_are_read_and_nothing_is_no_limit() -> None:
    limits = limits_of(WorkArgs(lock_timeout="500ms", budget="2h", max_lag="30s", max_load=25))
    assert (limits.lock, limits.budget, limits.max_lag, limits.max_load) == (0.5, 7200.0, 30.0, 25)
    assert limits_of(WorkArgs()) == Limits()
    assert not limits_of(WorkArgs()).guarded


def test_what_is_no_duration_is_refused() -> None:
    with pytest.raises(UsageError, match="soon"):
        limits_of(WorkArgs(budget="soon"))


@pytest.mark.parametrize("given", ["0", 0, "0s", "0.0"])
def test_no_time_is_not_taken_for_no_limit(given: str | float) -> None:
    for args in (WorkArgs(budget=given), WorkArgs(max_lag=given)):
        with pytest.raises(UsageError, match="=0") as refused:
            limits_of(args)
        assert "leave" in refused.value.hint


def test_load_and_lag_pause_and_critical_load_stops() -> None:
    limits = Limits(max_load=10, critical_load=20, max_lag=5.0)
    assert pausing(Load(running=10), limits) == ""
    assert "max_load 10" in pausing(Load(running=11), limits)
    assert "replica db2 is 6s behind" in pausing(Load(running=1, lag_seconds=6.0, replica="db2"), limits)
    assert pausing(Load(running=1, lag_seconds=None), limits) == ""
    assert "not known: it hides" in pausing(Load(running=1, lag_seconds=None, why="it hides"), limits)
    assert stopping(Load(running=20), limits) == ""
    assert "critical_load 20" in stopping(Load(running=21), limits)
    assert stopping(Load(running=999), Limits()) == ""


def test_the_plan_says_how_long_it_tries() -> None:
    said = words(Limits(lock=2.0, tries=3, budget=60.0, critical_load=50), patient=0, others=1)
    assert "3 times" in said[0]
    assert any("1m" in line and "cancelled" in line for line in said)
    assert any("50 statements" in line for line in said)
    patient = words(Limits(), patient=2, others=0)
    assert patient == ("it waits for older transactions at most 10m; then it gives up",)
