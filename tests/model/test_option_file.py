"""Option files of MySQL and MariaDB: what stands in a section, and a password put there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.errors import UsageError
from console.model import option_file
from console.model.option_file import fault, options, quoted, with_password

TEXT = """
!includedir /etc/mysql
[mysqld]
password = no
[client]
# a comment
user=ann
password = "p#w\\\\d \\s"   # quoted
ssl_ca=/x # bare
skip-auto-rehash
[mysql]
user=bob
"""
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=80)


def test_the_client_section_of_an_option_file() -> None:
    assert options(TEXT, "client") == {
        "user": "ann", "password": "p#w\\d  ", "ssl-ca": "/x", "skip-auto-rehash": ""}  # fmt: skip


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ('"ends\\\\"', "ends\\"), ('"a\\"b"', 'a"b'), ("'a\"b'", 'a"b'), ("a#b", "a"), ("'a#b'", "a#b"),
        ('"a" # b', "a"), ("a\\tb", "a\tb"), ("", ""), ("a\\qb", "a\\qb"),
    ],
)  # fmt: skip
def test_a_value_is_read_as_mysql_reads_it(written: str, means: str) -> None:
    assert options(f"[client]\npassword={written}\n", "client")["password"] == means


@given(WORDS)
def test_what_was_written_is_what_is_read(password: str) -> None:
    assert options(f"[client]\npassword={quoted(password)}\n", "client")["password"] == password


@given(
    st.sampled_from([TEXT, "", "[client]", "[other]\nx=1", "[client]\nuser=ann\n[client]\npassword=x"]), WORDS
)
def test_what_was_put_in_is_what_answers(text: str, password: str) -> None:
    once = with_password(text, "client", "ann", password)
    assert fault(once, "client", "ann", password) == ""
    assert with_password(once, "client", "ann", password) == once


def test_only_the_line_of_the_section_is_replaced() -> None:
    made = with_password(TEXT, "client", "ann", 'n"ew')
    assert made == TEXT.replace('password = "p#w\\\\d \\s"   # quoted', "password='n\"ew'")


def test_a_new_line_comes_below_the_head_of_its_section() -> None:
    assert (
        with_password("[a]\r\n[client]\r\nx=1", "client", "ann", "n")
        == '[a]\r\n[client]\r\npassword="n"\nx=1'
    )


def test_a_new_section_says_whose_it_is() -> None:
    assert with_password("[a]\nb=1", "dbdeck", "ann", "n") == '[a]\nb=1\n[dbdeck]\nuser="ann"\npassword="n"\n'


def test_the_section_of_another_user_is_left_alone() -> None:
    with pytest.raises(UsageError, match="for the user ann, not for bob"):
        with_password(TEXT, "client", "bob", "n")
    assert "for the user ann" in fault(TEXT, "client", "bob", "n")


def test_what_is_included_stands_in_its_place_and_the_section_goes_on() -> None:
    files = {
        "/a": ["user = ghost\n[client]\nhost = a\n[client-x]\nport = 1"],
        "/d": ["[mysql]\nuser = d\n", ""],
    }
    text = "[client]\nuser = ann\n!include /a\nport = 3\n!includedir /d\nhost = z\n"
    whole = option_file.with_included(text, lambda word, name: files[name])
    assert option_file.options(whole, "client") == {"user": "ann", "host": "z", "port": "3"}
    assert option_file.options(whole, "client-x") == {"port": "1"}
    assert option_file.options(whole, "mysql") == {"user": "d"}
    assert option_file.sections(whole) == ("client", "client-x", "mysql")


def test_a_file_that_includes_itself_ends() -> None:
    asked: list[str] = []

    def read(_: str, name: str) -> list[str]:
        asked.append(name)
        return ["[client]\n!include /me\n"]

    option_file.with_included("!include /me\n", read)
    assert len(asked) == option_file.DEEPEST
