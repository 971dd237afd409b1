"""What-if questions to the wait graph: who runs when sessions are gone, and whom to end at the least cost."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping

import msgspec

from console.model.blocking import BlockingTree, LockNode
from console.model.locks import WaitGraph, bits, closure, without

NEVER = float("inf")


class Aftermath(msgspec.Struct, frozen=True, kw_only=True):
    """The queues as they would be without some sessions.

    `at_once` get their lock immediately; `released` are all who wait for no blocker of today any more,
    those behind them included, with the sum of their waits; of `unclocked` of them nobody knows how long they
    waited. `next_root` is the one of those who run at once on whom most would wait then, and `behind_it` how
    many; None when nobody waits on them. Ids are those of the graph.
    """

    at_once: tuple[int, ...] = ()
    released: tuple[int, ...] = ()
    released_seconds: float = 0.0
    unclocked: int = 0
    next_root: int | None = None
    behind_it: int = 0
    still_waiting: int = 0


def after(tree: BlockingTree, gone: Collection[int]) -> Aftermath:
    """What becomes of the queues when the sessions `gone` end at one moment."""
    memo, key = tree.memo, frozenset(gone)
    shape = None if memo is None else memo.get(key)
    if shape is None:
        shape = _shape_after(tree, key)
        if memo is not None:
            memo[key] = shape
    if not tree.waits:
        return shape
    waits = [_seconds(tree, session) for session in shape.released]
    known = [seconds for seconds in waits if seconds is not None]
    return msgspec.structs.replace(shape, released_seconds=sum(known), unclocked=len(waits) - len(known))


def _shape_after(tree: BlockingTree, gone: Collection[int]) -> Aftermath:
    """All but the seconds, which go on while the queues stand."""
    before = tree.graph.direct
    graph = _without(tree.graph, gone)
    now = graph.direct
    left = {bit for bit, session in enumerate(graph.ids) if session in gone}
    waited = [bit for bit, mask in before.items() if mask and bit not in left]
    reach = closure(graph)
    roots = sum(1 << bit for bit in bits(tree.graph.involved) if not before.get(bit) and bit not in left)
    # Members of a deadlock wait for each other, so that they are not free even without a root above.
    stuck = roots | sum(1 << bit for bit in waited if reach.above[bit] >> bit & 1)
    free = [bit for bit in waited if not reach.above[bit] & stuck]
    blocking = {bit: reach.below[bit].bit_count() for bit in waited if not now.get(bit) and reach.below[bit]}
    top = max(blocking, key=lambda bit: (blocking[bit], -bit), default=None)
    return Aftermath(
        at_once=tuple(graph.ids[bit] for bit in waited if not now.get(bit)),
        released=tuple(graph.ids[bit] for bit in free),
        next_root=None if top is None else graph.ids[top],
        behind_it=0 if top is None else blocking[top],
        still_waiting=sum(1 for bit in waited if now.get(bit)),
    )


def _without(graph: WaitGraph, gone: Collection[int]) -> WaitGraph:
    for session in gone:
        graph = without(graph, session)
    return graph


def _seconds(tree: BlockingTree, session: int) -> float | None:
    wait = tree.waits.get(session)
    return wait.seconds if wait else None


class Jam(msgspec.Struct, frozen=True, kw_only=True):
    """`waiter` stops `held_up` others only by standing before them in the queue: the session it waits for,
    `blocker`, would let them pass. The classic is a DDL statement behind an idle reader.
    """

    waiter: int
    blocker: int
    held_up: int


def jams(tree: BlockingTree) -> tuple[Jam, ...]:
    """Waiters that hold others up by their place in the queue alone, the worst first."""
    graph = tree.graph
    ahead = 0
    for bit, mask in graph.soft.items():
        if mask and not graph.hard.get(bit):
            ahead |= mask
    found = []
    for bit in bits(ahead):
        blockers = graph.hard.get(bit, 0)
        if not blockers:
            continue
        held_up = len(after(tree, {graph.ids[bit]}).released)
        if held_up:
            blocker = graph.ids[next(bits(blockers))]
            found.append(Jam(waiter=graph.ids[bit], blocker=blocker, held_up=held_up))
    return tuple(sorted(found, key=lambda one: (-one.held_up, one.waiter)))


def queued_behind(tree: BlockingTree) -> Counter[int]:
    """How many each waiter keeps waiting by its place in the queue alone: no holder stops those.

    Of several in a row each counts all behind it, so that ending one of them alone need not free anybody.
    """
    graph = tree.graph
    found: Counter[int] = Counter()
    for bit, mask in graph.soft.items():
        if mask and not graph.hard.get(bit):
            found.update(graph.ids[ahead] for ahead in bits(mask))
    return found


def cheapest_break(tree: BlockingTree, root: int, cost: Callable[[int], float]) -> tuple[int, ...] | None:
    """The cheapest set of sessions whose end frees everybody who waits behind `root`.

    Everybody who waits in the tree of `root` must reach no root blocker any more, or be in the set
    itself: a vertex cut of least cost between the roots and those who wait (Ford and Fulkerson's minimum
    cut, each session split into a way in and a way out). `cost` may be NEVER; None when every set
    contains such a session. Empty when nobody waits behind `root`.
    """
    graph = tree.graph
    if root not in graph.ids:
        return ()
    direct, reach = graph.lasting, closure(graph)
    mine = reach.below[graph.ids.index(root)]
    above = 0
    for bit in bits(mine):
        above |= reach.above[bit]
    room: _Room = {_SOURCE: {}, _SINK: {}}
    for bit in bits(mine | above):
        _edge(room, _in(bit), _out(bit), cost(graph.ids[bit]))
        blockers = direct.get(bit, 0)
        if not blockers:
            _edge(room, _SOURCE, _in(bit), NEVER)
        if mine >> bit & 1:
            _edge(room, _out(bit), _SINK, NEVER)
        # Behind one of its own nothing more can be gained: each of them has to be freed anyway.
        for blocker in bits(blockers & ~mine):
            _edge(room, _out(blocker), _in(bit), NEVER)
    cut = _least_cut(room)
    return None if cut is None else tuple(graph.ids[bit] for bit in cut)


_Room = dict[int, dict[int, float]]
_SOURCE, _SINK = -1, -2


def _in(bit: int) -> int:
    return 2 * bit


def _out(bit: int) -> int:
    return 2 * bit + 1


def _edge(room: _Room, one: int, two: int, width: float) -> None:
    room.setdefault(one, {})[two] = width
    room.setdefault(two, {}).setdefault(one, 0.0)


def _least_cut(room: _Room) -> list[int] | None:
    """The sessions of a minimum cut, by augmenting paths; None when it is infinite."""
    while _SINK in (came := _search(room, _SOURCE)):
        path = _path(came, _SINK)
        least = min(room[one][two] for one, two in path)
        if least == NEVER:
            return None
        for one, two in path:
            room[one][two] -= least
            room[two][one] += least
    return sorted(node // 2 for node in came if node >= 0 and node % 2 == 0 and node + 1 not in came)


def _search(room: Mapping[int, Mapping[int, float]], source: int) -> dict[int, int]:
    """Who is reached through edges with room left, each with where it was reached from."""
    came = {source: source}
    queue = deque([source])
    while queue:
        here = queue.popleft()
        for there, left in room[here].items():
            if left > 0 and there not in came:
                came[there] = here
                queue.append(there)
    return came


def _path(came: Mapping[int, int], end: int) -> list[tuple[int, int]]:
    path = []
    while came[end] != end:
        path.append((came[end], end))
        end = came[end]
    return path


def node_of(tree: BlockingTree, session: int) -> LockNode | None:
    """The node of a graph id; prepared transactions, which have no session, are found by none."""
    return next((node for node in tree if node.session.id == session), None)
