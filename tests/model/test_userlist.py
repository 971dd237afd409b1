"""PgBouncer's userlist: the line of a user, and a verifier put into it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.errors import UsageError
from console.model.userlist import fault, secret_of, with_verifier

NAMES = st.text(
    st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), min_size=1, max_size=20
)
TEXT = ';; by hand\n"bob" "b""ob" comment\n  "ann"   "old" ; hers\n\n"carl" "c"'


@given(st.sampled_from(["", TEXT, '"x" "y"']), NAMES, NAMES)
def test_what_was_put_in_is_what_is_read(text: str, user: str, secret: str) -> None:
    once = with_verifier(text, user, secret)
    assert secret_of(once, user) == secret
    assert fault(once, user, secret) == ""
    assert with_verifier(once, user, secret) == once


def test_only_its_line_is_changed() -> None:
    assert with_verifier(TEXT, "ann", 'n"ew') == TEXT.replace('"old"', '"n""ew"')


def test_a_new_line_comes_last() -> None:
    assert with_verifier(TEXT, 'd"an', "d") == TEXT + '\n"d""an" "d"\n'


def test_the_last_of_two_lines_counts_and_both_are_changed() -> None:
    two = '"ann" "1"\n"ann" "2"\n'
    assert secret_of(two, "ann") == "2"
    assert with_verifier(two, "ann", "3") == '"ann" "3"\n"ann" "3"\n'


def test_a_list_that_is_not_read_to_its_end_is_left_alone() -> None:
    broken = 'ann old\n"ann" "old"\n'
    assert "line 1" in fault(broken, "ann", "old")
    with pytest.raises(UsageError, match="line 1"):
        with_verifier(broken, "ann", "new")


def test_what_is_missing_or_old_is_told_without_it() -> None:
    assert fault(TEXT, "dan", "x") == "it has no line for dan"
    assert fault(TEXT, "ann", "x") == "its line for ann has another verifier than the server"
