"""Killed sessions in MariaDB's error log, and where the reading of it stands."""

from __future__ import annotations

from pathlib import Path

from console.engine.mysql.effect_log import killed, tail
from console.engine.mysql.shown import account_words, one_name_each

LINE = (
    b"2026-11-26 22:39:02 5 [Warning] Aborted connection 6 to db: 'shop' user: 'app' host: 'web1' (KILLED)\n"
)
OTHER = (
    b"2026-11-26 22:39:02 3 [Warning] Aborted connection 3 to db: 'x' user: 'root' host: 'localhost' "
    b"(Got an error reading communication packets)\n"
)


def test_a_killed_session_is_told_once_with_who_did_it() -> None:
    [(at, one)] = killed(OTHER + LINE + LINE)
    assert at == "2026-11-26 22:39:02"
    assert (one.session, one.user, one.client, one.by) == (6, "app", "web1", "session 5")


def test_reading_goes_on_from_where_it_was_left_and_waits_for_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "error.log"
    log.write_bytes(LINE + LINE[:20])
    first, place, gap = tail(log, None)
    assert (first, place.offset, gap) == (LINE, len(LINE), False)
    with log.open("ab") as file:
        file.write(LINE[20:])
    second, _, gap = tail(log, place.offset)
    assert (second, gap) == (LINE, False)


def test_a_log_that_was_begun_anew_is_read_from_its_start_and_says_so(tmp_path: Path) -> None:
    log = tmp_path / "error.log"
    log.write_bytes(LINE)
    assert tail(log, 5000)[0] == LINE
    assert tail(log, 5000)[2]


def test_a_variable_under_two_names_is_told_once() -> None:
    rows = [{"name": one, "value": "1"} for one in ("slow_query_log", "log_slow_query", "init_slave",
            "init_replica", "gtid_executed", "log_slave_updates")]  # fmt: skip
    assert [row["name"] for row in one_name_each(rows)] == [
        "slow_query_log",
        "init_replica",
        "log_slave_updates",
    ]


def test_an_account_is_told_in_words() -> None:
    row = {"plugin": "mysql_native_password", "has_password": 0, "tls": "ANY", "locked": "Y", "questions": 5,
           "updates": 0, "connections": 0, "user_connections": 0}  # fmt: skip
    assert account_words(row) == "mysql_native_password, no password, require ANY, locked, max_questions 5"
