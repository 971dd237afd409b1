"""What-if questions, on queues built by hand and on random ones against brute force."""

from __future__ import annotations

import time
from itertools import combinations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from console.model.blocking import BlockingTree, Forest, blocking_forest
from console.model.locks import Claim, Wait, wait_graph
from console.model.whatif import NEVER, after, cheapest_break, jams, queued_behind

CONFLICTS = {"S": frozenset({"X"}), "X": frozenset({"S", "X"})}


def tree(*claims: tuple[int, str, str, bool]) -> BlockingTree:
    """(session, object, mode, granted); waiters queue in the order given, ten seconds each."""
    made = [
        Claim(session=who, object=what, mode=mode, granted=granted, since=None if granted else float(place))
        for place, (who, what, mode, granted) in enumerate(claims)
    ]
    waits = {one.session: Wait(object=str(one.object), mode=one.mode, seconds=10.0) for one in made}
    return blocking_forest(wait_graph(made, CONFLICTS), {}, waits)


def test_without_the_root_the_first_of_the_queue_runs_and_is_the_next_root() -> None:
    row = tree((1, "r", "X", True), (2, "r", "X", False), (3, "r", "X", False), (4, "r", "X", False))
    seen = after(row, {1})
    assert seen.at_once == (2,)
    assert set(seen.released) == {2, 3, 4}
    assert seen.released_seconds == 30.0
    assert (seen.next_root, seen.behind_it, seen.still_waiting) == (2, 2, 2)


def test_the_same_queues_a_while_later_have_longer_waits() -> None:
    row = tree((1, "r", "X", True), (2, "r", "X", False), (3, "r", "X", False))
    forest = Forest(row.graph)
    seen = [
        after(forest.drawn({}, {n: Wait(object="r", mode="X", seconds=seconds) for n in (2, 3)}), {1})
        for seconds in (10.0, 12.0)
    ]
    assert [one.released_seconds for one in seen] == [20.0, 24.0]
    assert msgspec.structs.replace(seen[0], released_seconds=24.0) == seen[1]
    assert seen[0] == after(row, {1})
    assert after(forest.drawn({}, {}), {1}).released_seconds == 0.0
    assert after(forest.drawn({}, row.waits), {2}).released == ()


def test_who_waits_for_nobody_knows_how_long_is_counted_apart() -> None:
    row = tree((1, "r", "X", True), (2, "r", "X", False), (3, "r", "X", False))
    waits = {2: Wait(object="r", mode="X", seconds=10.0), 3: Wait(object="r", mode="X", seconds=None)}
    seen = after(Forest(row.graph).drawn({}, waits), {1})
    assert (seen.released_seconds, seen.unclocked) == (10.0, 1)


def test_a_root_of_another_queue_is_not_the_next_one() -> None:
    other = [(9, "other", "X", True), *((n, "other", "X", False) for n in range(10, 15))]
    seen = after(tree((1, "r", "X", True), (2, "r", "X", False), *other), {1})
    assert seen.at_once == (2,)
    assert (seen.next_root, seen.behind_it) == (None, 0)


def test_a_waiter_of_two_roots_stays_when_one_goes() -> None:
    shared = tree((1, "r", "S", True), (2, "r", "S", True), (3, "r", "X", False))
    assert after(shared, {1}).released == ()
    assert after(shared, {1, 2}).released == (3,)
    assert cheapest_break(shared, 1, lambda _: 1.0) == (3,)
    assert cheapest_break(shared, 1, lambda one: 5.0 if one == 3 else 1.0) == (1, 2)


def test_the_ddl_that_waits_is_what_stops_the_readers() -> None:
    ddl = tree((1, "t", "S", True), (2, "t", "X", False), *((n, "t", "S", False) for n in range(3, 9)))
    (jam,) = jams(ddl)
    assert (jam.waiter, jam.blocker, jam.held_up) == (2, 1, 6)
    assert cheapest_break(ddl, 1, lambda one: 1.0 if one == 2 else 10.0) == (2,)
    assert cheapest_break(ddl, 1, lambda one: 10.0 if one == 2 else 1.0) == (1,)
    assert jams(tree((1, "t", "X", True), (2, "t", "X", False), (3, "t", "X", False))) == ()


def test_each_of_several_ddl_statements_holds_up_the_readers_behind_it() -> None:
    readers = [(n, "t", "S", False) for n in range(4, 9)]
    ddl = tree((1, "t", "S", True), (2, "t", "X", False), (3, "t", "X", False), *readers)
    assert jams(ddl) == ()
    assert queued_behind(ddl) == {2: 5, 3: 5}
    assert queued_behind(tree((1, "t", "X", True), (2, "t", "X", False), (3, "t", "X", False))) == {}


def test_who_waits_for_its_turn_at_a_row_waits_for_its_holder_next() -> None:
    """PostgreSQL's first waiter of a row holds a lock on it while it waits for the holder's transaction."""
    made = tree(
        (1, "transaction", "X", True), (2, "transaction", "X", False),
        (2, "row", "X", True), (3, "row", "X", False), (4, "row", "X", False),
    )  # fmt: skip
    assert set(after(made, {2}).released) == {3, 4}
    row = BlockingTree.of(made, msgspec.structs.replace(made.graph, turns=frozenset({3, 4})), made.waits)
    seen = after(row, {2})
    assert (seen.released, seen.at_once, seen.still_waiting) == ((), (), 2)
    assert set(after(row, {1}).released) == {2, 3, 4}
    assert after(row, {1, 2}).at_once == (3,)

    def cost(session: int) -> float:
        return 2.0 if session == 1 else 1.0

    assert cheapest_break(made, 1, cost) == (2,)
    assert cheapest_break(row, 1, cost) == (1,)


def test_what_may_never_end_is_not_proposed() -> None:
    row = tree((1, "r", "X", True), (2, "r", "X", False))
    assert cheapest_break(row, 1, lambda one: NEVER if one == 1 else 1.0) == (2,)
    assert cheapest_break(row, 1, lambda _: NEVER) is None
    assert cheapest_break(row, 99, lambda _: 1.0) == ()
    assert cheapest_break(BlockingTree(), 1, lambda _: 1.0) == ()


claims = st.lists(
    st.tuples(st.integers(1, 7), st.sampled_from("abc"), st.sampled_from("SX"), st.booleans()),
    max_size=14,
)


@given(claims, st.dictionaries(st.integers(1, 7), st.integers(1, 9)))
def test_no_cheaper_set_frees_everybody(
    given_claims: list[tuple[int, str, str, bool]], prices: dict[int, int]
) -> None:
    made = tree(*given_claims)
    if any(node.cycle for node in made):
        return

    def cost(session: int) -> float:
        return float(prices.get(session, 1))

    for node in made:
        if not node.root:
            continue
        root = node.session.id
        behind = _behind(made, root)
        proposed = cheapest_break(made, root, cost)
        assert proposed is not None
        assert behind <= set(after(made, proposed).released) | set(proposed)
        best = min(
            sum(map(cost, chosen))
            for size in range(len(made.graph.ids) + 1)
            for chosen in combinations(made.graph.ids, size)
            if behind <= set(after(made, chosen).released) | set(chosen)
        )
        assert sum(map(cost, proposed)) == best


def _behind(made: BlockingTree, root: int) -> set[int]:
    found: set[int] = {root}
    grown = True
    while grown:
        more = {node.session.id for node in made if found & set(node.blocked_by)} - found
        found |= more
        grown = bool(more)
    return found - {root}


def test_600_in_one_queue_are_answered_at_once() -> None:
    row = tree((1, "r", "X", True), *((n, "r", "X", False) for n in range(2, 602)))
    start = time.perf_counter()
    assert len(after(row, {1}).released) == 600
    assert cheapest_break(row, 1, lambda _: 2.0) == (1,)
    assert jams(row) == ()
    assert time.perf_counter() - start < 2.0
