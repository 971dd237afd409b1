"""The wait graph against a brute-force reading of the manual, and the tree made of it."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from console.engine.postgres.rows import CONFLICTS, MODES
from console.model.blocking import LockNode, blocking_forest
from console.model.locks import Claim, Edge, Wait, WaitGraph, closure, wait_graph, without

SESSIONS = st.integers(1, 12)


@st.composite
def claims(draw: st.DrawFn) -> list[Claim]:
    """Holders that do not conflict and waiters in a strict order, as a server would let them be."""
    made: list[Claim] = []
    clock = itertools.count(1)
    waiting: set[int] = set()
    apart = draw(st.sampled_from([1.0, 1.0, 0.001]))
    for thing in range(draw(st.integers(1, 4))):
        holders: list[tuple[int, str]] = []
        for session, mode in draw(st.lists(st.tuples(SESSIONS, st.sampled_from(MODES)), max_size=6)):
            if all(s == session or mode not in CONFLICTS[m] for s, m in holders):
                holders.append((session, mode))
                made.append(Claim(session=session, object=thing, mode=mode, granted=True))
        for session, mode in draw(st.lists(st.tuples(SESSIONS, st.sampled_from(MODES)), max_size=8)):
            if session not in waiting:
                waiting.add(session)
                made.append(
                    Claim(session=session, object=thing, mode=mode, granted=False, since=next(clock) * apart)
                )
    return made


def brute_force(made: list[Claim]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for waiter in made:
        if waiter.granted:
            continue
        mine = found.setdefault(waiter.session, set())
        for other in made:
            ahead = other.granted or (other.since or 0) < (waiter.since or 0)
            same = other.object == waiter.object and other.session != waiter.session
            if same and ahead and other.mode in CONFLICTS[waiter.mode]:
                mine.add(other.session)
    return found


def reachable(direct: dict[int, set[int]], start: int) -> set[int]:
    seen: set[int] = set()
    todo = [start]
    while todo:
        for blocker in direct.get(todo.pop(), ()):
            if blocker not in seen:
                seen.add(blocker)
                todo.append(blocker)
    return seen


def direct_of(graph: WaitGraph) -> dict[int, set[int]]:
    return {
        graph.ids[bit]: {other for i, other in enumerate(graph.ids) if mask >> i & 1}
        for bit, mask in graph.direct.items()
    }


def forest(graph: WaitGraph) -> tuple[LockNode, ...]:
    waits = {session: Wait(object="t", mode="m", seconds=1.0) for session in graph.ids}
    return blocking_forest(graph, {}, waits)


@given(claims())
def test_the_blockers_of_a_waiter_are_those_the_manual_names(made: list[Claim]) -> None:
    assert direct_of(wait_graph(made, CONFLICTS)) == brute_force(made)


@given(claims())
def test_the_closure_is_reachability_with_and_without_deadlocks(made: list[Claim]) -> None:
    graph = wait_graph(made, CONFLICTS)
    direct = direct_of(graph)
    found = closure(graph)
    for bit, session in enumerate(graph.ids):
        above = {other for i, other in enumerate(graph.ids) if found.above[bit] >> i & 1}
        below = {other for i, other in enumerate(graph.ids) if found.below[bit] >> i & 1}
        assert above == reachable(direct, session)
        assert below == {other for other in graph.ids if session in reachable(direct, other)}


@given(claims())
def test_the_forest_shows_every_session_once_and_counts_who_waits_on_it(made: list[Claim]) -> None:
    graph = wait_graph(made, CONFLICTS)
    direct = direct_of(graph)
    nodes = forest(graph)
    involved = set(direct) | {blocker for blockers in direct.values() for blocker in blockers}
    assert sorted(node.session.id for node in nodes) == sorted(involved)
    for node in nodes:
        me = node.session.id
        behind = {other for other in graph.ids if me in reachable(direct, other)} - {me}
        assert node.blocks == len(behind)
        assert set(node.blocked_by) == direct.get(me, set())
        assert node.blocked_by_count == len(node.blocked_by)
        assert node.root == (not direct.get(me))
        assert node.cycle == (me in reachable(direct, me))


@given(claims())
def test_a_child_is_drawn_below_one_of_its_blockers(made: list[Claim]) -> None:
    nodes = forest(wait_graph(made, CONFLICTS))
    path: list[LockNode] = []
    for node in nodes:
        del path[node.depth :]
        if node.depth:
            assert path[-1].session.id == node.parent
            assert node.parent in node.blocked_by
        path.append(node)


@given(claims())
def test_releasing_a_root_frees_those_who_wait_for_no_other_root(made: list[Claim]) -> None:
    graph = wait_graph(made, CONFLICTS)
    for node in forest(graph):
        if node.root:
            left = direct_of(without(graph, node.session.id))
            roots = {one.session.id for one in forest(graph) if one.root} - {node.session.id}
            direct = direct_of(graph)
            freed = {
                waiter
                for waiter in direct
                if node.session.id in reachable(direct, waiter) and not roots & reachable(direct, waiter)
            }
            assert node.releases == len(freed)
            assert all(node.session.id not in blockers for blockers in left.values())


def queue(size: int, mode: str = "ExclusiveLock") -> list[Claim]:
    held = Claim(session=1, object="row", mode=mode, granted=True)
    waiting = (
        Claim(session=n, object="row", mode=mode, granted=False, since=float(n)) for n in range(2, size + 2)
    )
    return [held, *waiting]


def test_a_queue_of_600_is_one_root_with_the_first_200_blockers_listed() -> None:
    nodes = forest(wait_graph(queue(600), CONFLICTS))
    assert len(nodes) == 601
    assert (nodes[0].blocks, nodes[0].releases, nodes[0].releases_seconds) == (600, 600, 600.0)
    last = nodes[-1]
    assert (last.blocked_by_count, len(last.blocked_by), last.depth) == (600, 200, 1)
    assert last.blocked_by == tuple(range(1, 201))


def test_readers_behind_a_waiting_ddl_wait_softly_for_it_and_not_for_the_idle_reader() -> None:
    made = [
        Claim(session=1, object="t", mode="AccessShareLock", granted=True),
        Claim(session=2, object="t", mode="AccessExclusiveLock", granted=False, since=1.0),
        Claim(session=3, object="t", mode="AccessShareLock", granted=False, since=2.0),
    ]
    nodes = {node.session.id: node for node in forest(wait_graph(made, CONFLICTS))}
    assert nodes[2].edge == "hard"
    assert (nodes[3].edge, nodes[3].blocked_by, nodes[3].depth) == ("soft", (2,), 2)
    assert nodes[1].blocks == 2


def test_prepared_transactions_are_all_listed_as_pid_0() -> None:
    made = [
        Claim(session=-700, object="a", mode="ShareLock", granted=True),
        Claim(session=-701, object="a", mode="ShareLock", granted=True),
        Claim(session=9, object="a", mode="ExclusiveLock", granted=False, since=1.0),
    ]
    nodes = {node.session.id: node for node in forest(wait_graph(made, CONFLICTS))}
    assert (nodes[9].blocked_by, nodes[9].blocked_by_count) == ((0,), 1)


def test_a_place_the_snapshot_cannot_tell_is_left_to_the_server() -> None:
    unknown = [*queue(1), Claim(session=9, object="row", mode="ExclusiveLock", granted=False)]
    assert 9 in wait_graph(unknown, CONFLICTS).undecided
    upgrade = [*queue(2), Claim(session=2, object="row", mode="AccessShareLock", granted=True)]
    assert wait_graph(upgrade, CONFLICTS).undecided == {2, 3}
    told = wait_graph(unknown, CONFLICTS, blockers={9: [1]})
    assert direct_of(told)[9] == {1}


def test_edges_the_server_names_join_the_queues() -> None:
    graph = wait_graph(queue(1), CONFLICTS, edges=[Edge(1, 50), Edge(2, 51, hard=False)])
    nodes = {node.session.id: node for node in forest(graph)}
    assert nodes[50].root
    assert nodes[50].blocks == 2
    assert nodes[2].blocked_by == (1, 51)


def test_a_deadlock_has_no_root_and_nobody_vanishes() -> None:
    graph = wait_graph([], CONFLICTS, edges=[Edge(1, 2), Edge(2, 1), Edge(3, 1)])
    nodes = forest(graph)
    assert {node.session.id for node in nodes} == {1, 2, 3}
    assert all(node.cycle == (node.session.id in (1, 2)) for node in nodes)
    assert not any(node.root for node in nodes)


def test_a_holder_that_disturbs_nobody_is_no_root() -> None:
    made = [
        Claim(session=1, object="t", mode="RowExclusiveLock", granted=True),
        Claim(session=2, object="t", mode="AccessShareLock", granted=True),
        Claim(session=3, object="t", mode="ShareRowExclusiveLock", granted=False, since=1.0),
    ]
    nodes = {node.session.id: node for node in forest(wait_graph(made, CONFLICTS))}
    assert set(nodes) == {1, 3}
