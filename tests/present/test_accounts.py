"""Accounts in cells: unknown is a question mark, never nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from console.model.accounts import (
    Account,
    Accounts,
    Breaks,
    Dependent,
    Due,
    Gap,
    Logins,
    Power,
)
from console.model.indexes import Severity
from console.model.verifiers import VerifierKind
from console.present import accounts
from console.present.table import Tone

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def cells(**over: Any) -> dict[str, str]:
    line = accounts.lines(Accounts(accounts=(Account(name="app", **over),), now=NOW))[0]
    return dict(zip((column.title for column in accounts.COLUMNS), line.cells, strict=True))


def test_what_is_unknown_is_a_question_mark() -> None:
    seen = cells()
    unknown = ("password", "age", "sessions", "older", "TLS", "dangerous rights")
    assert {name: seen[name] for name in unknown} == dict.fromkeys(unknown, "?")


def test_known_and_none_is_empty() -> None:
    seen = cells(powers=(), logins=Logins(before=0, before_exact=True), kinds=(VerifierKind.SCRAM,))
    assert (seen["sessions"], seen["older"], seen["TLS"], seen["dangerous rights"]) == ("", "", "", "")


def test_at_least_is_shown_as_such() -> None:
    assert cells(age_at_least=12 * 86400.0)["age"] == ">12d00h"
    assert cells(age=12 * 86400.0)["age"] == "12d00h"
    assert cells(logins=Logins(total=9, before=2))["older"] == "2+"
    assert cells(logins=Logins(total=9, before=0))["older"] == "?"
    assert cells(logins=Logins(total=9, before=2, before_exact=True))["older"] == "2"


def test_tls_is_of_the_sessions_that_came_over_a_network() -> None:
    assert accounts.tls(Logins(total=3, encrypted=2, local=1)) == "all"
    assert accounts.tls(Logins(total=3, encrypted=1, clear=2)) == "1/3"
    assert accounts.tls(Logins(total=3, clear=2, local=1)) == "none"
    assert accounts.tls(Logins(total=2, local=2)) == "local"
    assert accounts.tls(Logins(total=2, encrypted=1)) == "?"


def test_a_right_names_the_role_through_which_it_is_held() -> None:
    power = Power(name="SUPERUSER", severity=Severity.BAD, via=("ops", "root"))
    assert cells(powers=(power,))["dangerous rights"] == "SUPERUSER via ops"
    assert ("right", "SUPERUSER, through root ← ops") in accounts.details(
        Account(name="app", powers=(power,))
    )


def test_several_ways_in_are_all_shown() -> None:
    both = cells(
        host="%",
        kinds=(VerifierKind.NATIVE, VerifierKind.EXTERNAL),
        plugins=("mysql_native_password", "unix_socket"),
    )
    assert both["password"] == "native+unix_socket"
    assert cells(kinds=(VerifierKind.EXTERNAL,), plugins=("unix_socket",), host="%")["age"] == ""


def test_no_password_is_loud_where_it_lets_anybody_in() -> None:
    open_ = Account(name="app", host="%", no_password=True, kinds=(VerifierKind.EMPTY,))
    closed = Account(name="app", no_password=True, kinds=(VerifierKind.EMPTY,))
    assert accounts.tone(open_) is Tone.BAD
    assert accounts.tone(closed) is Tone.NORMAL
    assert "anybody logs in" in dict(accounts.details(open_))["password"]
    assert "nobody logs in" in dict(accounts.details(closed))["password"]


def test_the_details_say_in_words_whether_it_may_log_in() -> None:
    assert dict(accounts.details(Account(name="app", may_login=True)))["account"] == "app, may log in"
    assert dict(accounts.details(Account(name="app", may_login=False)))["account"] == "app, locked"


def test_a_dependent_says_when_it_breaks_and_an_unseen_user_is_unknown() -> None:
    said = accounts.dependent(
        Dependent(kind="subscription", name="s1", breaks=Breaks.RECONNECT, address="pub", outgoing=True)
    )
    assert said == "subscription s1 as ? at pub: breaks at its next reconnect"


def test_a_gap_is_a_note_with_its_grant() -> None:
    found = Accounts(gaps=(Gap(what="kinds", remedy="GRANT x TO y;"),))
    assert list(accounts.notes(found)) == ["unknown: kinds. GRANT x TO y;"]
    assert accounts.beside(found)["unknown"] == [{"what": "kinds", "remedy": "GRANT x TO y;"}]


def test_the_summary_counts_what_wants_a_hand() -> None:
    found = Accounts(
        accounts=(
            Account(name="a", due=Due.OVERDUE, powers=(Power(name="SUPERUSER", severity=Severity.BAD),)),
            Account(name="b", due=Due.UNKNOWN),
            Account(name="c", role=True, may_login=False),
        )
    )
    assert accounts.summary(found) == (
        "2 of 3 may log in, 1 with rights over everything, 1 overdue, 1 of unknown age"
    )


def test_a_hostile_name_is_shown_safely() -> None:
    line = accounts.lines(Accounts(accounts=(Account(name="a\x1b[2J", host="%"),)))[0]
    assert all(cell.isprintable() for cell in line.cells)
