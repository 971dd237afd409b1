"""Indexes that do the work of another one: the same columns, or the first ones of another. Pure.

Careful on purpose: method, operator classes, collations, order, predicate and expressions must be the
same, and an index that guarantees uniqueness is never called superfluous beside one that does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from console.engine.postgres.index_rows import bare, numbers_of
from console.engine.postgres.rows import Record


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What an index is, as far as it matters for what it can do. A key is (column, class, collation, order).

    `rule` is what it enforces: empty, or how. `kept` are reasons to keep it whatever others there are.
    """

    oid: int
    table: int
    method: str
    keys: tuple[tuple[int, ...], ...]
    included: frozenset[int]
    predicate: str
    expressions: str
    rule: tuple[bool, ...] = ()
    constraint: str = ""
    primary: bool = False
    kept: bool = False

    @property
    def columns(self) -> frozenset[int]:
        return self.included | {key[0] for key in self.keys}


class Twin(msgspec.Struct, frozen=True, kw_only=True):
    """`oid` can go while `keeper` stays. `same`: they have the same columns, else its lead the keeper's."""

    oid: int
    keeper: int
    same: bool


def shape(row: Record) -> Shape:
    columns, keys = numbers_of(row["columns"]), row["keys"]
    classes, collations = numbers_of(row["classes"]), numbers_of(row["collations"])
    options = numbers_of(row["options_of_keys"])
    return Shape(
        oid=row["oid"],
        table=row["table_oid"],
        method=row["method"],
        keys=tuple(zip(columns[:keys], classes[:keys], collations[:keys], options[:keys], strict=True)),
        included=frozenset(columns[keys:]),
        predicate=bare(row["predicate"]),
        expressions=bare(row["expressions"]),
        rule=(row["immediate"], row["nulls_not_distinct"]) if row["is_unique"] else (),
        constraint=row["constraint"],
        primary=row["is_primary"],
        kept=bool(row["is_exclusion"] or row["replica_identity"] or row["clustered"] or row["attached"]),
    )


def twins(shapes: Iterable[Shape]) -> list[Twin]:
    """Every index that is named as superfluous has its keeper among those that are not."""
    tables: dict[int, list[Shape]] = {}
    for one in shapes:
        tables.setdefault(one.table, []).append(one)
    found = []
    for here in tables.values():
        same = _duplicates(here)
        gone = {twin.oid for twin in same}
        covered = _redundant([one for one in here if one.oid not in gone])
        found += [*_kept_by_the_last(same, covered), *covered]
    return found


def _kept_by_the_last(same: Sequence[Twin], covered: Sequence[Twin]) -> list[Twin]:
    """A duplicate whose keeper is superfluous itself, because a third covers both, is kept by the third."""
    keepers = {twin.oid: twin.keeper for twin in covered}
    return [
        Twin(oid=twin.oid, keeper=keepers[twin.keeper], same=False) if twin.keeper in keepers else twin
        for twin in same
    ]


def _duplicates(here: Sequence[Shape]) -> list[Twin]:
    groups: dict[object, list[Shape]] = {}
    for one in here:
        alike = (one.method, one.keys, one.included, one.predicate, one.expressions)
        groups.setdefault(alike, []).append(one)
    found = []
    for group in groups.values():
        keeper = max(group, key=_worth)
        found += [
            Twin(oid=one.oid, keeper=keeper.oid, same=True)
            for one in group
            if one is not keeper and not one.kept and one.rule in ((), keeper.rule)
        ]
    return found


def _worth(one: Shape) -> tuple[object, ...]:
    """What stays: what others depend on, then the older."""
    return (one.primary, bool(one.constraint), bool(one.rule), one.kept, -one.oid)


def _redundant(here: Sequence[Shape]) -> list[Twin]:
    """Only B-trees are read by their first columns alone."""
    found = []
    for one in here:
        covering = [other for other in here if _covers(other, one)]
        if covering:
            keeper = max(covering, key=lambda other: (len(other.keys), len(other.included), -other.oid))
            found.append(Twin(oid=one.oid, keeper=keeper.oid, same=False))
    return found


def _covers(other: Shape, one: Shape) -> bool:
    """Strictly: with more keys, or with the same ones and more columns beside them."""
    if one.rule or one.constraint or one.kept or one.method != "btree" or other.method != "btree":
        return False
    if one.expressions or other.expressions or one.predicate != other.predicate:
        return False
    first = other.keys[: len(one.keys)]
    if first != one.keys or not one.included <= other.columns:
        return False
    return len(other.keys) > len(one.keys) or other.included > one.included
