"""Burn rates from looks and checkpoints, and the race of a vacuum with the stop."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from console.engine.postgres.numbers import Burn, Look, rates, vacuum_race, wraparound
from console.model.progress import Confidence, Estimate, Progress
from console.model.wraparound import Numbers, xid_limits


def row(**over: Any) -> dict[str, Any]:
    return {
        "next_xid": "10000",
        "next_mxid": 500,
        "checkpoint_xid": "0:4000",
        "checkpoint_mxid": "200",
        "since_checkpoint": 100.0,
        "xid_age": 900,
        "mxid_age": 90,
        "xid_database": "a",
        "mxid_database": "b",
        "xid_table": "s.t",
        "xid_relation": 5,
        "xid_table_age": 800,
        "mxid_table": None,
        "mxid_relation": None,
        "mxid_table_age": None,
        "xid_freeze": 200_000_000,
        "mxid_freeze": 400_000_000,
        "xid_failsafe": 1_600_000_000,
        "mxid_failsafe": 1_600_000_000,
    } | over


def test_the_first_look_is_compared_with_the_last_checkpoint() -> None:
    assert Burn().rates("s", row(), 1000.0) == (60.0, 3.0)


def test_a_later_one_with_the_first_as_soon_as_it_is_old_enough() -> None:
    burn = Burn()
    burn.rates("s", row(), 1000.0)
    assert burn.rates("s", row(next_xid="10010", since_checkpoint=105.0), 1005.0)[0] == 6010 / 105
    assert burn.rates("s", row(next_xid="10400", next_mxid=520), 1020.0) == (20.0, 1.0)


def test_another_server_begins_anew() -> None:
    burn = Burn()
    burn.rates("s", row(), 1000.0)
    assert burn.rates("other", row(next_xid="9000000", since_checkpoint=1.0), 1100.0) == (None, None)


def test_an_epoch_is_counted_and_multixacts_go_round() -> None:
    here = Look(at=20.0, xid=(3 << 32) + 50, mxid=10)
    before = Look(at=0.0, xid=(2 << 32) + 50, mxid=(1 << 32) - 10)
    assert rates(here, None, before) == ((1 << 32) / 20, 1.0)
    told = Burn().rates("s", row(next_xid=str((1 << 32) + 100), checkpoint_xid="1:0"), 0.0)
    assert told[0] == 1.0


def test_a_moment_says_nothing() -> None:
    assert Burn().rates("s", row(since_checkpoint=2.0), 5.0) == (None, None)
    assert Burn().rates("s", row(checkpoint_xid=None), 5.0) == (None, None)


@given(st.lists(st.tuples(st.floats(min_value=0, max_value=100), st.integers(0, 10**6)), max_size=30))
def test_a_rate_is_never_negative(steps: list[tuple[float, int]]) -> None:
    burn, at, xid = Burn(), 0.0, 10_000
    for seconds, used in steps:
        at, xid = at + seconds, xid + used
        found = burn.rates("s", row(next_xid=str(xid)), at)
        assert all(rate is None or rate >= 0 for rate in found)


def test_both_kinds_are_told_with_their_oldest() -> None:
    around = wraparound(row(), 180000, (5.0, None), [])
    assert (around.xid.kind, around.xid.database, around.xid.table, around.xid.table_age) == (
        "xid",
        "a",
        "s.t",
        800,
    )
    assert (around.mxid.kind, around.mxid.database, around.mxid.table) == ("multixact", "b", "")
    assert (around.xid.rate, around.mxid.rate) == (5.0, None)
    assert (around.finishes_first, around.sentence) == (None, "")


def vacuum(seconds: float | None, phase: str = "scanning heap") -> Progress:
    return Progress(
        session=9, command="VACUUM", object="s.t", phase=phase, seconds=100.0, automatic=True,
        estimate=Estimate(rate=1.0, seconds=seconds, confidence=Confidence.GOOD),
    )  # fmt: skip


def numbers(left: int, rate: float | None = 1.0) -> Numbers:
    limits = xid_limits(180000, 200_000_000, 1_600_000_000)
    return Numbers(kind="xid", age=limits.stop - left, limits=limits, rate=rate)


def test_the_vacuum_of_the_oldest_table_is_the_one_that_races() -> None:
    around = wraparound(row(), 180000, (5.0, None), [(4, vacuum(1.0)), (5, vacuum(1.0))])
    assert around.finishes_first is True
    assert around.sentence == "the autovacuum of s.t (session 9) will finish first"
    assert wraparound(row(), 180000, (5.0, None), [(4, vacuum(1.0))]).finishes_first is None


def test_it_wins_or_loses_only_when_all_that_is_left_to_do_says_so() -> None:
    assert vacuum_race(numbers(10_000), vacuum(100.0))[0] is True
    assert vacuum_race(numbers(90), vacuum(100.0))[0] is False
    undecided, sentence = vacuum_race(numbers(200), vacuum(100.0))
    assert undecided is None
    assert "not known yet" in sentence
    assert vacuum_race(numbers(200, rate=None), vacuum(100.0))[0] is None
    assert vacuum_race(numbers(200), vacuum(None))[0] is None
    assert vacuum_race(numbers(200), None) == (None, "")
    assert vacuum_race(numbers(299), vacuum(100.0, "vacuuming heap"))[0] is None
    assert vacuum_race(numbers(301), vacuum(100.0, "vacuuming heap"))[0] is True
