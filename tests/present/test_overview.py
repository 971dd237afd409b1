"""What is wrong with a target, in one sentence, and the order of trouble."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.model.cluster import GALERA, GROUP, Cluster
from console.model.overview import (
    BUCKET_SECONDS,
    BUCKETS,
    Commits,
    Outlook,
    Pulse,
    Queue,
    Rates,
    Standing,
    Track,
    Trouble,
    by_trouble,
)
from console.model.reading import Problem
from console.model.replication import Slot
from console.model.wraparound import Numbers, xid_limits
from console.present import overview

GB = 1 << 30
WELL = Pulse(at=10.0, started=0.0, waiting=0, connections=5, most=97)


def standing(pulse: Pulse | None = WELL, **over: Any) -> Standing:
    found = Standing(name="shop", engine="postgres", environment="prod", pulse=pulse, **over)
    return overview.judged(found, storm=20, unread=10.0)


def with_pulse(**over: Any) -> Standing:
    return standing(msgspec.structs.replace(WELL, **over))


def slots(*found: Slot) -> Standing:
    return standing(outlook=Outlook(slots=found))


def slot(name: str = "db2", **over: Any) -> Slot:
    return Slot(name=name, kind="physical", **{"wal_status": "extended", **over})


def numbers(age: int, database: str = "") -> Outlook:
    limits = xid_limits(170000, 200_000_000, 1_600_000_000)
    return Outlook(numbers=(Numbers(kind="xid", age=age, limits=limits, database=database),))


@pytest.mark.parametrize(
    ("seen", "trouble", "said"),
    [
        (with_pulse(), Trouble.WELL, ""),
        (
            with_pulse(waiting=4, queue=Queue(behind=4, root="17", seconds=48.0)),
            Trouble.WARN,
            "4 wait behind session 17 for 48s",
        ),
        (
            with_pulse(waiting=30, queue=Queue(behind=9, root="17", seconds=3.0)),
            Trouble.BAD,
            "30 wait, 9 behind session 17 for 3s",
        ),
        (
            with_pulse(waiting=1, queue=Queue(behind=1, root="gid-1", seconds=2.0)),
            Trouble.NOTICE,
            "1 waits behind prepared transaction gid-1 for 2s",
        ),
        (with_pulse(connections=85), Trouble.WARN, "12 of 97 connections left"),
        (with_pulse(connections=96), Trouble.BAD, "1 of 97 connections left"),
        (with_pulse(lag_seconds=40.0, replica="db2"), Trouble.WARN, "replica db2 40s behind"),
        (with_pulse(halted="replication does not run"), Trouble.BAD, "replication does not run"),
        (with_pulse(cluster=Cluster(kind=GALERA, state="Primary, Synced", joined=True)), Trouble.WELL, ""),
        (
            with_pulse(cluster=Cluster(kind=GALERA, state="non-Primary, Initialized", joined=False)),
            Trouble.BAD,
            "no part of its Galera now, statements are refused: non-Primary, Initialized",
        ),
        (
            with_pulse(cluster=Cluster(kind=GROUP, state="ERROR", joined=False, there=0, members=1)),
            Trouble.BAD,
            "no part of its Group Replication now, it is left behind: ERROR",
        ),
        (
            with_pulse(
                cluster=Cluster(kind=GALERA, state="Primary, Donor/Desynced", joined=True, settled=False)
            ),
            Trouble.WARN,
            "Galera: Primary, Donor/Desynced",
        ),
        (
            with_pulse(cluster=Cluster(kind=GROUP, state="ONLINE", joined=True, there=2, members=3)),
            Trouble.WARN,
            "Group Replication: 2 of 3 members are online",
        ),
        (
            with_pulse(
                cluster=Cluster(kind=GROUP, state="ONLINE", joined=True, there=1, members=3, majority=False)
            ),
            Trouble.BAD,
            "Group Replication: no majority is reachable, commits hang: 1 of 3 online",
        ),
        (
            with_pulse(commits=Commits(standbys="db2", wanted=1, there=0)),
            Trouble.WARN,
            "commits will hang: 0 of 1 synchronous standby streams (db2)",
        ),
        (
            with_pulse(commits=Commits(standbys="ANY 2 (a, b)", wanted=2, there=1, waiting=3, seconds=1.0)),
            Trouble.BAD,
            "3 commits hang: 1 of 2 synchronous standbys stream (ANY 2 (a, b))",
        ),
        (
            with_pulse(commits=Commits(standbys="db2", wanted=1, there=1, waiting=1, seconds=2.0)),
            Trouble.WELL,
            "",
        ),
        (
            with_pulse(commits=Commits(standbys="db2", wanted=1, there=1, waiting=1, seconds=7.0)),
            Trouble.WARN,
            "1 commit waits up to 7s for a synchronous standby",
        ),
        (
            standing(msgspec.structs.replace(WELL, follows=False), source="db1"),
            Trouble.WARN,
            "no replica, against the config (replica_of: db1); see doctor",
        ),
        (
            with_pulse(lag_seconds=400.0, replica="this standby"),
            Trouble.BAD,
            "this standby up to 6m40 behind",
        ),
        (
            with_pulse(waiting=None, unknown=("who waits: GRANT pg_monitor TO dim;",)),
            Trouble.UNKNOWN,
            "not all is known: who waits: GRANT pg_monitor TO dim;",
        ),
        (standing(silent=12.0), Trouble.BAD, "no answer for 10s"),
        (standing(None), Trouble.UNKNOWN, "not reached yet"),
        (
            standing(outlook=numbers(400_000_000), rates=Rates(xid=6000.0)),
            Trouble.WARN,
            "XIDs: 3 days left",
        ),
        (standing(outlook=numbers(2_120_000_000)), Trouble.BAD, "XIDs: 24M left"),
        (
            standing(outlook=numbers(2_144_500_000, "other"), rates=Rates(xid=0.0)),
            Trouble.BAD,
            "XIDs: none left, the server refuses what needs one (database other)",
        ),
        (
            standing(outlook=numbers(2_120_000_000, "other"), rates=Rates(xid=10_000.0)),
            Trouble.BAD,
            "XIDs: less than an hour left (database other)",
        ),
        (standing(outlook=numbers(150_000_000), rates=Rates(xid=1e6)), Trouble.WELL, ""),
        (
            standing(outlook=Outlook(disk="/data", disk_used=0.96)),
            Trouble.BAD,
            "the disk of /data is 96% full",
        ),
        (
            slots(slot(wal_status="lost"), slot("cdc", invalidation="idle_timeout")),
            Trouble.BAD,
            "slot lost: db2 and 1 more; its reader has to be rebuilt",
        ),
        (
            slots(slot("cdc", wal_status="lost", invalidation="wal_removed", retained_bytes=90 * GB)),
            Trouble.BAD,
            "slot lost (wal_removed): cdc; its reader has to be rebuilt",
        ),
        (
            slots(slot(wal_status="unreserved", active_pid=7, safe_bytes=-5, retained_bytes=30 * GB)),
            Trouble.BAD,
            "slot about to lose WAL: db2, at the next checkpoint",
        ),
        (
            slots(
                slot("well", safe_bytes=4 * GB, retained_bytes=GB), slot(safe_bytes=GB, retained_bytes=4 * GB)
            ),
            Trouble.WARN,
            "slot lost in 1.0 GB more of WAL: db2",
        ),
        (
            slots(slot(safe_bytes=GB, retained_bytes=12 * GB, active_pid=7)),
            Trouble.BAD,
            "slot lost in 1.0 GB more of WAL: db2",
        ),
        (
            slots(slot(retained_bytes=12 * GB), slot("db3", retained_bytes=14 * GB, wal_status="reserved")),
            Trouble.WARN,
            "unread slot keeps 14 GB of WAL: db3 and 1 more",
        ),
        (
            slots(slot(retained_bytes=12 * GB, idle_seconds=3 * 3600 + 125.0)),
            Trouble.WARN,
            "unread slot keeps 12 GB of WAL: db2, for 3h02",
        ),
        (
            slots(slot(retained_bytes=9 * GB), slot("db3", retained_bytes=12 * GB, active_pid=7)),
            Trouble.WELL,
            "",
        ),
        (
            slots(
                slot(retained_bytes=12 * GB, temporary=True),
                slot("copy", retained_bytes=12 * GB, synced=True),
                slot("copy2", wal_status="lost", synced=True),
            ),
            Trouble.WELL,
            "",
        ),
        (
            standing(outlook=Outlook(overdue=("nightly", "wal"))),
            Trouble.WARN,
            "drill overdue: nightly and 1 more",
        ),
    ],
)
def test_the_reason_is_one_sentence(seen: Standing, trouble: Trouble, said: str) -> None:
    assert (seen.trouble, overview.reason(seen)) == (trouble, said)


def test_a_failure_is_said_with_its_age_and_the_last_figures_stay() -> None:
    problem = Problem(kind="silent", message="shop did not answer pulse in time", since=datetime.now(UTC))
    seen = standing(problem=problem, silent=64.0)
    assert overview.reason(seen) == "no answer for 1m00: shop did not answer pulse in time"
    (line,) = overview.lines([seen])
    assert line.cells[5] == "5/97"
    assert line.tone == "muted"


@pytest.mark.parametrize(
    ("kind", "message", "trouble", "said"),
    [
        (
            "unreachable",
            "shop (db1:5432) cannot be reached: refused",
            Trouble.BAD,
            "cannot be reached: refused, for 10s",
        ),
        (
            "tls",
            "shop (db1:5432): the TLS handshake failed: certificate has expired",
            Trouble.BAD,
            "the TLS handshake failed: certificate has expired, for 10s",
        ),
        (
            "login",
            "shop: db1:5432 refused the login of m: no",
            Trouble.BAD,
            "refused the login of m: no, for 10s",
        ),
        ("secrets", "the keyring is locked", Trouble.UNKNOWN, "the keyring is locked"),
        ("config", "the environment has no PW", Trouble.UNKNOWN, "the environment has no PW"),
    ],
)
def test_a_line_says_first_why_nothing_is_known(kind: str, message: str, trouble: Trouble, said: str) -> None:
    """At 80 columns only "no answer for 10s: shop (db1:54" was seen; and who refuses has answered."""
    problem = Problem(kind=kind, message=message, since=datetime.now(UTC))
    seen = standing(problem=problem, silent=12.0, address="db1:5432")
    assert (seen.trouble, overview.reason(seen)) == (trouble, said)


def test_a_missing_privilege_is_unknown_and_no_zero() -> None:
    problem = Problem(kind="privilege", message="no privilege to read pulse", hint="GRANT pg_monitor TO dim;")
    seen = standing(None, problem=problem)
    assert seen.trouble is Trouble.UNKNOWN
    assert overview.reason(seen).endswith("GRANT pg_monitor TO dim;")
    (line,) = overview.lines([with_pulse(waiting=None, connections=None, unknown=("who waits: …",))])
    assert line.cells[3] == "?"
    assert line.cells[5] == "?/97"
    (row,) = overview.document([with_pulse(waiting=None)])
    assert row["waiting"] is None


def test_severity_is_a_shape_and_a_word() -> None:
    seen = [with_pulse(), with_pulse(connections=85), with_pulse(connections=97), standing(None)]
    assert [line.cells[1] for line in overview.lines(seen)] == ["● well", "▲ warning", "■ BAD", "? unknown"]


def test_the_worst_comes_first_and_the_rest_stays_as_in_the_config() -> None:
    names = [
        msgspec.structs.replace(one, name=name)
        for name, one in zip(
            "abcd", [with_pulse(), with_pulse(connections=97), standing(None), with_pulse()], strict=True
        )
    ]
    assert [one.name for one in by_trouble(names)] == ["b", "c", "a", "d"]


@given(st.lists(st.integers(0, 500), min_size=1, max_size=60))
def test_the_last_minutes_are_the_most_of_each_bucket(waits: list[int]) -> None:
    track = Track()
    for place, waiting in enumerate(waits):
        track.add(msgspec.structs.replace(WELL, at=float(place), waiting=waiting), place * BUCKET_SECONDS / 2)
    pairs = [float(max(waits[at : at + 2])) for at in range(0, len(waits), 2)]
    assert track.series()["waits"] == tuple(pairs[-BUCKETS:])


def test_time_that_nobody_looked_at_is_blank_and_not_zero() -> None:
    track = Track()
    track.add(WELL, 0.0)
    track.add(msgspec.structs.replace(WELL, at=50.0), 3 * BUCKET_SECONDS)
    assert track.series()["waits"] == (0, None, None, 0)


def test_our_own_polls_do_not_look_like_work() -> None:
    track = Track()
    for place in range(12):
        track.add(
            msgspec.structs.replace(WELL, at=place * 15.0, work={"1": place * 30 + place % 3}), place * 15.0
        )
    seen = standing(series=track.series(), rates=track.rates)
    (line,) = overview.lines([seen])
    assert line.cells[8] == "▁" * 8
    assert line.cells[7] == "<10"


def test_the_lag_of_a_replica_that_has_stopped_is_unknown_and_not_none() -> None:
    seen = with_pulse(halted="replication does not run")
    assert overview.lag(seen) == "?"
    assert overview.lag(with_pulse()) == ""
    (row,) = overview.document([seen])
    assert row["halted"] == "replication does not run"


@pytest.mark.parametrize(
    ("waiting", "said"),
    [
        (1, "1 session waits for a lock"),
        (0, "0 sessions wait for a lock"),
        (None, "? sessions wait for a lock"),
    ],
)
def test_who_waits_is_counted_in_the_details(waiting: int | None, said: str) -> None:
    assert dict(overview.details(with_pulse(waiting=waiting)))["waits"] == said
