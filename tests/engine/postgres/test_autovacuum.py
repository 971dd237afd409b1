"""Why a table is not looked after, and why autovacuum does not keep up: each sentence from its facts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from console.engine.postgres.autovacuum import Blocked, Scene, Settings, holder_words, server_why, table_why
from console.engine.postgres.table_rows import Limits
from console.model.horizon import Holder, HolderKind
from console.model.sessions import Session, State
from console.model.tables import Table, TableKind

EARLY, LATE = datetime(2026, 1, 1, 8, tzinfo=UTC), datetime(2026, 1, 1, 9, tzinfo=UTC)
LIMITS = Limits(vacuum_at=50)
DUE = Limits(vacuum_at=50, due=True)
READER = Session(
    id=7, started_at=EARLY, user="bi", application="report", state=State.IDLE_IN_TRANSACTION,
    transaction_started_at=EARLY,
)  # fmt: skip
OLD = Holder(kind=HolderKind.SNAPSHOT, name="session 7", age=5000, session=READER)
SLOT = Holder(kind=HolderKind.SLOT, name="cdc", age=9000)


def worker(number: int, wait: str | None = None) -> Session:
    return Session(id=number, started_at=EARLY, kind="autovacuum worker", wait=wait)


def table(**over: Any) -> Table:
    return msgspec.structs.replace(
        Table(schema="s", name="t", number=1, dead=100, vacuum_at=50, vacuumed_at=LATE), **over
    )


def test_a_table_in_order_has_no_why() -> None:
    assert table_why(table(dead=10), LIMITS, [OLD], Scene()) == ""


def test_a_vacuum_that_waits_comes_before_everything_else() -> None:
    scene = Scene(blocked=[Blocked(session=worker(9), relation=1, by=(4, 5, 6, 7))])
    why = table_why(table(), DUE, [OLD], scene)
    assert why == "autovacuum (session 9) waits for a lock on it, behind session 4, 5, 6 and 1 more"
    by_hand = Scene(blocked=[Blocked(session=Session(id=3, started_at=None), relation=1)])
    assert table_why(table(), DUE, [], by_hand) == "a vacuum (session 3) waits for a lock on it"
    assert "waits for a lock" not in table_why(table(number=2), DUE, [], scene)


def test_a_holder_that_began_before_the_last_vacuum_pins() -> None:
    why = table_why(table(), DUE, [OLD], Scene())
    assert why == (
        "session 7 (bi, report, idle in transaction) holds the horizon since before its last vacuum: "
        "its dead rows stay"
    )
    assert "horizon" not in table_why(table(vacuumed_at=EARLY), DUE, [OLD], Scene())
    assert "horizon" not in table_why(table(vacuumed_at=None), DUE, [OLD], Scene())


def test_of_a_slot_it_is_only_likely() -> None:
    assert table_why(table(), DUE, [SLOT], Scene()) == (
        "replication slot cdc holds the horizon, and may keep what its last vacuum left"
    )


def test_what_is_switched_off_is_named() -> None:
    off = Scene(settings=Settings(autovacuum=False))
    assert table_why(table(), DUE, [], off) == "autovacuum is off on this server (autovacuum = off)"
    assert table_why(table(dead=0), LIMITS, [], off) == ""
    blind = Scene(settings=Settings(track_counts=False))
    assert "track_counts" in table_why(table(), DUE, [], blind)
    own = Limits(vacuum_at=50, enabled=False)
    assert table_why(table(dead=0), own, [], Scene()) == "autovacuum is off for it (autovacuum_enabled)"


def test_one_that_is_due_waits_its_turn() -> None:
    assert table_why(table(), DUE, [], Scene()) == "it is due: autovacuum has not come to it yet"
    busy = Scene(workers=[worker(1), worker(2), worker(3)])
    assert table_why(table(), DUE, [], busy) == "it is due, and all 3 autovacuum workers are busy"
    assert table_why(table(busy=9), DUE, [], busy) == ""


def test_a_high_threshold_is_told_when_much_is_dead() -> None:
    limits = Limits(vacuum_at=2_000_000)
    assert table_why(table(dead=1_000_000), limits, [], Scene()) == (
        "its threshold is not reached: autovacuum comes at 2,000,000 dead rows"
    )
    assert table_why(table(dead=9_999), limits, [], Scene()) == ""


def test_a_partitioned_table_is_never_analysed_by_autovacuum() -> None:
    parent = table(kind=TableKind.PARTITIONED, stale_statistics=True)
    assert "table.analyze table=" in table_why(parent, Limits(), [], Scene())
    assert table_why(msgspec.structs.replace(parent, stale_statistics=False), Limits(), [], Scene()) == ""


def test_holders_are_named_as_people_know_them() -> None:
    assert holder_words(Holder(kind=HolderKind.STANDBY, name="db3")) == "standby db3"
    assert holder_words(Holder(kind=HolderKind.PREPARED, name="gid 1")) == "prepared transaction gid 1"
    assert holder_words(Holder(kind=HolderKind.TRANSACTION, name="session 5")) == "session 5"


def test_the_server_that_keeps_up_has_no_why() -> None:
    assert server_why(Scene(workers=[worker(1)], due=4), [(table(dead=3), [OLD])]) == ""
    assert server_why(Scene(), []) == ""


def test_autovacuum_off_is_the_first_reason() -> None:
    scene = Scene(settings=Settings(autovacuum=False), due=9, workers=[worker(1)])
    assert server_why(scene, [(table(), [OLD])]).startswith("autovacuum is off on this server")


def test_the_oldest_holder_is_named_with_how_much_it_pins() -> None:
    older = msgspec.structs.replace(OLD, name="session 8", age=60_000)
    why = server_why(Scene(), [(table(), [OLD]), (table(number=2), [older]), (table(dead=1), [OLD])])
    assert why == (
        "session 8 (bi, report, idle in transaction), 60,000 transactions old, holds the horizon: "
        "dead rows of 2 tables cannot go"
    )


def test_a_blocked_worker_is_named_with_who_blocks_it() -> None:
    scene = Scene(blocked=[Blocked(session=worker(9), relation=1, by=(4,))], names={1: "s.t"})
    assert server_why(scene, []) == "autovacuum (session 9) waits for a lock on s.t, behind session 4"
    two = msgspec.structs.replace(scene, blocked=[*scene.blocked, *scene.blocked], names={})
    assert server_why(two, []).endswith("relation 1, behind session 4; 1 more wait")


def test_too_few_workers_are_told_with_what_slows_them() -> None:
    slow = [worker(n, "Timeout/VacuumDelay") for n in (1, 2)]
    scene = Scene(workers=[*slow, worker(3)], due=12, settings=Settings(cost_limit=200, cost_delay="2ms"))
    assert server_why(scene, []) == (
        "all 3 autovacuum workers are busy and 12 tables wait; "
        "the cost limit slows 2 of them (limit 200 shared by all, delay 2ms)"
    )
    quick = msgspec.structs.replace(scene, workers=[worker(n) for n in (1, 2, 3)], due=1)
    assert server_why(quick, []) == "all 3 autovacuum workers are busy and 1 table wait"


def test_the_settings_of_vacuum_hold_where_autovacuum_has_none() -> None:
    row = {
        "autovacuum": True, "track_counts": True, "workers": 5, "cost_limit": 300,
        "cost_delay": "-1", "vacuum_cost_delay": "10ms",
    }  # fmt: skip
    assert Settings.of(row) == Settings(workers=5, cost_limit=300, cost_delay="10ms")
