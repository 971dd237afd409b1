"""What is not asked of servers that could hang on it, and locks that MariaDB shows as they were."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from console.engine.mysql import metadata
from console.engine.mysql.graph import too_many_locks, unread
from console.engine.mysql.locks import UNKNOWN, Clock
from console.engine.mysql.look import Seen
from console.engine.mysql.rows import Transaction
from console.model.locks import Edge
from console.model.target import ServerIdentity

BOOT = datetime(2026, 11, 21, tzinfo=UTC)


def seen(version: int, *transactions: Transaction) -> Seen:
    identity = ServerIdentity(
        flavor="mysql",
        version="8.0.36",
        version_num=version,
        system_id="x",
        started_at=BOOT,
        primary=True,
        tls="off",
    )
    clock = Clock(now=1010.0, statements={})
    return Seen(identity=identity, sessions=(), transactions=transactions, clock=clock)


HOLDER = Transaction(id=1, session=5, waiting=False, started=900.0, seconds=110.0, rows_locked=2_000_000)
WAITER = Transaction(id=2, session=6, waiting=True, started=990.0, seconds=20.0, wait_started=1000.0)


@pytest.mark.parametrize(
    ("version", "rows", "expected"), [(80036, 2_000_000, True), (80037, 2_000_000, False), (80036, 10, False)]
)
def test_row_locks_of_a_huge_transaction_are_not_asked_for(version: int, rows: int, expected: bool) -> None:
    holder = msgspec.structs.replace(HOLDER, rows_locked=rows)
    assert too_many_locks(seen(version, holder, WAITER)) == expected


def test_the_waiters_are_shown_behind_an_unknown_blocker() -> None:
    found = unread(seen(80036, HOLDER, WAITER))
    assert found.edges == (Edge(6, UNKNOWN),)
    assert found.waits[6].seconds == 10.0
    assert "8.0.37" in found.waits[6].object


def row(session: int, mode: str, status: str, **over: Any) -> dict[str, Any]:
    base = {"type": "TABLE", "table_schema": "s", "table_name": "t", "mode": mode, "status": status}
    return base | {"session_id": session} | over


def test_a_lock_that_was_upgraded_explains_a_wait() -> None:
    rows = [
        row(1, "SHARED_UPGRADABLE", "GRANTED"),
        row(2, "SHARED_READ", "GRANTED"),
        row(3, "SHARED_UPGRADABLE", "GRANTED", table_name="other"),
        row(4, "SHARED_WRITE", "PENDING"),
    ]
    assert metadata.outdated(rows) == {4: (Edge(4, 1),)}
