"""Which index covers which, and that following the advice loses nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.engine.mysql.index_findings import Foreign, Looked, Usage, findings
from console.engine.mysql.indexes import by_userstat
from console.engine.mysql.keys import Key, Part, bare, is_prefix, keys
from console.model.indexes import Finding

PAIR = ("s", "t")


def parts(text: str) -> tuple[Part, ...]:
    """`a b:10 c-`: a whole, ten characters of b, c descending."""
    made = []
    for word in text.split():
        name, _, length = word.rstrip("-").partition(":")
        made.append(Part(column=name, length=int(length) if length else None, descending=word.endswith("-")))
    return tuple(made)


def key(name: str, columns: str, **more: Any) -> Key:
    return Key(schema="s", table="t", name=name, parts=parts(columns), **more)


def primary(columns: str = "id") -> Key:
    return key("PRIMARY", columns, unique=True)


@pytest.mark.parametrize(
    ("shorter", "longer", "covered"),
    [
        ("a", "a b", True),
        ("a b", "a b", True),
        ("a b", "b a", False),
        ("b", "a b", False),
        ("a b", "a", False),
        ("a:10", "a b", True),
        ("a:10", "a:20 b", True),
        ("a:20", "a:10 b", False),
        ("a", "a:10 b", False),
        ("a:10 b", "a b", False),
        ("a-", "a b", False),
        ("a-", "a- b", True),
    ],
)
def test_what_leads_what(shorter: str, longer: str, covered: bool) -> None:
    assert is_prefix(parts(shorter), parts(longer)) is covered


@pytest.mark.parametrize(
    ("columns", "clustered", "left"),
    [
        ("a id", "id", "a"),
        ("a x", "x y", "a"),
        ("a x y", "x y", "a"),
        ("a y", "x y", "a y"),
        ("id", "id", "id"),
        ("id a", "id", "id a"),
        ("x y", "x y", "x y"),
    ],
)
def test_the_primary_key_at_the_end_says_nothing_new(columns: str, clustered: str, left: str) -> None:
    assert bare(key("k", columns), primary(clustered)) == parts(left)


def told(*found: Key, engine: str = "InnoDB", **more: Any) -> dict[str, tuple[Finding, str]]:
    looked = Looked(keys=found, engines={PAIR: engine}, **more)
    return {one.name: (one.finding, one.with_) for one in findings(looked)}


def test_a_hash_index_does_not_serve_a_part_of_itself() -> None:
    found = told(
        primary(), key("a", "a", kind="HASH"), key("a_b", "a b", kind="HASH"), key("a_2", "a", kind="HASH")
    )
    assert found == {"a_2": (Finding.DUPLICATE, "a")}


def test_another_storage_engine_appends_no_primary_key() -> None:
    found = told(primary(), key("a", "a"), key("a_id", "a id"), engine="RocksDB-like")
    assert found == {"a": (Finding.REDUNDANT, "a_id")}


def test_an_unread_index_is_told_once_with_the_better_reason() -> None:
    usage = Usage(unread=frozenset({("s", "t", "a"), ("s", "t", "b"), ("s", "t", "f"), ("s", "t", "u")}))
    found = told(
        primary(),
        key("a", "a"),
        key("a_b", "a b"),
        key("b", "B"),
        key("f", "c", kind="FULLTEXT"),
        key("u", "d", unique=True),
        usage=usage,
        foreign=(Foreign(table=PAIR, name="fk", columns=("b",)),),
    )
    assert found == {"a": (Finding.REDUNDANT, "a_b")}


def test_of_two_that_nobody_reads_one_is_told_to_be_dropped() -> None:
    usage = Usage(unread=frozenset({("s", "t", "a"), ("s", "t", "a_b")}))
    looked = Looked(keys=(primary(), key("a", "a"), key("a_b", "a b")), engines={PAIR: "InnoDB"}, usage=usage)
    (one,) = findings(looked)
    assert (one.name, one.finding) == ("a", Finding.REDUNDANT)
    assert "drop one of them, not both" in one.why


def test_a_table_that_could_not_be_opened_has_no_missing_primary_key() -> None:
    assert findings(Looked(engines={PAIR: None})) == []


def test_a_table_whose_indexes_were_out_of_sight_has_no_missing_primary_key() -> None:
    assert findings(Looked(engines={PAIR: "InnoDB"}, hidden_clusters=frozenset())) == []
    (told_of,) = findings(Looked(engines={PAIR: "InnoDB"}, hidden_clusters=frozenset({PAIR})))
    assert told_of.finding is Finding.NO_PRIMARY_KEY


def test_userstat_tells_only_of_tables_it_shows() -> None:
    rows = [{"table_schema": "s", "table_name": "t", "index_name": "a", "fetched": 5}]
    others = Key(schema="s", table="hidden", name="x", parts=parts("a"))
    assert by_userstat(rows, [key("a", "a"), key("b", "b"), others]).unread == {("s", "t", "b")}


def test_parts_become_keys_in_their_order() -> None:
    row = {"table_schema": "s", "table_name": "t", "index_name": "k", "non_unique": 1, "length": None}
    row |= {"direction": "A", "nullable": "", "type": "BTREE", "remark": "", "expression": None, "visible": 1}
    rows = [
        row | {"column_name": "a", "length": 10},
        row | {"column_name": None, "expression": "`b` + 1", "direction": "D"},
        row | {"index_name": "K", "column_name": "c`", "non_unique": 0, "nullable": "YES", "visible": 0},
    ]
    first, second = keys(rows)
    assert first.definition == "KEY `k` (`a`(10), (`b` + 1) DESC)"
    assert second.definition == "UNIQUE KEY `K` (`c```) INVISIBLE"
    assert second.nullable


_COLUMNS = st.lists(st.sampled_from(["a", "b", "id", "a:3", "b-"]), min_size=1, max_size=3, unique=True)


@given(st.lists(st.tuples(_COLUMNS, st.booleans()), max_size=6))
def test_following_all_advice_at_once_loses_no_search_and_no_guard(
    made: list[tuple[list[str], bool]],
) -> None:
    found = [key(f"k{place}", " ".join(names), unique=unique) for place, (names, unique) in enumerate(made)]
    clustered = primary()
    dropped = set(told(clustered, *found))
    kept = [clustered, *(one for one in found if one.name not in dropped)]
    for one in found:
        assert any(is_prefix(bare(one, clustered), other.parts) for other in kept)
        if one.unique:
            assert any(other.unique and other.parts == one.parts for other in kept)
