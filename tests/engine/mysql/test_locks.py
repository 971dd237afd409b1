"""Row locks and table flushes."""

from __future__ import annotations

from typing import Any

import pytest

from console.engine.mysql import locks
from console.engine.mysql.rows import TABLE_FLUSH, Transaction
from console.model.sessions import Session, State


def transaction(number: int, **over: Any) -> Transaction:
    base: dict[str, Any] = {"id": number, "session": number, "waiting": False, "started": 0.0, "seconds": 1.0}
    return Transaction(**base | over)


@pytest.mark.parametrize(
    ("request_", "held", "waits"),
    [
        ("X", "X", True),
        ("S", "S", False),
        ("S", "X,REC_NOT_GAP", True),
        ("X,REC_NOT_GAP", "X,REC_NOT_GAP", True),
        ("X,REC_NOT_GAP", "X,GAP", False),
        ("X,GAP", "X", False),
        ("X,GAP,INSERT_INTENTION", "X,GAP", True),
        ("X,GAP,INSERT_INTENTION", "X", True),
        ("X,GAP,INSERT_INTENTION", "X,REC_NOT_GAP", False),
        ("X", "X,GAP,INSERT_INTENTION", False),
        ("IX", "IX", False),
        ("IX", "S", True),
        ("AUTO_INC", "AUTO_INC", True),
        ("SOMETHING_NEW", "X", True),
    ],
)
def test_which_locks_wait_for_which(request_: str, held: str, waits: bool) -> None:
    assert locks.must_wait(request_, held) is waits


def mysql_row(trx: int, **over: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "lock_id": f"93826097041392:{trx}:2:4:5:93826070976032",
        "trx_id": trx,
        "table_schema": "shop",
        "table_name": "orders",
        "partition_name": None,
        "index_name": "PRIMARY",
        "type": "RECORD",
        "mode": "X,REC_NOT_GAP",
        "data": "42",
    }
    return base | over


CLOCK = locks.Clock(now=110.5, statements={2: 101.25, 3: 101.5, 4: 50.5})


def test_waiters_of_one_second_are_ordered_by_their_statements() -> None:
    owners = {n: transaction(n, waiting=True, wait_started=101.0) for n in (2, 3, 4)}
    found = locks.requested([mysql_row(3), mysql_row(2), mysql_row(4)], owners, CLOCK)
    since = {lock.node: lock.since for lock in found}
    # 4 runs a long statement: the second its wait began in is all that is known.
    assert since == {2: 101.25, 3: 101.5, 4: 101.0}
    assert {lock.node: lock.seconds for lock in found} == {2: 9.25, 3: 9.0, 4: 9.5}


def test_the_same_record_is_one_object_for_every_transaction() -> None:
    owners = {n: transaction(n, waiting=True) for n in (2, 3)}
    older = mysql_row(3, lock_id="140:2:4:5:77")  # MySQL 8: the transaction takes one place
    first, second = locks.requested([mysql_row(2), older], owners, CLOCK)
    assert first.object == second.object == ("2", "4", "5")
    table = mysql_row(2, type="TABLE", lock_id="93826097040584:342:1064:93826071065120")
    assert locks.requested([table], owners, CLOCK)[0].object == ("1064",)


def test_a_transaction_that_ended_meanwhile_is_tolerated() -> None:
    assert locks.requested([mysql_row(2)], {}, CLOCK) == []


def test_two_waiters_of_a_record_and_mode_are_asked_about() -> None:
    owners = {n: transaction(n, waiting=True, wait_started=100.0 + n) for n in range(2, 9)}
    rows = [mysql_row(n) for n in (8, 3, 2, 5)] + [mysql_row(7, mode="S,REC_NOT_GAP")]
    asked = locks.to_ask_about(locks.requested(rows, owners, locks.Clock(now=200.0, statements={})))
    assert asked == [mysql_row(n)["lock_id"] for n in (2, 3, 7)]


def test_holders_are_found_by_transaction_and_else_by_thread() -> None:
    owners = {2: transaction(2, waiting=True), 1: transaction(1, session=0)}
    waiting = locks.requested([mysql_row(2)], owners, CLOCK)
    rows = [
        {"waiter": waiting[0].lock_id, "trx_id": 1, "session_id": 77, "mode": "X"},
        {"waiter": waiting[0].lock_id, "trx_id": 555, "session_id": 78, "mode": "S"},
        {"waiter": waiting[0].lock_id, "trx_id": 556, "session_id": None, "mode": "S"},
    ]
    assert [lock.node for lock in locks.held(rows, waiting, owners)] == [-1, 78, locks.UNKNOWN]


def mariadb_row(trx: int, **over: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "lock_id": f"{trx}:5:3:5",
        "trx_id": trx,
        "mode": "X",
        "type": "RECORD",
        "table_name": "`shop`.`ord``ers` /* Partition `p0` */",
        "index_name": "PRIMARY",
        "space": 5,
        "page": 3,
        "record": 5,
        "data": "42",
    }
    return base | over


def test_mariadb_shows_waiting_and_blocking_locks_in_one_table() -> None:
    owners = [transaction(1), transaction(2, waiting=True, lock_id="2:5:3:5", wait_started=101.0)]
    waiter, holder = locks.mariadb_locks([mariadb_row(1), mariadb_row(2)], owners, CLOCK)
    assert (holder.granted, waiter.granted) == (True, False)
    assert holder.object == waiter.object
    assert waiter.place == "shop.ord`ers partition p0 index PRIMARY (42)"
    assert waiter.since == 101.25


def test_a_waiting_gap_lock_of_mariadb_is_an_insert_intention() -> None:
    owners = [transaction(1), transaction(2, waiting=True, lock_id="2:5:3:5")]
    rows = [mariadb_row(1, mode="X,GAP"), mariadb_row(2, mode="X,GAP")]
    found = locks.mariadb_locks(rows, owners, CLOCK)
    assert locks.conflicts(found)["row X,GAP,INSERT_INTENTION"] == {"row X,GAP"}
    assert found[0].mode == "X,GAP"


def nameless(session: int, **over: Any) -> Transaction:
    return transaction(0, **({"session": session, "rows_locked": 1} | over))


def test_a_reader_of_mariadb_is_known_as_holder_where_it_is_the_only_one() -> None:
    writer = transaction(2, waiting=True, lock_id="2:5:3:5")
    rows = [mariadb_row(0, mode="S"), mariadb_row(2)]
    bystander = nameless(8, rows_locked=0)
    found = locks.mariadb_locks(rows, [nameless(7), bystander, writer], CLOCK)
    assert [(lock.node, lock.granted) for lock in found] == [(2, False), (7, True)]

    found = locks.mariadb_locks(rows, [nameless(7), nameless(9), writer], CLOCK)
    assert [(lock.node, lock.granted) for lock in found] == [(2, False), (locks.UNKNOWN, True)]
    assert found[1].place.endswith("held by one of 7, 9")
    assert found[1].suspects == (7, 9)


def test_a_reader_of_mariadb_that_waits_may_hold_what_it_read_before() -> None:
    writer = transaction(2, waiting=True, lock_id="2:5:3:5")
    rows = [mariadb_row(0, mode="S"), mariadb_row(2)]
    waiting = nameless(7, waiting=True, lock_id="0:5:3:9", rows_locked=2)
    found = locks.mariadb_locks(rows, [waiting, nameless(9), writer], CLOCK)
    assert found[1].suspects == (7, 9)
    only_waits = nameless(7, waiting=True, lock_id="0:5:3:9", rows_locked=1)
    found = locks.mariadb_locks(rows, [only_waits, nameless(9), writer], CLOCK)
    assert [(lock.node, lock.suspects) for lock in found if lock.granted] == [(9, ())]


def test_readers_of_mariadb_that_wait_are_not_dropped() -> None:
    waiting = [nameless(n, waiting=True, lock_id="0:5:3:5") for n in (7, 8)]
    rows = [mariadb_row(0, mode="S"), mariadb_row(1)]
    found = locks.mariadb_locks(rows, [*waiting, transaction(1)], CLOCK)
    assert [(lock.node, lock.granted) for lock in found] == [(7, False), (8, False), (1, True)]

    writer = transaction(2, waiting=True, lock_id="2:5:3:5")
    rows = [mariadb_row(0, mode="S"), mariadb_row(2)]
    found = locks.mariadb_locks(rows, [*waiting, writer, nameless(6)], CLOCK)
    assert [lock.node for lock in found if lock.granted] == [6]


def test_a_key_that_is_not_in_memory_is_left_out() -> None:
    assert locks.describe(mysql_row(1, data=None)) == "shop.orders index PRIMARY"
    assert locks.describe(mysql_row(1, data=None, index_name=None)) == "shop.orders"


def session(number: int, **over: Any) -> Session:
    base: dict[str, Any] = {"id": number, "started_at": None, "state": State.ACTIVE, "query_seconds": 1.0}
    return Session(**base | over)


def flush_row(kind: str, number: int, table: str = "orders") -> dict[str, Any]:
    return {"kind": kind, "table_schema": "shop", "table_name": table, "session_id": number}


def test_a_flush_waits_for_the_old_statement_and_nobody_waits_for_the_flush() -> None:
    sessions = [
        session(1, query_seconds=60.0),
        session(2, query_seconds=20.0, wait=TABLE_FLUSH),
        session(3, query_seconds=10.0, wait=TABLE_FLUSH),
        session(4, query_seconds=5.0),
        session(5, state=State.IDLE, query_seconds=None, state_seconds=30.0),
    ]
    rows = [
        flush_row("open", 1),
        flush_row("wanted", 3),
        flush_row("open", 4, "items"),
        flush_row("open", 5, "items"),
        flush_row("open", 99),
    ]
    edges, waits = locks.flush_edges(rows, sessions)
    assert {(edge.waiter, edge.blocker) for edge in edges} == {(2, 1), (2, 5), (3, 1)}
    assert all(edge.hard for edge in edges)
    assert waits[2].object == "table flush of shop.items, shop.orders"
    assert (waits[3].object, waits[3].seconds) == ("table flush of shop.orders", 10.0)
    assert waits[1].object == "shop.orders (open)"


def test_each_session_is_timed_when_its_row_was_made() -> None:
    rows = [{"clock": 100.0}, {"clock": 100.2}, {"clock": 100.3}]
    sessions = [session(1, query_seconds=5.0), session(2, query_seconds=5.1), session(3, query_seconds=None)]
    found = locks.clock(rows, sessions)
    assert found.now == 100.3
    assert found.statements == {1: 95.0, 2: pytest.approx(95.1)}
    assert found.seconds == {1: pytest.approx(5.3), 2: pytest.approx(5.2)}
