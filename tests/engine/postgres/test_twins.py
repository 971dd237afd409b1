"""Superfluous indexes: whatever is dropped, what it could do can still be done."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from console.engine.postgres.twins import Shape, Twin, shape, twins

KEYS = st.tuples(st.integers(1, 3), st.just(1), st.just(0), st.sampled_from([0, 3]))
shapes = st.lists(
    st.builds(
        Shape,
        oid=st.just(0),
        table=st.integers(1, 2),
        method=st.sampled_from(["btree", "btree", "hash"]),
        keys=st.lists(KEYS, min_size=1, max_size=3, unique_by=lambda key: key[0]).map(tuple),
        included=st.frozensets(st.integers(1, 4), max_size=2),
        predicate=st.sampled_from(["", "", "n > 0"]),
        expressions=st.just(""),
        rule=st.sampled_from([(), (), (True, False), (False, False)]),
        constraint=st.sampled_from(["", "", "k"]),
        kept=st.booleans(),
    ),
    max_size=12,
).map(lambda found: [msgspec.structs.replace(one, oid=place + 1) for place, one in enumerate(found)])


def one(oid: int, *columns: int, **over: Any) -> Shape:
    told: dict[str, Any] = {
        "table": 1,
        "method": "btree",
        "keys": tuple((column, 1, 0, 0) for column in columns),
        "included": frozenset(),
        "predicate": "",
        "expressions": "",
    }
    return Shape(oid=oid, **(told | over))


def can_replace(keeper: Shape, gone: Shape) -> bool:
    return (
        keeper.table == gone.table
        and keeper.method == gone.method
        and keeper.predicate == gone.predicate
        and keeper.keys[: len(gone.keys)] == gone.keys
        and gone.included <= keeper.columns
        and gone.rule in ((), keeper.rule if keeper.keys == gone.keys else ())
    )


@given(shapes)
def test_whatever_is_dropped_has_a_keeper_that_stays_and_can_do_its_work(found: list[Shape]) -> None:
    by_oid = {shape_.oid: shape_ for shape_ in found}
    told = twins(found)
    gone = {twin.oid for twin in told}
    assert len(gone) == len(told)
    for twin in told:
        assert twin.keeper not in gone
        assert not by_oid[twin.oid].kept
        assert can_replace(by_oid[twin.keeper], by_oid[twin.oid])


@given(shapes)
def test_the_order_of_looking_makes_no_difference(found: list[Shape]) -> None:
    assert {twin.oid for twin in twins(found)} == {twin.oid for twin in twins(found[::-1])}


def test_two_equals_that_a_third_covers_are_both_kept_by_it() -> None:
    told = twins([one(3, 1), one(5, 1), one(7, 1, 2)])
    assert sorted((twin.oid, twin.keeper, twin.same) for twin in told) == [(3, 7, False), (5, 7, False)]


def test_the_older_of_two_equals_stays() -> None:
    assert twins([one(5, 1), one(3, 1)]) == [Twin(oid=5, keeper=3, same=True)]


def test_what_guarantees_uniqueness_is_never_superfluous_beside_what_does_not() -> None:
    unique = one(9, 1, rule=(True, False))
    assert twins([one(3, 1), unique]) == [Twin(oid=3, keeper=9, same=True)]
    assert twins([unique, one(3, 1, 2)]) == []
    deferred = one(10, 1, rule=(False, False), constraint="k")
    assert twins([unique, deferred]) == []


def test_the_first_columns_of_another_are_enough_in_a_btree_only() -> None:
    assert twins([one(1, 1), one(2, 1, 2), one(3, 1, 2, 3)]) == [
        Twin(oid=1, keeper=3, same=False),
        Twin(oid=2, keeper=3, same=False),
    ]
    assert twins([one(1, 2), one(2, 1, 2)]) == []
    assert twins([one(1, 1, method="gist"), one(2, 1, 2, method="gist")]) == []


def test_what_is_included_has_to_be_there_too() -> None:
    assert twins([one(1, 1, included=frozenset({4})), one(2, 1, 2)]) == []
    assert twins([one(1, 1, included=frozenset({2})), one(2, 1, 2)]) == [Twin(oid=1, keeper=2, same=False)]
    assert twins([one(1, 1), one(2, 1, included=frozenset({2}))]) == [Twin(oid=1, keeper=2, same=False)]


def test_a_different_predicate_expression_or_collation_is_a_different_index() -> None:
    assert twins([one(1, 1, predicate="a"), one(2, 1, 2)]) == []
    assert twins([one(1, 0, expressions="a"), one(2, 0, expressions="b")]) == []
    assert twins([one(1, 0, expressions="a"), one(2, 0, 2, expressions="a")]) == []
    assert twins([one(1, 1), one(2, keys=((1, 1, 100, 0),))]) == []


def test_where_it_stood_in_the_statement_makes_no_difference() -> None:
    row = {
        "oid": 1,
        "table_oid": 2,
        "method": "btree",
        "keys": 1,
        "columns": "0 3",
        "classes": "1978",
        "collations": "0",
        "options_of_keys": "0",
        "predicate": "{VAR :location 35}",
        "expressions": "{X :location -1} {Y :location 7}",
        "is_unique": True,
        "immediate": True,
        "nulls_not_distinct": False,
        "constraint": "",
        "is_primary": False,
        "is_exclusion": False,
        "replica_identity": False,
        "clustered": False,
        "attached": False,
    }
    made = shape(row)
    assert (made.predicate, made.expressions) == ("{VAR}", "{X} {Y}")
    assert (made.keys, made.included, made.rule) == (((0, 1978, 0, 0),), frozenset({3}), (True, False))
    assert not made.kept
    assert shape(row | {"replica_identity": True}).kept
    assert shape(row | {"attached": True}).kept
