"""Names go to people and come back the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.errors import UsageError
from console.present.names import parse, shown

PART = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=63)


@given(PART, PART)
def test_what_is_shown_is_read_back(schema: str, name: str) -> None:
    assert parse(shown(schema, name)) == (schema, name)


@given(PART)
def test_a_name_without_its_schema_is_read_back(name: str) -> None:
    assert parse(shown("", name)) == ("", name)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("orders", ("", "orders")),
        ("shop.orders", ("shop", "orders")),
        ("Shop.Orders", ("Shop", "Orders")),
        ('"a.b"."c""d"', ("a.b", 'c"d')),
        ('shop."two words"', ("shop", "two words")),
        ("shop.`two ``words`", ("shop", "two `words")),
    ],
)
def test_names_as_people_type_them(text: str, meant: tuple[str, str]) -> None:
    assert parse(text) == meant


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a.b.c", '"', '"a', 'a"b', '""', '"a"b', "a\0", "a`b", "`a"]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no name"):
        parse(text)
