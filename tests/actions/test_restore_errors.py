"""What pg_restore complains of, and whose fault that is."""

from __future__ import annotations

from actions.restore_errors import Cause, Listener, checks, of_this_machine
from console.model.drills import Outcome

FULL = 'ERROR:  could not extend file "base/16386/16439": No space left on device'


def heard(*lines: str) -> Listener:
    listener = Listener({7: "constraint s.t t_pkey", 8: "materialized view data s.m"})
    for line in lines:
        listener(line)
    return listener


def test_an_item_of_a_worker_that_pg_restore_counts_twice_is_one_error() -> None:
    found = heard(
        "pg_restore: from TOC entry 9; 1262 16384 DATABASE shop postgres",
        'pg_restore: error: could not execute query: ERROR:  database "shop" already exists',
        "pg_restore: from TOC entry 7; 2606 16412 CONSTRAINT t t_pkey postgres",
        f"pg_restore: error: could not execute query: {FULL}",
        "pg_restore: warning: errors ignored on restore: 3",
    )
    assert found.untold == 0
    assert len(found.of(Cause.DISK)) == 1


def test_a_full_disk_is_never_the_backups_fault() -> None:
    found = heard(
        "pg_restore: from TOC entry 7; 2606 16412 CONSTRAINT t t_pkey postgres",
        f"pg_restore: error: could not execute query: {FULL}",
        "pg_restore: warning: errors ignored on restore: 2",
    )
    assert {one.outcome for one in checks(found, "pg_restore", 0)} == {Outcome.SKIPPED, Outcome.BROKEN}


def test_what_asks_another_server_is_not_told_and_no_fault() -> None:
    found = heard(
        "pg_restore: from TOC entry 8; 0 16384 MATERIALIZED VIEW DATA m postgres",
        "pg_restore: error: could not execute query: ERROR:  could not establish connection",
    )
    assert {one.outcome for one in checks(found, "pg_restore", 0)} == {Outcome.PASSED, Outcome.SKIPPED}


def test_a_recovery_that_ends_on_a_full_disk_is_of_this_machine() -> None:
    assert of_this_machine('could not write to file "pg_wal/xlogtemp.12": No space left on device')
    assert not of_this_machine("could not locate a valid checkpoint record")
