"""What tools complain of, told apart: the backup, the engine, a role, the disk, or nothing."""

from __future__ import annotations

import pytest

from actions.restore_errors import Cause, Listener, Script, checks, of_this_machine
from console.model.drills import Outcome


def heard(*lines: str) -> Listener:
    found = Listener({7: "view shop.daily"})
    for line in lines:
        found(line)
    return found


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ('database "shop" already exists', Cause.NOTHING),
        ('unrecognized configuration parameter "transaction_timeout"', Cause.NOTHING),
        ('role "app" does not exist', Cause.ROLE),
        ('extension "vector" is not available', Cause.ENGINE),
        ('could not access file "$libdir/postgis-3": No such file or directory', Cause.ENGINE),
        ("ICU is not supported in this build", Cause.ENGINE),
        ("compression method lz4 not supported", Cause.ENGINE),
        ('invalid LC_COLLATE locale name: "xx_XX"', Cause.ENGINE),
        ("could not extend file: No space left on device", Cause.DISK),
        ("function tax(int) does not exist", Cause.BACKUP),
        ('could not create unique index "t_pkey"', Cause.BACKUP),
    ],
)
def test_an_error_has_its_cause(message: str, cause: Cause) -> None:
    (fault,) = heard(f"pg_restore: error: could not execute query: ERROR:  {message}").faults
    assert fault.cause is cause


def test_an_error_names_its_object() -> None:
    found = heard(
        "pg_restore: from TOC entry 7; 1259 16 VIEW daily app",
        "pg_restore: error: could not execute query: ERROR:  function tax(int) does not exist",
    )
    assert [one.words for one in found.faults] == ["view shop.daily: function tax(int) does not exist"]


def test_a_table_whose_rows_were_refused_is_named_without_a_value() -> None:
    found = heard(
        'pg_restore: error: COPY failed for table "t": '
        'ERROR:  invalid input syntax for type integer: "secret"',
        'CONTEXT:  COPY t, line 3, column id: "secret"',
    )
    assert [one.words for one in found.faults] == ["table data t: invalid input syntax for type integer"]


def test_a_statement_of_a_script_is_named_by_its_first_words() -> None:
    found = Script()
    found('psql:<stdin>:12: ERROR:  relation "s.u" does not exist')
    found("STATEMENT:  INSERT INTO s.u VALUES (1, 'secret');")
    assert [one.words for one in found.faults] == ['INSERT INTO s.u VALUES: relation "s.u" does not exist']


def test_what_follows_from_what_the_engine_lacks_is_not_the_backups() -> None:
    found = heard(
        'pg_restore: error: could not execute query: ERROR:  extension "vector" is not available',
        'pg_restore: error: could not execute query: ERROR:  type "public.vector" does not exist',
    )
    assert [(one.name, one.outcome) for one in checks(found, "pg_restore", 1.0)] == [
        ("restore by pg_restore", Outcome.SKIPPED),
        ("engine and disk", Outcome.BROKEN),
    ]


def test_errors_that_are_only_counted_fail_all_the_same() -> None:
    (check,) = checks(heard("pg_restore: warning: errors ignored on restore: 3"), "pg_restore", 1.0)
    assert check.outcome is Outcome.FAILED


def test_silence_passes() -> None:
    (check,) = checks(heard(), "pg_restore", 1.0)
    assert check.outcome is Outcome.PASSED


FULL = 'ERROR:  could not extend file "base/16386/16439": No space left on device'


def told(*lines: str) -> Listener:
    listener = Listener({7: "constraint s.t t_pkey", 8: "materialized view data s.m"})
    for line in lines:
        listener(line)
    return listener


def test_an_item_of_a_worker_that_pg_restore_counts_twice_is_one_error() -> None:
    found = told(
        "pg_restore: from TOC entry 9; 1262 16384 DATABASE shop postgres",
        'pg_restore: error: could not execute query: ERROR:  database "shop" already exists',
        "pg_restore: from TOC entry 7; 2606 16412 CONSTRAINT t t_pkey postgres",
        f"pg_restore: error: could not execute query: {FULL}",
        "pg_restore: warning: errors ignored on restore: 3",
    )
    assert found.untold == 0
    assert len(found.of(Cause.DISK)) == 1


def test_a_full_disk_is_never_the_backups_fault() -> None:
    found = told(
        "pg_restore: from TOC entry 7; 2606 16412 CONSTRAINT t t_pkey postgres",
        f"pg_restore: error: could not execute query: {FULL}",
        "pg_restore: warning: errors ignored on restore: 2",
    )
    assert {one.outcome for one in checks(found, "pg_restore", 0)} == {Outcome.SKIPPED, Outcome.BROKEN}


def test_what_asks_another_server_is_not_told_and_no_fault() -> None:
    found = told(
        "pg_restore: from TOC entry 8; 0 16384 MATERIALIZED VIEW DATA m postgres",
        "pg_restore: error: could not execute query: ERROR:  could not establish connection",
    )
    assert {one.outcome for one in checks(found, "pg_restore", 0)} == {Outcome.PASSED, Outcome.SKIPPED}


def test_a_recovery_that_ends_on_a_full_disk_is_of_this_machine() -> None:
    assert of_this_machine('could not write to file "pg_wal/xlogtemp.12": No space left on device')
    assert not of_this_machine("could not locate a valid checkpoint record")
