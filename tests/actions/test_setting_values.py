"""Values: units, bounds, sameness, and names that are not dbdeck's to set."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions import setting_statements as statements
from actions.setting_rules import care, refused, risk
from actions.setting_statements import Place
from actions.setting_values import elements, equal, wanted
from console.dispatch.action import Risk
from console.errors import UsageError
from console.model.settings import Setting


def a_setting(**over: Any) -> Setting:
    values: dict[str, Any] = {
        "name": "lock_timeout", "value": None, "server_value": "0", "unit": "ms", "kind": "integer",
        "smallest": "0", "largest": "2147483647",
    }  # fmt: skip
    return Setting(**values | over)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("30s", "30000", True),
        ("30000 ms", "0.5min", True),
        ("30s", "31s", False),
        ("1h", "60min", True),
        (None, None, True),
        (None, "0", False),
    ],
)
def test_times_are_the_same_in_any_unit(one: str | None, other: str | None, same: bool) -> None:
    assert equal(a_setting(), one, other) is same


def test_memory_counts_in_its_own_blocks() -> None:
    buffers = a_setting(name="temp_buffers", unit="8kB", smallest="100", largest="1073741823")
    assert equal(buffers, "64MB", "8192")
    with pytest.raises(UsageError, match="from 100 to"):
        wanted(buffers, "8kB")
    with pytest.raises(UsageError, match="a number in 8kB"):
        wanted(buffers, "3s")


@pytest.mark.parametrize(("text", "other"), [("on", "true"), ("OFF", "0"), ("yes", "1")])
def test_a_switch_has_many_words(text: str, other: str) -> None:
    switch = a_setting(kind="bool", unit="")
    assert equal(switch, text, other)
    assert wanted(switch, text) == text
    with pytest.raises(UsageError, match="on or off"):
        wanted(switch, "maybe")


def test_a_choice_is_one_of_its_words() -> None:
    level = a_setting(kind="enum", unit="", choices=("debug", "info"))
    assert wanted(level, "INFO") == "INFO"
    with pytest.raises(UsageError, match="debug, info"):
        wanted(level, "loud")


@given(st.text(max_size=20))
def test_any_text_is_a_value_or_a_clear_refusal(text: str) -> None:
    try:
        value = wanted(a_setting(), text)
    except UsageError as error:
        assert "nothing was executed" in error.message  # noqa: PT017 - both ends are right
    else:
        assert equal(a_setting(), value, value)


PLACES = {
    "role": Place(flavor="postgresql", role='we"b'),
    "database": Place(flavor="postgresql", database="shop"),
    "role in database": Place(flavor="postgresql", role="web", database="shop"),
}


@pytest.mark.parametrize(
    ("place", "sql"),
    [
        ("role", 'ALTER ROLE "we""b" SET "lock_timeout" = \'5s\''),
        ("database", 'ALTER DATABASE "shop" SET "lock_timeout" = \'5s\''),
        ("role in database", 'ALTER ROLE "web" IN DATABASE "shop" SET "lock_timeout" = \'5s\''),
    ],
)
def test_each_scope_has_its_statement(place: str, sql: str) -> None:
    (sent,) = statements.assign(PLACES[place], a_setting(), "5s")
    assert sent.sql == sent.shown == sql
    assert PLACES[place].scope == place


def test_a_list_is_not_one_word() -> None:
    (sent,) = statements.assign(
        PLACES["database"], a_setting(name="search_path", kind="string"), '"$user", a'
    )
    assert sent.sql.endswith("= '$user', 'a'")


def test_numbers_of_mysql_are_not_quoted_and_nothing_else_is_bare() -> None:
    mysql = Place(flavor="mysql")
    number, word = a_setting(unit=""), a_setting(name="sql_mode", kind="set", unit="")
    assert statements.assign(mysql, number, "5")[0].sql == "SET GLOBAL `lock_timeout` = 5"
    assert statements.assign(mysql, word, "5")[0].sql == "SET GLOBAL `sql_mode` = '5'"
    assert statements.assign(mysql, number, "5; drop")[0].sql.endswith("= '5; drop'")
    with pytest.raises(UsageError, match="no name"):
        statements.assign(mysql, a_setting(name="a b"), "1")


@pytest.mark.parametrize(
    "name",
    ["ssl_key_file", "password_encryption", "local_preload_libraries", "session_preload_libraries", "role",
     "session_authorization", "archive_command", "primary_conninfo", "fsync", "init_connect",
     "require_secure_transport", "validate_password.policy", "secure_file_priv", "tls_version"],
)  # fmt: skip
def test_these_are_refused(name: str) -> None:
    assert refused(name)


@pytest.mark.parametrize(
    "name", ["statement_timeout", "work_mem", "search_path", "max_connections", "sql_mode"]
)
def test_these_are_not(name: str) -> None:
    assert not refused(name)


def test_only_time_outs_and_logs_of_locks_are_of_low_risk() -> None:
    assert (risk("Lock_Timeout"), risk("work_mem")) == (Risk.LOW, Risk.MEDIUM)
    assert care("search_path", "postgresql")
    assert not care("lock_timeout", "postgresql")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('"$user", public', ["$user", "public"]),
        ('"a b" ,"c,d", "e""f"', ["a b", "c,d", 'e"f']),
        ("", [""]),
        ('""', [""]),
        ("a,,b", ["a", "", "b"]),
        ("a\nb , c", ["a\nb", "c"]),
        ('"open, b', ['"open, b']),
        ('"a"b, c', ['"a"b, c']),
    ],
)
def test_a_list_is_split_outside_its_quotes(text: str, parts: list[str]) -> None:
    assert elements(text) == parts


def test_a_comma_within_quotes_stays_one_schema() -> None:
    path = a_setting(name="search_path", kind="string", unit="", smallest=None, largest=None)
    place = Place(flavor="postgresql", role="r")
    (statement,) = statements.assign(place, path, 'public, "c,d", "it""s"')
    assert statement.sql == """ALTER ROLE "r" SET "search_path" = 'public', 'c,d', 'it"s'"""
    assert not equal(path, "public, c, d", 'public, "c,d"')
    with pytest.raises(UsageError, match="a quote in it is not closed"):
        wanted(path, 'public, "c')


def test_blanks_and_commas_of_a_text_count() -> None:
    prefix = a_setting(name="log_line_prefix", kind="string", unit="", smallest=None, largest=None)
    assert wanted(prefix, "%m [%p] ") == "%m [%p] "
    assert not equal(prefix, "%m, %p", "%m,%p")
    assert not equal(prefix, '"%m"', "%m")
    style = a_setting(name="DateStyle", kind="string", unit="", smallest=None, largest=None)
    assert equal(style, "ISO, MDY", "ISO,MDY")
