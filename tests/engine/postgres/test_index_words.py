"""Words, states and remedies of indexes, from rows."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import Any

import pytest

from console.engine.postgres import remedies
from console.engine.postgres.index_findings import Since, broken, supports_key, unused
from console.engine.postgres.index_rows import Builders, builders, concurrent, shut_tables, words
from console.model.indexes import Finding, IndexFinding, Severity, ranked
from console.model.sessions import Session


def row(**over: Any) -> dict[str, Any]:
    return {
        "oid": 5,
        "schema": "s",
        "name": "i",
        "table_oid": 1,
        "table_schema": "s",
        "table": "t",
        "sql_name": "s.i",
        "sql_table": "s.t",
        "method": "btree",
        "partitioned": False,
        "attached": False,
        "system": False,
        "toast": False,
        "bytes": 8192,
        "is_unique": False,
        "is_primary": False,
        "is_exclusion": False,
        "replica_identity": False,
        "constraint": "",
        "valid": True,
        "ready": True,
        "live_index": True,
        "keys": 1,
        "columns": "1",
        "options_of_keys": "0",
        "predicate": None,
        "names": ["a"],
        "foreign_keys": None,
        "scans": 0,
        "last_scan": None,
    } | over


@pytest.mark.parametrize(
    ("over", "text"),
    [
        ({}, "btree (a)"),
        ({"is_unique": True, "predicate": "{}"}, "UNIQUE btree (a) WHERE …"),
        ({"names": ["a", "b"], "columns": "1 2"}, "btree (a) INCLUDE (b)"),
        ({"names": ["lower"], "columns": "0"}, "btree (lower(…))"),
        ({"names": ["expr"], "columns": "0"}, "btree ((…))"),
        ({"options_of_keys": "3"}, "btree (a DESC)"),
        ({"options_of_keys": "1"}, "btree (a DESC NULLS LAST)"),
        ({"options_of_keys": "2"}, "btree (a NULLS FIRST)"),
        ({"names": ["a", "b"], "columns": "1 2", "keys": 2, "options_of_keys": "0 3"}, "btree (a, b DESC)"),
    ],
)
def test_an_index_in_words(over: dict[str, Any], text: str) -> None:
    assert words(row(**over)) == text


@pytest.mark.parametrize(
    ("over", "version", "reason"),
    [
        ({}, 180000, ""),
        ({"system": True}, 180000, "system catalogs"),
        ({"is_exclusion": True}, 180000, "exclusion constraint"),
        ({"toast": True, "valid": False}, 180000, "TOAST"),
        ({"toast": True}, 180000, ""),
        ({"partitioned": True}, 130010, "before PostgreSQL 14"),
        ({"partitioned": True}, 140010, ""),
        ({}, 140003, "may corrupt"),
        ({}, 140004, ""),
    ],
)
def test_why_it_cannot_be_rebuilt_concurrently(over: dict[str, Any], version: int, reason: str) -> None:
    found = concurrent(row(**over), version)
    assert reason in found
    assert bool(found) is bool(reason)


def lock(pid: int | None, relation: int = 1, mode: str = "ShareUpdateExclusiveLock", **over: Any) -> Any:
    told = {
        "locktype": "relation",
        "database": 9,
        "relation": relation,
        "pid": pid,
        "mode": mode,
        "granted": True,
    }
    return told | over


def session(pid: int, kind: str = "client backend") -> Session:
    return Session(id=pid, started_at=None, kind=kind)


def test_who_builds_is_known_by_progress_or_by_the_lock_that_no_vacuum_holds() -> None:
    progress = [
        {"kind": "CREATE INDEX", "pid": 11, "database": 9, "relation": 1, "param7": 5},
        {"kind": "CREATE INDEX", "pid": 12, "database": 8, "relation": 2, "param7": 0},
        {"kind": "CREATE INDEX", "pid": 13, "database": 9, "relation": None, "param7": None},
        {"kind": "VACUUM", "pid": 14, "database": 9, "relation": 3, "param7": 0},
    ]
    locks = [
        lock(13, 4), lock(14, 3), lock(15, 5), lock(16, 6, granted=False), lock(None, 7),
        lock(17, 8, mode="ShareLock"), lock(18, 9, database=8),
    ]  # fmt: skip
    sessions = {15: session(15, "autovacuum worker"), 13: session(13)}
    found = builders(progress, locks, sessions, 9)
    assert found.indexes == {5: 11}
    assert found.tables == {1: 11, 4: 13}


def test_an_invalid_index_on_a_table_that_is_worked_on_is_being_built() -> None:
    working = Builders(indexes={}, tables={1: 11})
    invalid = row(valid=False)
    one = broken(invalid, working)
    assert one is not None
    assert (one.finding, one.session, one.remedy) == (Finding.BUILDING, 11, "")
    assert broken(row(), working) is None
    assert working.of(row()) is None
    assert Builders(indexes={5: 12}).of(row()) == 12


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("i", Finding.INVALID),
        ("i_ccnew", Finding.LEFTOVER_NEW),
        ("i_ccnew12", Finding.LEFTOVER_NEW),
        ("i_ccold1", Finding.LEFTOVER_OLD),
        ("i_ccnews", Finding.INVALID),
    ],
)
def test_leftovers_are_known_by_their_names(name: str, kind: Finding) -> None:
    one = broken(row(name=name, valid=False), Builders())
    assert one is not None
    assert one.finding is kind
    assert one.remedy == f"index.drop_invalid index=s.{name}"


@pytest.mark.parametrize(
    "over",
    [
        {"is_unique": True}, {"is_exclusion": True}, {"replica_identity": True}, {"constraint": "k"},
        {"scans": 1}, {"scans": None}, {"attached": True}, {"valid": False}, {"foreign_keys": ["{1}"]},
    ],
)  # fmt: skip
def test_what_matters_otherwise_is_not_unused(over: dict[str, Any]) -> None:
    assert unused(row(**over), Since()) is None


def test_what_is_unused_is_doubted_as_far_as_it_has_to_be() -> None:
    month = Since(at=datetime(2026, 1, 1, tzinfo=UTC), seconds=30 * 86400.0, standbys=2)
    one = unused(row(bytes=20 << 20), month)
    assert one is not None
    assert one.why == "no scan since 2026-01-01 00:00 UTC; scans on standbys are counted there"
    assert one.severity is Severity.WARN
    fresh = unused(row(bytes=20 << 20), Since(at=month.at, seconds=60.0, primary=False))
    assert fresh is not None
    assert fresh.severity is Severity.INFO
    assert "less than a week; scans on the primary" in fresh.why


def test_a_foreign_key_is_supported_in_any_order_of_its_columns() -> None:
    assert supports_key(row(columns="3 1 2", keys=3, foreign_keys=["{1,3}"]))
    assert not supports_key(row(columns="2 1 3", keys=3, foreign_keys=["{1,3}"]))
    assert not supports_key(row(columns="1 3", keys=1, foreign_keys=["{1,3}"]))


def test_a_table_locked_exclusively_is_left_alone() -> None:
    locks = [
        lock(1, 3, "AccessExclusiveLock"),
        lock(1, 4, "ShareLock"),
        lock(1, 5, "AccessExclusiveLock", database=8),
    ]
    assert shut_tables(locks, 9) == {3}


def test_remedies_are_words_of_a_shell() -> None:
    words_ = shlex.split(remedies.action("index.create", table="s.it's", column=("a b", "c")))
    assert words_ == ["index.create", "table=s.it's", "column=a b", "column=c"]
    assert remedies.drop_index("s.i", partitioned=True) == "DROP INDEX s.i;"
    assert remedies.add_key("s.t", "k") == "ALTER TABLE s.t ADD PRIMARY KEY USING INDEX k;"


def test_the_worst_and_then_the_largest_stands_first() -> None:
    def found(severity: Severity, bytes_: int | None, name: str) -> IndexFinding:
        return IndexFinding(
            finding=Finding.UNUSED, severity=severity, schema="s", table="t", name=name, bytes=bytes_
        )

    mixed = [
        found(Severity.INFO, 9, "a"), found(Severity.BAD, 1, "b"), found(Severity.BAD, 5, "c"),
        found(Severity.BAD, None, "d"),
    ]  # fmt: skip
    assert [one.name for one in ranked(mixed)] == ["c", "b", "d", "a"]
