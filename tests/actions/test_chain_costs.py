"""What each session of a chain costs, and what may never end."""

from __future__ import annotations

from typing import Any

import pytest

from actions.chain_costs import (
    HOLDING,
    IDLE_CLEAN,
    IDLE_WROTE,
    JAMMING,
    RUNNING,
    VICTIM,
    Choice,
    Facts,
    untouchable,
)
from actions.session_proof import Verb
from console.model.blocking import BlockingTree, blocking_forest
from console.model.locks import Claim, Wait, wait_graph
from console.model.sessions import Protection, Session, State
from console.model.transactions import OpenTransaction
from console.model.whatif import NEVER
from tests.fakes import make_session

CONFLICTS = {"S": frozenset({"X"}), "X": frozenset({"S", "X"})}


def tree(sessions: dict[int, Session], *claims: tuple[int, str, str, bool]) -> BlockingTree:
    made = [
        Claim(session=who, object=what, mode=mode, granted=granted, since=None if granted else float(place))
        for place, (who, what, mode, granted) in enumerate(claims)
    ]
    waits = {one.session: Wait(object="orders", mode=one.mode, seconds=10.0) for one in made}
    everyone = {one.session: make_session(one.session, query_id=7) for one in made if one.session > 0}
    return blocking_forest(wait_graph(made, CONFLICTS), everyone | sessions, waits)


def root(flavor: str = "postgresql", number: str | None = None, **over: Any) -> Choice:
    """The choice for a root blocker with one waiter."""
    session = make_session(1, **over)
    waits = tree({1: session}, (1, "r", "X", True), (2, "r", "X", False))
    known = {1: OpenTransaction(session=session, number=number)}
    return Facts(flavor, waits, known).choices()[1]


def test_an_idle_transaction_without_changes_is_the_cheapest() -> None:
    clean = root(state=State.IDLE_IN_TRANSACTION)
    wrote = root(state=State.IDLE_IN_TRANSACTION, number="812")
    innodb = root("mysql", state=State.IDLE_IN_TRANSACTION, rows_modified=0)
    assert (clean.verb, clean.cost) == (Verb.TERMINATE, IDLE_CLEAN)
    assert "has changed nothing" in clean.why
    assert wrote.cost == IDLE_WROTE
    assert innodb.cost == IDLE_CLEAN
    much = root("mysql", state=State.IDLE_IN_TRANSACTION, rows_modified=1_000_000)
    assert much.cost == IDLE_WROTE + 5.0
    assert "1,000,000 modified rows" in much.why


def test_what_runs_gets_dearer_by_its_age_and_ddl_twice() -> None:
    short, long = root(query_seconds=0.0), root(query_seconds=600.0)
    ddl = root(query_seconds=600.0, query="/* m1 */ CREATE INDEX CONCURRENTLY i ON t (n)")
    assert (short.cost, long.cost, ddl.cost) == (RUNNING, RUNNING + 10, RUNNING + 20)
    assert root(query_seconds=1e9).cost == RUNNING + 60
    assert (short.verb, root("mysql", query_id=7).verb) == (Verb.CANCEL, Verb.TERMINATE)


@pytest.mark.parametrize("flavor", ["postgresql", "mysql"])
def test_a_waiter_is_cheap_only_where_it_holds_others_up(flavor: str) -> None:
    jam = tree({}, (1, "t", "S", True), (2, "t", "X", False), (3, "t", "S", False))
    found = Facts(flavor, jam).choices()
    assert (found[2].verb, found[2].cost) == (Verb.CANCEL, JAMMING)
    assert (found[3].verb, found[3].cost) == (Verb.CANCEL, VICTIM)


def test_a_waiter_that_holds_something_is_terminated_where_a_cancel_would_keep_its_locks() -> None:
    chain = tree({}, (1, "a", "X", True), (2, "a", "X", False), (2, "b", "X", True), (3, "b", "X", False))
    postgres, mysql = (Facts(flavor, chain).choices()[2] for flavor in ("postgresql", "mariadb"))
    assert (postgres.verb, postgres.cost) == (Verb.CANCEL, HOLDING)
    assert (mysql.verb, mysql.cost) == (Verb.TERMINATE, HOLDING)


@pytest.mark.parametrize(
    "over",
    [
        {"protection": Protection.OWN},
        {"protection": Protection.WALSENDER},
        {"visible": False},
        {"started_at": None},
        {"state": State.ENDING},
        {"state": State.BACKGROUND},
        {"state": State.PREPARED},
    ],
)
def test_what_may_never_end(over: dict[str, Any]) -> None:
    choice = root(**over)
    assert (choice.verb, choice.cost) == (None, NEVER)
    assert choice.why


def test_without_a_session_there_is_no_choice() -> None:
    waits = tree({}, (-812, "r", "X", True), (2, "r", "X", False))
    assert set(Facts("postgresql", waits).choices()) == {2}
    assert untouchable(make_session(5)) == ""
