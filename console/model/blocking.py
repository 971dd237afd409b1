"""The blocking tree: the wait graph as people read it, roots first, each session once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from console.model.locks import Closure, Wait, WaitGraph, bits, closure
from console.model.sessions import Session

LISTED_BLOCKERS = 200


class LockNode(msgspec.Struct, frozen=True, kw_only=True):
    """One session of the wait graph and its place in the blocking tree.

    `blocks` counts everyone who waits on it directly or through others; `releases` those of them who
    wait for no other root, with the sum of their waits in seconds. `parent` is the blocker it is drawn
    under. `cycle` marks members of a deadlock that the server has not broken yet.
    """

    session: Session
    blocked_by: tuple[int, ...] = ()
    blocked_by_count: int = 0
    root: bool = False
    blocks: int = 0
    wait_seconds: float | None = None
    edge: Literal["hard", "soft"] | None = None
    mode: str | None = None
    object: str | None = None
    parent: int | None = None
    depth: int = 0
    releases: int = 0
    releases_seconds: float = 0.0
    cycle: bool = False


def blocking_forest(
    graph: WaitGraph, sessions: Mapping[int, Session], waits: Mapping[int, Wait]
) -> tuple[LockNode, ...]:
    """The nodes in the order of the tree: roots with the most waiters first, each followed by its own.

    A session of the graph that the activity list did not show (it ended meanwhile, or may not be
    seen) stays in the tree as an invisible one: an idle or hidden blocker is never dropped.
    """
    reach = closure(graph)
    direct = graph.direct
    involved = list(bits(graph.involved))
    roots = [bit for bit in involved if not direct.get(bit)]
    rootmask = sum(1 << bit for bit in roots)
    listing = _Listing(graph.ids)
    nodes = {bit: _node(_Place(graph, reach, bit, rootmask), listing, sessions, waits) for bit in involved}
    return tuple(_tree_order(graph, nodes))


class _Place(msgspec.Struct, frozen=True):
    graph: WaitGraph
    reach: Closure
    bit: int
    roots: int

    @property
    def released(self) -> list[int]:
        """Those below that wait for no other root."""
        me = 1 << self.bit
        above = self.reach.above
        return [w for w in bits(self.reach.below[self.bit]) if above[w] & self.roots == me]


def _node(
    place: _Place,
    listing: _Listing,
    sessions: Mapping[int, Session],
    waits: Mapping[int, Wait],
) -> LockNode:
    graph, reach, bit = place.graph, place.reach, place.bit
    session_id = graph.ids[bit]
    hard = graph.hard.get(bit, 0)
    blockers = hard | graph.soft.get(bit, 0)
    wait = waits.get(session_id)
    root = bool(place.roots >> bit & 1)
    released = place.released if root else []
    unseen = Session(id=max(session_id, 0), started_at=None, visible=False)
    return LockNode(
        session=sessions.get(session_id, unseen),
        blocked_by=listing.first(blockers),
        blocked_by_count=listing.count(blockers),
        root=root,
        blocks=(reach.below[bit] & ~(1 << bit)).bit_count(),
        wait_seconds=None if root or wait is None else wait.seconds,
        edge=None if root else "hard" if hard else "soft",
        mode=wait.mode if wait else None,
        object=wait.object if wait else None,
        releases=len(released),
        releases_seconds=sum(_seconds(waits.get(graph.ids[w])) for w in released),
        cycle=bool(reach.above[bit] >> bit & 1),
    )


class _Listing:
    """The first blockers of a bit set as ids. Neighbours in a queue share their beginning: reuse it."""

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids = ids
        self._prepared = sum(1 << bit for bit, session in enumerate(ids) if session < 0)
        self._window = self._value = 0
        self._last: tuple[int, ...] = ()

    def count(self, mask: int) -> int:
        """Distinct ids: all prepared transactions of PostgreSQL are listed as pid 0."""
        return mask.bit_count() - max(0, (mask & self._prepared).bit_count() - 1)

    def first(self, mask: int) -> tuple[int, ...]:
        if not mask or mask & self._window != self._value or not self._window:
            self._remember(mask)
        return self._last

    def _remember(self, mask: int) -> None:
        found: dict[int, None] = {}
        last = -1
        for last in bits(mask):
            found[max(self._ids[last], 0)] = None
            if len(found) == LISTED_BLOCKERS:
                break
        self._last = tuple(found)
        full = len(found) == LISTED_BLOCKERS
        self._window = (1 << last + 1) - 1 if full else 0
        self._value = mask & self._window


def _seconds(wait: Wait | None) -> float:
    return wait.seconds or 0.0 if wait else 0.0


def _tree_order(graph: WaitGraph, nodes: Mapping[int, LockNode]) -> Iterator[LockNode]:
    children: dict[int, list[int]] = {}
    tops: list[int] = []
    for bit, node in nodes.items():
        parent = None if node.root else _parent(graph, nodes, bit)
        tops.append(bit) if parent is None else children.setdefault(parent, []).append(bit)
    seen: set[int] = set()
    # A deadlock has no root: whoever was not reached from one starts a tree of its own.
    for top in (*sorted(tops, key=lambda bit: (-nodes[bit].blocks, bit)), *nodes):
        stack: list[tuple[int, int, int | None]] = [] if top in seen else [(top, 0, None)]
        while stack:
            bit, depth, above = stack.pop()
            if bit in seen:
                continue
            seen.add(bit)
            yield msgspec.structs.replace(nodes[bit], depth=depth, parent=above)
            own = max(graph.ids[bit], 0)
            stack.extend((child, depth + 1, own) for child in reversed(children.get(bit, ())))


def _parent(graph: WaitGraph, nodes: Mapping[int, LockNode], bit: int) -> int | None:
    """Drawn under the holder that blocks most; behind a queue, under the nearest one ahead."""
    hard = graph.hard.get(bit, 0)
    if hard:
        return max(bits(hard), key=lambda blocker: (nodes[blocker].blocks, -blocker))
    soft = graph.soft.get(bit, 0)
    return soft.bit_length() - 1 if soft else None
