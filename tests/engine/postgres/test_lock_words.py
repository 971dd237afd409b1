"""Every lockable object in words, from rows as each version of pg_locks gives them."""

from __future__ import annotations

from typing import Any

import pytest

from console.engine.postgres.lock_rows import describe

NOTHING = dict.fromkeys(
    ("database", "relation", "page", "tuple", "virtualxid", "transactionid", "classid", "objid", "objsubid")
)
NAMES = {(5, 16385): "public.orders"}


@pytest.mark.parametrize(
    ("locktype", "row", "words"),
    [
        ("relation", {"database": 5, "relation": 16385}, "public.orders"),
        ("relation", {"database": 6, "relation": 16385}, "relation 16385 of database 6 (name unresolved)"),
        ("extend", {"database": 5, "relation": 16385}, "extension of public.orders"),
        ("page", {"database": 5, "relation": 16385, "page": 3}, "page 3 of public.orders"),
        ("tuple", {"database": 5, "relation": 16385, "page": 3, "tuple": 4}, "row (3,4) of public.orders"),
        ("transactionid", {"transactionid": "738"}, "transaction 738"),
        ("virtualxid", {"virtualxid": "3/45"}, "virtual transaction 3/45"),
        ("spectoken", {"transactionid": "763", "objid": 1}, "speculative token 1 of transaction 763"),
        # as PostgreSQL 15 shows it (seen there)
        (
            "spectoken",
            {"database": 750, "classid": 1, "objid": 0, "objsubid": 0},
            "speculative token 1 of transaction 750",
        ),
        ("object", {"database": 5, "classid": 1259, "objid": 7}, "object 1259/7 of database 5"),
        ("userlock", {"database": 1, "classid": 2, "objid": 3}, "user lock [1,2,3]"),
        ("advisory", {"classid": 4294967295, "objid": 4294967254, "objsubid": 1}, "advisory lock -42"),
        ("advisory", {"classid": 7, "objid": 4294967288, "objsubid": 2}, "advisory lock (7, -8)"),
        ("frozenid", {"database": 5}, "pg_database.datfrozenxid of database 5"),
        (
            "applytransaction",
            {"database": 5, "transactionid": "9", "objid": 2},
            "remote transaction 9 of subscription 2",
        ),
        ("something new", {}, "something new"),
    ],
)
def test_words(locktype: str, row: dict[str, Any], words: str) -> None:
    assert describe({**NOTHING, **row, "locktype": locktype}, NAMES) == words
