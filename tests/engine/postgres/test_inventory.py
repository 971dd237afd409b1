"""Definitions as they read after a dump and a restore, and their fingerprints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.engine.postgres.inventory import add, fingerprint, settled


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (
            "((s)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
            "((s)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text]))",
        ),
        ("(ARRAY['a, b'::character varying])::text[]", "ARRAY[('a, b'::character varying)::text]"),
        ("(ARRAY['it''s ]'::varchar])::text[]", "ARRAY[('it''s ]'::varchar)::text]"),
        ("(ARRAY[f(1, 2), x[3]])::numeric(3,1)[]", "ARRAY[(f(1, 2))::numeric(3,1), (x[3])::numeric(3,1)]"),
        ('(ARRAY[1])::"My.Type"[]', 'ARRAY[(1)::"My.Type"]'),
        ("(ARRAY[1, 2])", "(ARRAY[1, 2])"),
        ("(ARRAY[", "(ARRAY["),
        ("x", "x"),
    ],
)
def test_a_cast_of_an_array_reads_as_it_does_once_restored(first: str, then: str) -> None:
    assert settled(first) == then
    assert settled(then) == then


@given(st.text(alphabet="(ARRAY[])',\":t x", max_size=60))
def test_any_text_settles(text: str) -> None:
    assert settled(settled(text)) == settled(text) or "(ARRAY[" in settled(text)


def test_parts_are_not_confused_with_each_other() -> None:
    told = {fingerprint(parts) for parts in (["a", "b"], ["ab", None], [None, "ab"], ["a,b"], ["b", "a"])}
    assert len(told) == 5


def test_nothing_to_compare_is_no_fingerprint() -> None:
    assert fingerprint([None]) == fingerprint(["", None]) == ""


def test_two_of_one_name_keep_both_definitions() -> None:
    row = {"kind": "k", "name": "n"}
    one: dict[str, dict[str, str]] = {}
    other: dict[str, dict[str, str]] = {}
    add(one, [row | {"definition": ["a"]}, row | {"definition": ["b"]}])
    add(other, [row | {"definition": ["b"]}, row | {"definition": ["a"]}])
    assert one == other
    assert one["k"]["n"] != fingerprint(["a"])
