"""Ended sessions, cancelled statements and pgaudit's lines in each format of PostgreSQL's log."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from console.engine.postgres.effect_log import MATTER, logged
from console.engine.postgres.server_log import CsvLog, JsonLog, LogParser
from console.engine.postgres.text_log import TextLog
from console.model.effects import CANCELLED, ENDED, STATEMENT, Logged

ZONE = ZoneInfo("UTC")
AT = "2026-11-26 08:00:00.123 UTC"
PREFIX = "%m [%p] %q%u@%d/%a "


def text(level: str, message: str, *more: str) -> bytes:
    head = f"{AT} [41] app@shop/till "
    return "".join(f"{head}{line}\n" for line in (f"{level}:  {message}", *more, "LOG:  next")).encode()


def csv(code: str, message: str) -> bytes:
    quoted = message.replace('"', '""')
    columns = [AT, '"app"', '"shop"', "41", '"10.0.0.7:5555"', "s", "1", '"idle"', AT, "3/1", "0", "FATAL",
               code, f'"{quoted}"', *[""] * 8, '"till"', "client backend", "", "0"]  # fmt: skip
    return (",".join(columns) + "\n").encode()


def json(code: str, message: str) -> bytes:
    quoted = message.replace('"', '\\"')
    return (
        f'{{"timestamp":"{AT}","user":"app","dbname":"shop","pid":41,"remote_host":"10.0.0.7",'
        f'"error_severity":"FATAL","state_code":"{code}","message":"{quoted}","application_name":"till"}}\n'
    ).encode()


def heard(parser: LogParser, data: bytes) -> list[Logged]:
    return [line for entry in (*parser.feed(data), *parser.rest()) for line in logged(entry)]


def in_all(level: str, code: str, message: str) -> list[list[Logged]]:
    return [
        heard(TextLog(ZONE, 0, PREFIX, MATTER), text(level, message)),
        heard(CsvLog(ZONE, 0, MATTER), csv(code, message)),
        heard(JsonLog(ZONE, 0, MATTER), json(code, message)),
    ]


def test_an_ended_session_is_told_with_who_it_was() -> None:
    for found in in_all("FATAL", "57P01", "terminating connection due to administrator command"):
        [one] = found
        assert (one.what, one.session, one.user, one.application) == (ENDED, 41, "app", "till")
        assert one.at is not None


def test_a_cancelled_statement_is_told_and_a_timeout_has_its_reason() -> None:
    for [one] in in_all("ERROR", "57014", "canceling statement due to user request"):
        assert (one.what, one.session, one.reason) == (CANCELLED, 41, "")
    for found in in_all("ERROR", "57014", "canceling statement due to statement timeout"):
        assert all(one.reason for one in found)


@pytest.mark.parametrize(
    "message",
    [
        'terminating background worker "parallel worker" due to administrator command',
        "terminating autovacuum process due to administrator command",
    ],
)
def test_the_server_s_own_workers_are_nobody_s_session(message: str) -> None:
    assert in_all("FATAL", "57P01", message) == [[], [], []]


def test_another_language_is_understood_by_the_code() -> None:
    message = "breche Verbindung ab aufgrund von Anweisung des Administrators"
    found = in_all("FATAL", "57P01", message)
    assert found[0] == []
    assert [one.what for lines in found[1:] for one in lines] == [ENDED, ENDED]


def test_lines_of_pgaudit_are_read_in_their_format() -> None:
    message = 'AUDIT: SESSION,3,1,ROLE,CREATE ROLE,,,"create role ""a,b"" login",<not logged>'
    for found in in_all("LOG", "00000", message):
        [one] = found
        assert (one.what, one.command, one.statement) == (STATEMENT, "CREATE ROLE", 'create role "a,b" login')


@pytest.mark.parametrize(
    "line", ["READ,SELECT,TABLE,public.t,select 1,<none>", "MISC,SET,,,set x = 1,<none>", "DDL,broken"]
)
def test_what_pgaudit_says_of_everybody_s_work_is_left_out(line: str) -> None:
    assert in_all("LOG", "00000", f"AUDIT: SESSION,1,1,{line}") == [[], [], []]


def test_a_statement_of_several_lines_is_whole_in_a_text_log() -> None:
    data = (
        f'{AT} [41] app@shop/till LOG:  AUDIT: SESSION,1,1,DDL,CREATE VIEW,VIEW,public.v,"create view v as\n'
        f'\tselect 1",<none>\n{AT} [41] app@shop/till LOG:  next\n'
    ).encode()
    [one] = heard(TextLog(ZONE, 0, PREFIX, MATTER), data)
    assert (one.object, one.statement) == ("public.v", "create view v as\nselect 1")


def test_a_server_that_is_told_to_stop_is_marked() -> None:
    for [one] in in_all("LOG", "00000", "received fast shutdown request"):
        assert one.shutdown
