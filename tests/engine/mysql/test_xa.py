"""Names of prepared transactions, and what ends them."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from console.engine.mysql import xa
from console.engine.mysql.rows import Transaction
from console.engine.mysql.transactions import held, last_statements
from console.model.sessions import State

LISTED: dict[str, Any] = {"formatID": 7, "gtrid_length": 2, "bqual_length": 2, "data": "0x67316231"}
OTHER: dict[str, Any] = {"formatID": 1, "gtrid_length": 4, "bqual_length": 0, "data": "0x69742773"}


def test_names_of_connected_sessions_are_not_free() -> None:
    sessions = [{"session_id": 9, "format_id": 1, "gtrid": "it's", "bqual": None}]
    found = xa.names([LISTED, OTHER], sessions)
    assert found.connected == {9: "X'69742773',X'',1"}
    assert found.free == ("X'6731',X'6231',7",)
    hexed = [{"session_id": 9, "format_id": 7, "gtrid": "0x6731", "bqual": "b1"}]
    assert xa.names([LISTED], hexed).connected == {9: "X'6731',X'6231',7"}


def test_a_session_whose_name_is_not_listed_has_none() -> None:
    assert xa.names([LISTED], [{"session_id": 9, "format_id": 1, "gtrid": "x", "bqual": ""}]).connected == {}


def test_nothing_is_made_up_without_the_privilege() -> None:
    found = xa.names(None)
    assert (found.known, xa.resolution(found), xa.rowless(found, 0)) == (False, None, [])


def test_names_without_a_row() -> None:
    names = xa.names([LISTED, OTHER])
    assert [one.resolve for one in xa.rowless(names, 0)] == [f"XA ROLLBACK {name}" for name in names.free]
    (one,) = xa.rowless(names, 1)
    assert (one.resolve or "").startswith("one of XA ROLLBACK")
    assert xa.rowless(names, 2) == []


def test_a_recovered_transaction_that_is_rolled_back_is_not_prepared() -> None:
    found = Transaction(id=5, session=0, waiting=False, started=1.7e9, seconds=3.0, rolling_back=True)
    node = xa.node(found, xa.Names(free=("'a'",)))
    assert (node.state, node.prepared, node.kind) == (State.BACKGROUND, None, xa.RECOVERED)


def test_the_last_statements_newest_first() -> None:
    rows = [{"session_id": 3, "event_id": n, "statement": f"select {n}"} for n in (4, 9, 1, 7, 2, 8)]
    assert last_statements(rows) == {3: ("select 9", "select 8", "select 7", "select 4", "select 2")}


def test_tables_and_locks_of_a_session() -> None:
    rows = [
        {"session_id": 3, "type": "TABLE", "table_schema": "s", "table_name": "t", "locks": 2},
        {"session_id": 3, "type": "SCHEMA", "table_schema": "s", "table_name": None, "locks": 1},
    ]
    found = held(rows, (3, 4))
    assert (found[3].locks, found[3].objects) == (3, ("s.t",))
    assert (found[4].locks, found[4].objects) == (0, ())


@pytest.mark.parametrize("name", ["'p'", "X'6731',X'62',7", "'it''s $HOME'", "'a\"b'", "plain", "'`id`'"])
def test_a_name_in_a_command_is_one_word_of_a_shell(name: str) -> None:
    assert shlex.split(f"gid={xa.shell_word(name)}") == [f"gid={name}"]
    assert not set("$`") & set(name) or xa.shell_word(name).startswith("'")
