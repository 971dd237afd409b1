"""Texts that MySQL 9.7 and MariaDB 10.11 really printed, variants of other versions, and arbitrary ones."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.engine.mysql.deadlock_rows import deadlock, ident, same_moment, who
from console.engine.mysql.deadlock_text import Reader, Report
from console.engine.mysql.error_log import LogFile, Logged, LogReader
from console.engine.mysql.innodb_status import latest_deadlock, purge
from console.engine.mysql.lock_text import Field, key_fields, lock_line, reference, shown
from console.model.deadlocks import Deadlock

SAMPLES = Path(__file__).parent / "samples"
TRAP = "*** WE ROLL BACK TRANSACTION (9)"
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def sample(name: str) -> str:
    return (SAMPLES / f"{name}.txt").read_text(encoding="utf-8")


def made(report: Report | None) -> Deadlock:
    assert report is not None
    return deadlock(report, NOW, "here")


def logged(data: bytes, *cuts: int) -> list[Logged]:
    reader, found = LogReader(), []
    places = sorted({0, *(cut % (len(data) + 1) for cut in cuts), len(data)})
    for start, end in pairwise(places):
        found += reader.feed(data[start:end])
    return found


# ---- what servers printed ----------------------------------------------------------------------


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_three_transactions_with_statements_full_of_traps(flavor: str) -> None:
    found = made(latest_deadlock(sample(f"{flavor}_status")))
    assert len(found.participants) == 3
    assert found.victim is not None
    for place, one in enumerate(found.participants):
        after = found.participants[(place + 1) % 3]
        assert one.statement is not None
        assert TRAP in one.statement
        assert re.search(r"where id=\d$", one.statement)
        assert (one.user, one.client) == ("my app user", "localhost")
        assert one.wants is not None
        assert re.fullmatch(r"lab\.odd t`x index PRIMARY \(\d\)", one.wants.object)
        assert one.wants.mode == "X locks rec but not gap"
        assert one.wants.object in [lock.object for lock in after.holds]


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_the_log_has_what_the_status_has(flavor: str) -> None:
    found = logged((SAMPLES / f"{flavor}_log.txt").read_bytes())
    assert [len(one.report.transactions) for one in found] == [2, 3]
    assert all(one.report.at for one in found)
    status = latest_deadlock(sample(f"{flavor}_status"))
    assert status is not None
    assert made(found[-1].report) == made(status)


def test_bodies_without_headings_have_no_victim() -> None:
    found = logged((SAMPLES / "mysql_bare_log.txt").read_bytes())
    assert [len(one.report.transactions) for one in found] == [2, 3]
    assert [made(one.report).victim for one in found] == [None, None]
    for one in found:
        for place, participant in enumerate(made(one.report).participants):
            after = made(one.report).participants[(place + 1) % len(one.report.transactions)]
            assert participant.wants in after.holds


def test_the_list_of_transactions_after_a_deadlock_full_of_traps() -> None:
    for flavor in ("mysql", "mariadb"):
        found = purge(sample(f"{flavor}_status"))
        assert found is not None
        assert found.whole
        assert found.done <= found.counter


# ---- other versions ----------------------------------------------------------------------------

OLD = """\
=====================================
------------------------
LATEST DETECTED DEADLOCK
------------------------
2026-03-01  1:02:03 0x7f
*** (1) TRANSACTION:
TRANSACTION 10, ACTIVE 5 sec starting index read
mysql tables in use 1, locked 1
LOCK WAIT 2 lock struct(s), heap size 1136, 1 row lock(s)
MySQL thread id 5, OS thread handle 1, query id 50 web1 10.0.0.5 shop updating
update t set v = 1
*** (1) WAITING FOR THIS LOCK TO BE GRANTED:
RECORD LOCKS space id 2 page no 4 n bits 72 index k of table `s`.`t` PARTITION trx id 10 lock_mode X waiting
Record lock, heap no 1 PHYSICAL RECORD: n_fields 1; compact format; info bits 0
 0: len 8; hex 73757072656d756d; asc supremum;;

*** (2) TRANSACTION:
TRANSACTION 11, ACTIVE 4 sec starting index read
MySQL thread id 6, OS thread handle 2, query id 51 10.0.0.6 shop Copying to the moon
*** (2) HOLDS THE LOCK(S):
RECORD LOCKS space id 2 page no 4 n bits 72 index k of table `s`.`t` PARTITION trx id 11 lock_mode X
Record lock, heap no 1 PHYSICAL RECORD: n_fields 1; compact format; info bits 0
 0: len 8; hex 73757072656d756d; asc supremum;;

Record lock, heap no 2 PHYSICAL RECORD: n_fields 2; compact format; info bits 0
 0: len 4; hex 80000007; asc     ;;
 1: SQL NULL;

*** (2) WAITING FOR THIS LOCK TO BE GRANTED:
TABLE LOCK table `s`.`t` trx id 11 lock mode AUTO-INC waiting
*** WE ROLL BACK TRANSACTION (1)
--------------------
TRANSACTIONS
--------------------
Trx id counter 20
Purge done for trx's n:o < 12 undo n:o < 0 state: running but idle
History list length 7
LIST OF TRANSACTIONS FOR EACH SESSION:
---TRANSACTION 15, ACTIVE (PREPARED) 8 sec
MariaDB thread id 9, OS thread handle 3, query id 60 localhost app
Trx read view will not see trx with id >= 14, sees < 13
--------
FILE I/O
--------
""".replace("PARTITION", "/* Partition `p0` */")


def test_a_report_of_mysql_before_8_0_18() -> None:
    found = made(latest_deadlock(OLD))
    first, second = found.participants
    assert (first.victim, second.victim) == (True, False)
    assert (first.user, first.client, first.statement) == ("shop", "10.0.0.5", "update t set v = 1")
    assert first.wants is not None
    assert first.wants.object == "s.t partition p0 index k (supremum pseudo-record)"
    # A user name may have spaces, and this state is none we know: not guessed.
    assert (second.user, second.client, second.statement) == (None, "10.0.0.6", None)
    assert [lock.object for lock in second.holds] == ["s.t partition p0 index k (supremum pseudo-record)"]
    assert second.wants is not None
    assert (second.wants.object, second.wants.mode) == ("s.t", "AUTO-INC")


def test_the_head_of_the_transactions() -> None:
    found = purge(OLD)
    assert found is not None
    assert (found.counter, found.done, found.history, found.state) == (20, 12, 7, "running but idle")
    assert {number: (view.sees, view.hides) for number, view in found.views.items()} == {9: (13, 14)}
    assert found.prepared == {9}
    cut = purge(OLD[: OLD.index("--------\nFILE")])
    assert cut is not None
    assert not cut.whole


def test_any_number_of_dashes() -> None:
    other = OLD.replace("-" * 24, "-" * 7).replace("-" * 20, "-" * 31)
    assert made(latest_deadlock(other)) == made(latest_deadlock(OLD))
    assert purge(other) == purge(OLD)


def test_a_victim_of_whom_nothing_was_printed_is_not_known() -> None:
    report = latest_deadlock(OLD.replace("TRANSACTION (1)", "TRANSACTION (3)"))
    assert made(report).victim is None


def test_a_cut_text_is_none_rather_than_half() -> None:
    assert latest_deadlock(OLD[: OLD.index("*** WE ROLL")]) is None


def test_lines_of_other_threads_within_a_report() -> None:
    for flavor in ("mysql", "mariadb"):
        lines = (SAMPLES / f"{flavor}_log.txt").read_bytes().split(b"\n")
        stamp = next(line for line in lines if b"Transactions deadlock" in line)
        noise = re.sub(rb"\[Note\].*", b"[Warning] Aborted connection 9 to db: 'x'", stamp)
        loud = b"\n".join(part for line in lines for part in (noise, line))
        assert [made(one.report) for one in logged(loud)] == [
            made(one.report) for one in logged(b"\n".join(lines))
        ]


def test_an_unfinished_report_before_a_restart_is_dropped() -> None:
    data = (SAMPLES / "mariadb_log.txt").read_bytes()
    half = data[: data.index(b"*** (2) TRANSACTION")]
    start = b"2026-11-21 15:00:00 0 [Note] Starting MariaDB 10.11.19-MariaDB source revision x as process 9\n"
    found = logged(half + b"\n" + start + data)
    assert [(len(one.report.transactions), one.run) for one in found] == [(2, 1), (3, 1)]


# ---- anything ----------------------------------------------------------------------------------

FRAGMENTS = [
    *OLD.splitlines(),
    "TRANSACTION (0x7f01), ACTIVE 1 sec",
    "*** CONFLICTING WITH:",
    "2026-11-21 14:09:25 8 [Note] InnoDB: Transactions deadlock detected, dumping detailed information.",
    "2026-11-21T14:16:17.9Z 0 [Note] [MY-012469] [InnoDB] *** WE ROLL BACK TRANSACTION (2) ",
    "2026-99-99 14:09:25 8 [Note] InnoDB: ",
]
LINES = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=40), max_size=60)


@given(LINES)
def test_no_text_makes_it_fail(lines: list[str]) -> None:
    text = "\n".join(lines)
    head = "----\nLATEST DETECTED DEADLOCK\n---\n2026-01-01 00:00:00 0x1\n"
    for whole in (text, head + text):
        report = latest_deadlock(whole)
        if report is not None:
            assert report.transactions
            made(report)
        purge(whole)
    for one in logged(text.encode("utf-8", "replace")):
        made(one.report)


@given(
    st.sampled_from(["mariadb_log", "mysql_log", "mysql_bare_log"]),
    st.lists(st.integers(0, 1 << 20), max_size=40),
)
def test_the_portions_do_not_matter(name: str, cuts: list[int]) -> None:
    data = (SAMPLES / f"{name}.txt").read_bytes()
    assert logged(data, *cuts) == logged(data)


@given(st.text(max_size=300).filter(lambda text: "\r" not in text))
def test_a_statement_comes_out_as_it_went_in(statement: str) -> None:
    lines = [line for line in statement.split("\n") if line.strip()]
    text = OLD.replace("update t set v = 1", "\n".join(lines) or "x")
    reader, report = Reader(), None
    for line in text[text.index("*** (1)") :].split("\n"):
        report = report or reader.take(line)
    assert report is not None
    assert "\n".join(report.transactions[0].statement) == ("\n".join(lines) or "x")
    assert report.victim == 0


# ---- files -------------------------------------------------------------------------------------


def test_a_log_is_read_on_through_rotation_and_truncation(tmp_path: Path) -> None:
    data = (SAMPLES / "mysql_log.txt").read_bytes()
    cut = data.index(b"HOLDS THE LOCK")
    path = tmp_path / "error.log"
    path.write_bytes(data[:cut])
    log = LogFile(str(path))
    assert log.look() == []
    with path.open("ab") as file:
        file.write(data[cut:])
    assert len(log.look()) == 2
    assert log.look() == []
    path.rename(tmp_path / "error.log.1")
    with (tmp_path / "error.log.1").open("ab") as file:
        file.write(data)  # the server has it open still
    assert len(log.look()) == 2
    path.write_bytes(data)
    assert len(log.look()) == 2
    path.write_bytes(b"")
    assert log.look() == []
    path.write_bytes(data)
    assert len(log.look()) == 2
    log.close()


def test_the_look_back_is_bounded(tmp_path: Path) -> None:
    data = (SAMPLES / "mysql_log.txt").read_bytes()
    path = tmp_path / "error.log"
    path.write_bytes(data * 5)
    log = LogFile(str(path), look_back=len(data) + 10)
    assert len(log.look()) == 2
    log.close()


# ---- small things ------------------------------------------------------------------------------


def test_the_ident_is_that_of_the_same_statements_only() -> None:
    report = latest_deadlock(OLD)
    other = latest_deadlock(OLD.replace("query id 51", "query id 52"))
    assert report is not None
    assert other is not None
    assert ident(report) != ident(other)
    report.transactions.reverse()
    again = latest_deadlock(OLD)
    assert again is not None
    assert ident(report) == ident(again)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost my app user updating", ("my app user", "localhost")),
        ("127.0.0.1 app_user Sending data", ("app_user", "127.0.0.1")),
        ("web1 fe80::1 app user Update", ("app user", "fe80::1")),
        ("localhost root", ("root", "localhost")),
        ("", (None, None)),
        ("Applying batch of row changes (update)", (None, None)),
        ("localhost a b unheard of", (None, "localhost")),
    ],
)
def test_who_it_was(text: str, expected: tuple[str | None, str | None]) -> None:
    assert who(text) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("80000002", "2"),
        ("8000000000000001", "1"),
        ("0000002a", "42"),
        ("6e61276d65", "'na''me'"),
        ("7fffffff", "0x7fffffff"),
        ("c3a4", "0xc3a4"),
        ("", "''"),
    ],
)
def test_a_column_without_its_type(data: str, expected: str) -> None:
    assert shown(Field(bytes.fromhex(data))) == expected


def test_nulls_and_long_columns() -> None:
    assert shown(Field(None)) == "NULL"
    assert shown(Field(b"abc", 900)) == "'abc…'"


def test_the_key_of_a_clustered_index_ends_before_the_system_columns() -> None:
    fields = [Field(b"k"), Field(b"123456"), Field(b"1234567"), Field(b"v")]
    assert key_fields(fields) == fields[:1]
    assert key_fields(fields[:1]) == fields[:1]


def test_many_rows_of_one_lock() -> None:
    lock = lock_line(
        "RECORD LOCKS space id 1 page no 2 n bits 72 index a b of table `s`.`t` trx id 3 lock mode S"
    )
    assert lock is not None
    assert reference(lock).object == "s.t index a b"


def test_the_newest_of_a_second() -> None:
    assert same_moment(100.0, [99.5, 100.1, 100.9, 101.5]) == 100.9
    assert same_moment(100.0, [99.0]) is None
