"""Sessions and transactions from rows."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from console.engine.mysql import rows as to
from console.engine.mysql import xa
from console.model.sessions import Protection, State

STARTED = datetime(2026, 11, 1, tzinfo=UTC)


def row(**over: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "id": 42,
        "thread": "thread/sql/one_connection",
        "user": "shop",
        "host": "10.0.0.7",
        "db": "orders",
        "command": "Query",
        "state": "updating",
        "seconds": 3,
        "statement_seconds": Decimal("2.750000"),
        "query_id": 977,
        "query": "update orders set paid = 1",
        "application": "billing",
        "clock": Decimal("1000.5"),
    }
    return base | over


def mariadb(**over: Any) -> dict[str, Any]:
    return row(thread=None, statement_seconds=None, application=None, seconds=Decimal("3.25")) | over


def a_transaction(**over: Any) -> to.Transaction:
    base: dict[str, Any] = {"id": 9, "session": 42, "waiting": False, "started": 990.0, "seconds": 10.5}
    return to.Transaction(**base | over)


def server(*transactions: to.Transaction, **over: Any) -> to.Server:
    return to.Server(started_at=STARTED, transactions={one.session: one for one in transactions}, **over)


def test_a_running_statement() -> None:
    session = to.session(row(), server())
    assert session.state is State.ACTIVE
    assert (session.id, session.started_at, session.query_id) == (42, STARTED, 977)
    assert (session.query_seconds, session.state_seconds) == (2.75, 3.0)
    assert session.wait == "updating"
    assert session.kind == "client backend"
    assert session.protection is None
    assert session.transaction_seconds is None


def test_the_coarse_clock_where_the_statement_has_none() -> None:
    assert to.session(mariadb(), server()).query_seconds == 3.25


def test_an_idle_session_shows_its_last_statement_and_no_query_id() -> None:
    session = to.session(row(command="Sleep", state=""), server())
    assert session.state is State.IDLE
    assert session.query == "update orders set paid = 1"
    assert (session.query_id, session.query_seconds, session.wait) == (None, None, None)


def test_idle_with_an_open_transaction() -> None:
    session = to.session(row(command="Sleep"), server(a_transaction(rows_modified=7)))
    assert session.state is State.IDLE_IN_TRANSACTION
    assert (session.transaction_seconds, session.rows_modified) == (10.5, 7)
    assert session.transaction_started_at == datetime.fromtimestamp(990, UTC)


def test_waiting_for_a_row_is_said_by_the_transaction() -> None:
    session = to.session(row(), server(a_transaction(waiting=True)))
    assert session.wait == to.ROW_LOCK
    assert to.waits_for_lock(session)


@pytest.mark.parametrize(
    ("state", "waits"),
    [
        ("Waiting for table metadata lock", True),
        ("Waiting for global read lock", True),
        ("Waiting for backup lock", True),
        ("Waiting for table flush", True),
        ("Waiting for table level lock", True),
        ("User lock", True),
        ("Waiting for query cache lock", False),
        ("Waiting for GTID to be committed", False),
        ("User sleep", False),
        ("Sending data", False),
    ],
)
def test_which_states_are_lock_waits(state: str, waits: bool) -> None:
    assert to.waits_for_lock(to.session(row(state=state), server())) is waits


@pytest.mark.parametrize(
    ("found", "protection", "state"),
    [
        (row(application="dbdeck"), Protection.OWN, State.ACTIVE),
        (row(application="dbdeck operator ann@ops"), Protection.OWN, State.ACTIVE),
        (row(command="Binlog Dump GTID"), Protection.WALSENDER, State.BACKGROUND),
        (row(thread="thread/sql/replica_worker", user="system user"), Protection.REPLICA, State.BACKGROUND),
        (row(thread="thread/sql/slave_io", user="system user"), Protection.REPLICA, State.BACKGROUND),
        (row(thread="thread/group_rpl/THD_applier_module"), Protection.REPLICA, State.BACKGROUND),
        (row(thread="thread/sql/event_scheduler", command="Daemon"), Protection.SERVER, State.BACKGROUND),
        (row(thread="thread/sql/compress_gtid_table", user=None), Protection.SERVER, State.BACKGROUND),
        (row(thread="thread/sql/event_worker"), None, State.ACTIVE),
        (
            row(thread="thread/sql/event_worker", user="event_scheduler", command="Connect"),
            None,
            State.ACTIVE,
        ),
        (row(thread="thread/thread_pool/tp_one_connection"), None, State.ACTIVE),
        (row(application="mysqldump"), Protection.BACKUP, State.ACTIVE),
        (row(application="MariaBackup"), Protection.BACKUP, State.ACTIVE),
        (mariadb(user="system user", command="Slave_SQL"), Protection.REPLICA, State.BACKGROUND),
        (mariadb(user="system user", command="Sleep"), Protection.REPLICA, State.BACKGROUND),
        (mariadb(user="system user", command="Daemon"), Protection.SERVER, State.BACKGROUND),
        (mariadb(user="event_scheduler", command="Daemon"), Protection.SERVER, State.BACKGROUND),
        (mariadb(), None, State.ACTIVE),
    ],
)
def test_protected_classes(found: dict[str, Any], protection: Protection | None, state: State) -> None:
    session = to.session(found, server())
    assert (session.protection, session.state) == (protection, state)


def test_our_own_connections_are_known_by_number_where_names_are_not_visible() -> None:
    assert to.session(mariadb(), server(own={42})).protection is Protection.OWN
    assert to.session(mariadb(), server(applications={42: "mysqldump"})).protection is Protection.BACKUP


def test_a_port_is_not_part_of_the_client() -> None:
    assert to.session(mariadb(host="10.0.0.7:51234"), server()).client == "10.0.0.7"


def test_nonsense_ages_of_replica_threads_are_not_negative() -> None:
    assert to.session(row(seconds=-3), server()).state_seconds == 0.0


def test_a_replica_thread_that_waits_for_a_lock_waits() -> None:
    held = row(thread="thread/sql/replica_worker", state="Waiting for table metadata lock")
    assert to.waits_for_lock(to.session(held, server()))
    fetching = row(thread="thread/sql/replica_io", state="Waiting for source to send event")
    assert not to.waits_for_lock(to.session(fetching, server()))


def test_a_transaction_without_a_session_is_a_negative_node() -> None:
    found = to.transaction(
        {
            "trx_id": 2999,
            "session_id": 0,
            "state": "RUNNING",
            "started": Decimal("990.000000"),
            "wait_started": None,
            "lock_id": None,
            "rows_modified": 1,
            "rows_locked": 2,
            "isolation": "REPEATABLE READ",
            "clock": Decimal("1000.5"),
        }
    )
    assert (found.node, found.seconds, found.waiting) == (-2999, 10.5, False)
    session = xa.node(found, xa.Names(free=("'gid','b'",)))
    assert (session.id, session.state, session.prepared) == (0, State.PREPARED, "'gid','b'")


def test_xids_as_xa_rollback_takes_them() -> None:
    hexed = {"formatID": 1, "gtrid_length": 4, "bqual_length": 2, "data": "0x676964316231"}
    assert xa.xid(hexed) == "X'67696431',X'6231',1"
    assert xa.xid(hexed | {"data": "'gid1','b1'"}) == "'gid1','b1'"


def test_an_xid_is_sure_only_where_there_is_one() -> None:
    assert xa.which_xid([]) is None
    assert xa.which_xid(["'a'"]) == "'a'"
    assert xa.which_xid(["'b'", "'a'"]) == "one of 'a'; 'b'"


def test_an_account_as_grant_takes_it() -> None:
    assert to.account_literal("mon@%") == "'mon'@'%'"
    assert to.account_literal("o'hara@x@10.%") == "'o''hara@x'@'10.%'"


def test_a_transaction_that_the_sessions_do_not_bear_out() -> None:
    """InnoDB's tables are a cache: a session that is gone or asleep does not wait."""
    found = [a_transaction(id=n, session=n, waiting=True) for n in (1, 2, 3)]
    found.append(a_transaction(id=4, session=0))
    kept = to.current(found, [row(id=1), row(id=2, command="Sleep")])
    assert [(one.id, one.waiting) for one in kept] == [(1, True), (2, False), (4, False)]
