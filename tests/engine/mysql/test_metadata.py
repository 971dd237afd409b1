"""Metadata locks: who waits for whom, by the servers' matrices."""

from __future__ import annotations

from typing import Any

from console.engine.mysql import metadata
from console.engine.mysql.rows import Transaction
from console.model.locks import WaitGraph, wait_graph


def row(session: int, mode: str, status: str = "GRANTED", **over: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "type": "TABLE",
        "table_schema": "shop",
        "table_name": "orders",
        "mode": mode,
        "status": status,
        "session_id": session,
    }
    return base | over


def graph(*rows: dict[str, Any]) -> WaitGraph:
    """Waiters arrive in the order of their session numbers."""
    claims = [metadata.claim(one, one["session_id"], 1.7e9 + one["session_id"]) for one in rows]
    return wait_graph(claims, metadata.conflicts(rows))


def blockers(found: WaitGraph, session: int) -> tuple[set[int], set[int]]:
    """(hard, soft)"""
    bit = found.ids.index(session)
    return tuple(  # type: ignore[return-value]
        {other for place, other in enumerate(found.ids) if side.get(bit, 0) >> place & 1}
        for side in (found.hard, found.soft)
    )


def test_a_ddl_behind_an_idle_reader_stops_later_readers() -> None:
    found = graph(
        row(1, "SHARED_READ"),
        row(2, "SHARED_UPGRADABLE"),
        row(2, "EXCLUSIVE", "PENDING"),
        row(3, "SHARED_READ", "PENDING"),
    )
    assert blockers(found, 2) == ({1}, set())
    assert blockers(found, 3) == (set(), {2})


def test_priority_goes_before_arrival() -> None:
    """The reader came first and waits for the lock of 1; the DDL that came later goes before it."""
    found = graph(
        row(1, "SHARED_NO_READ_WRITE"),
        row(2, "SHARED_READ", "PENDING"),
        row(3, "EXCLUSIVE", "PENDING"),
    )
    assert blockers(found, 2) == ({1}, {3})
    assert blockers(found, 3) == ({1}, set())


def test_two_exclusive_requests_do_not_wait_for_each_other() -> None:
    found = graph(row(1, "SHARED_READ"), row(2, "EXCLUSIVE", "PENDING"), row(3, "EXCLUSIVE", "PENDING"))
    assert blockers(found, 3) == ({1}, set())


def test_a_high_priority_request_passes_the_queue() -> None:
    found = graph(row(1, "EXCLUSIVE"), row(2, "EXCLUSIVE", "PENDING"), row(3, "SHARED_HIGH_PRIO", "PENDING"))
    assert blockers(found, 3) == ({1}, set())


def test_the_global_read_lock_of_mysql() -> None:
    where: dict[str, Any] = {"type": "GLOBAL", "table_schema": None, "table_name": None}
    found = graph(row(1, "SHARED", **where), row(2, "INTENTION_EXCLUSIVE", "PENDING", **where))
    assert blockers(found, 2) == ({1}, set())


def test_intention_locks_of_a_scope_are_compatible_and_object_locks_are_not_mixed_in() -> None:
    where: dict[str, Any] = {"type": "SCHEMA", "table_name": None}
    found = graph(
        row(1, "INTENTION_EXCLUSIVE", **where),
        row(2, "EXCLUSIVE", "PENDING", **where),
        row(3, "INTENTION_EXCLUSIVE", "PENDING", **where),
    )
    assert blockers(found, 2) == ({1}, set())
    assert blockers(found, 3) == (set(), {2})


def test_the_backup_lock_of_mariadb() -> None:
    where: dict[str, Any] = {"type": "BACKUP", "table_schema": None, "table_name": None}
    found = graph(
        row(1, "BACKUP_DDL", **where),
        row(2, "BACKUP_FTWRL1", "PENDING", **where),
        row(3, "BACKUP_TRANS_DML", "PENDING", **where),
        row(4, "BACKUP_COMMIT", "PENDING", **where),
    )
    assert blockers(found, 2) == ({1}, set())
    assert blockers(found, 3) == (set(), {2})
    assert blockers(found, 4) == (set(), set())


def test_a_type_of_a_newer_server_waits_for_every_holder() -> None:
    found = graph(row(1, "SHARED_READ"), row(2, "SHARED_SOMETHING_NEW", "PENDING"))
    assert blockers(found, 2) == ({1}, set())


def test_what_each_session_waits_for_or_holds() -> None:
    rows = [
        row(1, "SHARED_READ"),
        row(2, "SHARED_UPGRADABLE"),
        row(2, "EXCLUSIVE", "PENDING"),
        row(3, "SHARED_READ", "PENDING"),
    ]
    waits = metadata.waits(rows, {1: 99.0, 2: 5.0, 3: 4.0})
    assert {key: (one.mode, one.seconds) for key, one in waits.items()} == {
        1: ("SHARED_READ", None),
        2: ("EXCLUSIVE", 5.0),
        3: ("SHARED_READ", 4.0),
    }
    assert waits[1].object == "shop.orders (metadata)"


def test_objects_in_words() -> None:
    where: dict[str, Any] = {"table_schema": None, "table_name": None}
    assert metadata.describe(row(1, "SHARED", type="GLOBAL", **where)) == "global read lock"
    assert metadata.describe(row(1, "SHARED", type="BACKUP LOCK", **where)) == "backup lock"
    assert metadata.describe(row(1, "SHARED", type="COMMIT", **where)) == "commit lock"
    assert metadata.describe(row(1, "EXCLUSIVE", type="SCHEMA", table_name=None)) == "schema shop"
    user_lock = row(1, "EXCLUSIVE", type="USER LEVEL LOCK", table_schema="", table_name="nightly")
    assert metadata.describe(user_lock) == "user lock 'nightly'"


def test_a_thread_of_the_server_in_the_queue_is_named_and_not_hidden() -> None:
    thread = row(
        0, "SHARED", "PENDING", session_id=None, thread_id=27, thread="thread/innodb/dict_stats_thread"
    )
    rows = [row(2, "EXCLUSIVE", "PENDING"), metadata.owned(thread, ())]
    (session,) = metadata.threads(rows).values()
    assert (session.kind, session.visible, session.key) == ("dict_stats_thread", True, None)
    assert session.protection is not None
    (node,) = metadata.threads(rows)
    assert node < 0
    assert metadata.waits(rows, {})[node].mode == "SHARED"


def test_a_lock_without_a_thread_is_the_prepared_transactions() -> None:
    ownerless = row(0, "SHARED_WRITE", session_id=None, thread_id=None)
    assert metadata.owned(ownerless, (-77,))["session_id"] == -77
    assert metadata.owned(ownerless, (-77, -78))["session_id"] is None
    assert metadata.owned(ownerless, ())["session_id"] is None
    assert metadata.threads([metadata.owned(ownerless, (-77,))]) == {}


def test_prepared_transactions_are_suspects_where_a_holder_is_in_no_transaction() -> None:
    own = Transaction(id=5, session=5, waiting=False, started=0.0, seconds=1.0)
    mine, idle = row(5, "SHARED_WRITE", thread_id=1), row(9, "SHARED_WRITE", thread_id=2)
    nobody = row(0, "SHARED_WRITE", session_id=None, thread_id=None)
    assert metadata.suspects([mine], [own], (-77,)) == frozenset()
    assert metadata.suspects([mine, idle], [own], (-77,)) == {-77}
    assert metadata.suspects([nobody], [own], (-77, -78)) == {-77, -78}
    assert metadata.suspects([nobody], [own], ()) == frozenset()
