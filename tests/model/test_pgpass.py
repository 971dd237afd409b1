"""Lines of .pgpass: whose they are, which one answers, and that others stay as they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.errors import UsageError
from console.model.pgpass import Key, count, escaped, fault, with_password

KEY = Key("db1", "5432", "*", "ann")
WORDS = st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), min_size=1)
TEXTS = st.lists(
    st.sampled_from([
        "# a comment: with: colons: in: it\n", "\n", "not an entry\n", "db2:5432:*:ann:x\r\n",
        "db1:5432:*:bob:y\n", "db1:5432:shop:ann:old\n", "db1:5432:*:ann:o\\:ld\n", "*:*:*:carl:z\n",
        "caf\\:é:1:2:ann:x\n", "db1:5432:*:ann:no end",
    ])
).map("".join)  # fmt: skip


@given(TEXTS, WORDS)
def test_what_was_put_in_is_what_answers(text: str, password: str) -> None:
    assert fault(with_password(text, KEY, password), KEY, password) == ""


@given(TEXTS, WORDS)
def test_a_second_time_changes_nothing(text: str, password: str) -> None:
    once = with_password(text, KEY, password)
    assert with_password(once, KEY, password) == once


@given(TEXTS, WORDS)
def test_lines_of_others_stay_byte_for_byte(text: str, password: str) -> None:
    def others(of: str) -> list[str]:
        return [line.rstrip("\r\n") for line in of.split("\n") if line and count(line, KEY) == 0]

    assert others(with_password(text, KEY, password)) == others(text)


def test_a_line_is_replaced_where_it_stands_with_its_form_and_end() -> None:
    text = "# mine\nd\\b1:5432:*:ann:old\r\nother:1:2:3:4"
    assert with_password(text, KEY, "n:e\\w") == "# mine\nd\\b1:5432:*:ann:n\\:e\\\\w\r\nother:1:2:3:4"


def test_every_database_of_the_server_is_the_accounts() -> None:
    text = "db1:5432:shop:ann:old\ndb1:5432:*:ann:old\n"
    assert with_password(text, KEY, "new") == "db1:5432:shop:ann:new\ndb1:5432:*:ann:new\n"
    assert with_password(text, KEY._replace(database="shop"), "new").splitlines()[1].endswith("old")


def test_a_new_line_comes_before_one_that_would_answer_in_its_place() -> None:
    text = "x:1:y:z:w\n*:*:*:*:general\n"
    assert with_password(text, KEY, "new").splitlines()[1] == "db1:5432:*:ann:new"


def test_a_line_in_front_that_is_not_ours_is_told() -> None:
    text = "*:*:*:ann:other\ndb1:5432:*:ann:new\n"
    assert "line 1 answers first" in fault(text, KEY, "new")
    assert fault("*:*:*:ann:new\ndb1:5432:*:ann:new\n", KEY, "new") == ""


def test_what_is_missing_or_old_is_told_without_it() -> None:
    assert fault("", KEY, "new") == "there is no line of it"
    assert fault("\ndb1:5432:*:ann:old\n", KEY, "new") == "line 2 has another password"


@pytest.mark.parametrize("password", ["a\nb", "a\rb", "a\0b"])
def test_a_line_end_cannot_stand_in_it(password: str) -> None:
    with pytest.raises(UsageError) as refused:
        with_password("", KEY, password)
    assert password not in refused.value.message


def test_colons_and_backslashes_are_escaped() -> None:
    assert escaped("a:b\\c") == "a\\:b\\\\c"
