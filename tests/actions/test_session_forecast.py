"""What a forecast says of queues built by hand."""

from __future__ import annotations

from typing import Any

import pytest

from actions import following
from actions import session_forecast as forecast
from actions.idle_transactions import IdleArgs, choose
from actions.words import who
from console.model.blocking import UNSEEN, BlockingTree, blocking_forest
from console.model.locks import Claim, Edge, Wait, wait_graph
from console.model.sessions import Session, State, by_id
from tests.fakes import make_session

CONFLICTS = {"S": frozenset({"X"}), "X": frozenset({"S", "X"})}


def tree(*claims: tuple[int, str, str, bool]) -> BlockingTree:
    """(session, object, mode, granted); waiters queue in the order given, ten seconds each."""
    made = [
        Claim(session=who, object=what, mode=mode, granted=granted, since=None if granted else float(place))
        for place, (who, what, mode, granted) in enumerate(claims)
    ]
    waits = {one.session: Wait(object="orders", mode=one.mode, seconds=10.0) for one in made}
    sessions = by_id(make_session(number) for number in {one.session for one in made} if number > 0)
    return blocking_forest(wait_graph(made, CONFLICTS), sessions, waits)


ROW = tree((1, "r", "X", True), (2, "r", "X", False), (3, "r", "X", False), (4, "r", "X", False))
JAM = tree((1, "t", "S", True), (2, "t", "X", False), *((n, "t", "S", False) for n in range(3, 9)))


def scene(session: Session, waits: BlockingTree = ROW, **over: Any) -> forecast.Scene:
    values: dict[str, Any] = {"flavor": "postgresql", "statement": session.query}
    return forecast.Scene(session=session, tree=waits, **values | over)


def test_the_root_releases_all_and_names_the_next_root() -> None:
    lines = forecast.terminating(scene(make_session(1, state=State.IDLE_IN_TRANSACTION)))
    assert lines[0] == "releases 3 sessions and 30s of waiting"
    assert lines[1] == "1 session runs at once; then session 2 is the root, with 2 waiting behind it"
    assert "nothing is undone row by row" in lines[-1]


def test_nobody_waits_is_said() -> None:
    assert forecast.terminating(scene(make_session(9)))[0] == "nobody waits on it"


def test_who_stands_before_others_in_the_queue_is_told_apart() -> None:
    lines = forecast.cancelling(scene(make_session(2), JAM))
    assert lines[0] == "it stops waiting for orders"
    assert any("cancelling it frees 6 sessions that session 1 would let pass" in line for line in lines)


def test_what_a_cancelled_transaction_keeps_differs_by_engine() -> None:
    chain = tree((1, "a", "X", True), (2, "a", "X", False), (2, "b", "X", True), (3, "b", "X", False))
    postgres = forecast.cancelling(scene(make_session(2), chain))
    mysql = forecast.cancelling(scene(make_session(2), chain, flavor="mysql"))
    assert any("frees its locks" in line for line in postgres)
    assert "1 session waits for what its transaction holds, and waits on" in mysql
    assert not any("frees its locks" in line for line in mysql)


@pytest.mark.parametrize(
    ("rows", "words"),
    [(50, "less than a second"), (1_000_000, "about 2 s to 50 s"), (100_000_000, "about 4 min to 83 min")],
)
def test_the_undo_of_innodb_is_a_range_and_cannot_be_stopped(rows: int, words: str) -> None:
    (line,) = forecast.terminating(
        scene(make_session(9, rows_modified=rows), BlockingTree(), flavor="mariadb")
    )[1:]
    assert words in line
    assert "a restart does not skip it" in line


@pytest.mark.parametrize("text", ["COMMIT", " /* app */ commit and chain", "prepare transaction 'x'", "END;"])
def test_a_commit_is_a_risk_and_standbys_make_it_two(text: str) -> None:
    session = make_session(1, query=text)
    (line,) = forecast.warnings(scene(session, standbys="ANY 1 (*)"))
    assert "committed or not" in line
    assert "missing there" in line
    assert forecast.warnings(scene(make_session(1, query="commission"))) == ()


def test_its_like_will_come_back() -> None:
    session = make_session(1, application="web")
    like = [make_session(n, application="web", query=session.query) for n in (5, 6)]
    other = [make_session(7, application="web", query="select 1"), make_session(8, query=session.query)]
    (line,) = forecast.warnings(scene(session, others=(*like, *other)))
    assert line == "its client has 2 more sessions doing the same: it will likely come back"


def test_parallel_workers_and_poolers_are_named() -> None:
    leader, worker = make_session(1, leader=1), make_session(2, leader=1, kind="parallel worker")
    assert forecast.warnings(scene(leader, others=(worker,))) == ("1 parallel worker end with it",)
    assert "whose statement fails with it" in forecast.warnings(scene(worker, others=(leader,)))[0]
    assert "pooler" in forecast.warnings(scene(make_session(3, application="PgBouncer")))[0]


def test_behind_is_transitive_and_never_the_subject() -> None:
    chain = tree((1, "a", "X", True), (2, "a", "X", False), (2, "b", "X", True), (3, "b", "X", False))
    assert forecast.behind(chain, [1]) == [2, 3]
    assert forecast.behind(chain, [1, 2]) == [3]
    assert forecast.behind(chain, [99]) == []
    assert forecast.behind(BlockingTree(), [1]) == []


async def test_who_may_be_the_unseen_blocker_is_not_said_to_block_nobody() -> None:
    edges = (Edge(3, UNSEEN), Edge(4, UNSEEN))
    tree = blocking_forest(wait_graph((), {}, edges=edges), {}, {})
    tree.suspects = frozenset({7, 9})
    told = "2 sessions wait for one of the sessions 7, 9: the server does not tell for which"
    assert forecast.queue_forecast(tree, {7}) == (told,)
    assert forecast.queue_forecast(tree, {8}) == ("nobody waits on it",)
    assert following.before(tree, [make_session(7)], (), [None])["before"]["waiters"] == (3, 4)


async def test_whoever_may_block_is_not_ended_on_a_guess() -> None:
    idle: dict[str, Any] = {"state": State.IDLE_IN_TRANSACTION, "state_seconds": 900.0}
    tree = blocking_forest(wait_graph((), {}, edges=(Edge(3, UNSEEN),)), {}, {})
    tree.suspects = frozenset({7})
    sessions = [make_session(7, **idle), make_session(8, **idle)]
    found = choose(sessions, tree, IdleArgs(older_than="10m", blocking_only=True))
    assert found.aims == ()
    assert "does not tell for which" in {one.id: why for one, why in found.spared}[7]
    assert len(choose(sessions, tree, IdleArgs(older_than="10m")).aims) == 2


def test_a_worker_of_the_server_is_told_as_what_it_is() -> None:
    worker = make_session(7, user=None, kind="autovacuum worker")
    assert who(worker) == "session 7 (autovacuum worker)"
    assert who(make_session(7, user=None)).startswith("session 7 (unknown@")
