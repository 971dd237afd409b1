"""Rows of the grant tables and of the list of sessions, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from console.engine.mysql import account_rows as to
from console.engine.mysql.verifier_rows import stored
from console.model.accounts import Account, Breaks

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
STARTED = NOW - timedelta(days=30)


def session(number: int, seconds: float = 0, **over: Any) -> dict[str, Any]:
    row = {"id": number, "user": "app", "host": "10.1.1.1", "command": "Sleep", "seconds": seconds}
    return row | {"connection": "TCP/IP"} | over


def account(**over: Any) -> Account:
    return Account(name="app", host="%", **over)


def before(one: Account, *rows: dict[str, Any]) -> tuple[int | None, bool]:
    seen = to.logins(one, rows, to.Sessions(rows=rows, now=NOW, started_at=STARTED))
    return seen.before, seen.before_exact


def test_a_session_idle_for_longer_than_the_password_exists_is_older_and_so_is_who_came_before_it() -> None:
    changed = account(changed_at=NOW - timedelta(hours=1))
    assert before(changed, session(5), session(7, 7200), session(9)) == (2, False)
    assert before(changed, session(5), session(7, 7200)) == (2, True)
    assert before(changed, session(5)) == (0, False)


def test_nobody_is_older_than_a_password_from_before_the_servers_start() -> None:
    assert before(account(changed_at=STARTED - timedelta(days=1)), session(5), session(6)) == (0, True)


def test_without_a_date_it_is_unknown_and_without_a_session_none() -> None:
    assert before(account(), session(5)) == (None, False)
    assert before(account()) == (0, True)


def test_a_seconds_rounding_proves_nothing() -> None:
    assert before(account(changed_at=NOW - timedelta(seconds=10)), session(5, 11)) == (0, False)


def test_who_reads_the_binary_log_depends_and_others_do_not() -> None:
    (one,) = to.dependents([session(5), session(6, command="Binlog Dump GTID", host="replica1")])
    assert (one.kind, one.name, one.breaks) == ("replica", "replica1", Breaks.RECONNECT)


def test_the_ports_of_the_process_list_are_no_part_of_a_host() -> None:
    listed = [
        {"id": 1, "user": "app", "host": "10.1.1.1:51234", "command": "Sleep", "seconds": 0},
        {"id": 2, "user": "app", "host": "::1:51234", "command": "Sleep", "seconds": 0},
        {"id": 3, "user": "app", "host": "localhost", "command": "Sleep", "seconds": 0},
        {"id": 4, "user": "gone", "host": "localhost", "command": "Sleep", "seconds": 0},
    ]
    found = [Account(name="app", host=host) for host in ("10.1.%", "::1", "localhost")]
    owned, lost = to.owners(found, listed)
    assert {key[1]: [row["id"] for row in rows] for key, rows in owned.items()} == {
        "10.1.%": [1], "::1": [2], "localhost": [3]
    }  # fmt: skip
    assert lost == 1


def test_a_source_that_is_not_connected_breaks_at_once() -> None:
    mysql = {"name": "", "username": "repl", "address": "db1", "port": 3306, "state": "ON"}
    mariadb = {"Connection_name": "east", "Master_User": "repl", "Master_Host": "db2", "Master_Port": 3307}
    found = to.sources([mysql, mariadb | {"Slave_IO_Running": "Connecting"}])
    assert [(one.name, one.address, one.user, one.breaks) for one in found] == [
        ("the default channel", "db1:3306", "repl", Breaks.RECONNECT),
        ("east", "db2:3307", "repl", Breaks.NOW),
    ]


def test_all_privileges_are_one_word_and_harmless_ones_none() -> None:
    everything = to._static(str(2**64 - 1))
    assert "ALL PRIVILEGES" in {power.name for power in to._powers(everything)}
    assert to._powers({"SHOW DATABASES", "REFERENCES"}) == ()
    assert to._static("SELECT,FILE") == {"SELECT", "FILE"}


def test_each_way_into_an_account_is_a_verifier_of_its_own() -> None:
    mysql = {"name": "a", "host": "%", "plugin": "caching_sha2_password", "verifier": "", "older": None}
    priv = '{"plugin":"unix_socket","auth_or":[{},{"plugin":"ed25519","authentication_string":"bad"}]}'
    found = stored(
        [
            mysql,
            {"name": "b", "host": "%", "priv": priv},
            {"name": "r", "host": "", "priv": '{"is_role":true}'},
        ]
    )
    assert [(one.name, one.verifier and str(one.verifier.kind)) for one in found] == [
        ("a", "no password"), ("b", "external"), ("b", None)
    ]  # fmt: skip


HASH = "*28FB60D5B93925006930BF43B7C9F2DB71552A19"
MYSQL_OWN = (
    "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS <secret> REQUIRE NONE PASSWORD EXPIRE "
    "DEFAULT ACCOUNT UNLOCK PASSWORD HISTORY DEFAULT FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 1"
)


@pytest.mark.parametrize(
    ("text", "kinds", "plugins"),
    [
        (MYSQL_OWN, ("caching_sha2",), ("caching_sha2_password",)),
        (f"CREATE USER `app`@`%` IDENTIFIED BY PASSWORD '{HASH}'", ("native",), ("mysql_native_password",)),
        (
            f"CREATE USER `app`@`%` IDENTIFIED VIA mysql_native_password USING '{HASH}' OR unix_socket",
            ("native", "external"),
            ("mysql_native_password", "unix_socket"),
        ),
        (
            "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS ''",
            ("empty",),
            ("caching_sha2_password",),
        ),
        ("CREATE USER `app`@`%`", ("empty",), ()),
    ],
)
def test_how_one_logs_in_oneself_and_no_verifier(
    text: str, kinds: tuple[str, ...], plugins: tuple[str, ...]
) -> None:
    found = to.own(text, "app@%")
    assert found is not None
    assert (found.key, found.plugins) == (("app", "%"), plugins)
    assert tuple(kind.name.lower() for kind in found.kinds or ()) == kinds
    assert HASH not in repr(found)


def test_how_one_logs_in_that_is_not_understood_is_unknown() -> None:
    assert to.own("CREATE USER `app`@`%` IDENTIFIED SOMEHOW", "app@%") is None
    limited = to.own(MYSQL_OWN, "app@%")
    assert limited is not None
    assert limited.tries == 3
