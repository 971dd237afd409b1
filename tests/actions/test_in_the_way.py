"""Who holds maintenance up, and whom it must not end."""

from __future__ import annotations

from typing import Any

import msgspec

from actions import in_the_way as way
from actions.jobs import Job
from console.engine.port import Statement
from console.model.sessions import Protection, State
from console.model.table_locks import TableLock
from tests.fakes import make_session


def lock(session: int, mode: str, *, granted: bool = True, **over: Any) -> TableLock:
    return TableLock(session=make_session(session, **over), table="public.orders", mode=mode, granted=granted)


def job(mode: str = way.SHARE_UPDATE_EXCLUSIVE, *, exclusive: bool = False) -> Job:
    return Job(
        subject="public.orders", kind="table", schema="public", name="orders", verb="vacuum",
        statement=Statement(sql="vacuum orders", shown="vacuum orders"), lock=mode, exclusive=exclusive,
    )  # fmt: skip


def test_compatible_locks_are_not_in_the_way() -> None:
    reader, writer = lock(1, "AccessShareLock"), lock(2, "RowExclusiveLock")
    assert way.holding_up([reader, writer], way.SHARE_UPDATE_EXCLUSIVE) == []
    assert way.holding_up([reader, writer], way.SHARE) == [writer]
    assert way.holding_up([reader, writer], way.ACCESS_EXCLUSIVE) == [reader, writer]


def test_who_is_ahead_in_the_queue_holds_up_too() -> None:
    waiting = lock(3, "AccessExclusiveLock", granted=False)
    assert way.holding_up([waiting], way.SHARE_UPDATE_EXCLUSIVE) == [waiting]
    assert "queued" in way.names_of([waiting], job())


def test_the_oldest_transaction_is_named_first_and_each_session_once() -> None:
    young = lock(1, "ShareLock", transaction_seconds=5.0)
    old = lock(2, "ShareLock", transaction_seconds=500.0, state=State.IDLE_IN_TRANSACTION)
    said = way.names_of([young, old, lock(2, "ExclusiveLock", transaction_seconds=500.0)], job())
    assert said.index("session 2") < said.index("session 1")
    assert said.count("session 2") == 1
    assert "idle in transaction for" in said


def test_an_exclusive_job_tells_whom_it_would_keep_waiting() -> None:
    said = way.forecast([lock(1, "AccessShareLock")], [job(way.ACCESS_EXCLUSIVE, exclusive=True)])
    assert any("every reader and writer waits while it runs (1 session on it now)" in line for line in said)


def test_an_anti_wraparound_vacuum_refuses_and_an_ordinary_one_warns() -> None:
    must = lock(9, way.SHARE_UPDATE_EXCLUSIVE, kind="autovacuum worker", protection=Protection.WRAPAROUND)
    may = lock(8, way.SHARE_UPDATE_EXCLUSIVE, kind="autovacuum worker", protection=Protection.AUTOVACUUM)
    assert "against wraparound" in way.refusals([must], [job()])[0]
    assert way.warnings([must], [job()]) == ()
    assert way.refusals([may], [job()]) == ()
    assert "would be cancelled" in way.warnings([may], [job()])[0]


def test_metadata_locks_of_mysql() -> None:
    reader, ddl = lock(1, "SHARED_READ"), lock(2, "EXCLUSIVE", granted=False)
    assert way.holding_up([reader, ddl], way.EXCLUSIVE) == [reader, ddl]
    assert way.holding_up([reader, ddl], way.READ) == [ddl]


def test_a_lock_on_everything_comes_before_those_who_wait_for_it() -> None:
    victim = lock(1, "SHARED_WRITE", transaction_seconds=50.0)
    for mode in ("GLOBAL SHARED", "BACKUP LOCK SHARED", "BACKUP BACKUP_FTWRL1"):
        said = way.names_of([victim, lock(2, mode, transaction_seconds=None)], job(way.EXCLUSIVE))
        assert said.index("session 2") < said.index("session 1"), mode


def test_a_lock_on_the_toast_table_is_in_the_way_of_a_vacuum_alone() -> None:
    toast = msgspec.structs.replace(lock(7, "ShareUpdateExclusiveLock"), part="its TOAST table", toast=True)
    vacuum = msgspec.structs.replace(job(), verb="vacuum")
    assert way.in_its_way([toast], msgspec.structs.replace(job(), verb="analyze")) == []
    assert "ShareUpdateExclusiveLock on its TOAST table" in way.names_of([toast], vacuum)
