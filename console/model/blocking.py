"""The blocking tree: the wait graph as people read it, roots first, each session once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from console.model.locks import Wait, WaitGraph, bits, closure
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


# The graph's id of a blocker that the server does not tell; no number of a transaction comes near.
UNSEEN = -(1 << 62)


class BlockingTree(tuple[LockNode, ...]):
    """The nodes in the order of the tree, and the graph they were drawn from, for what-if questions.

    `suspects` are graph ids of those who may be the unseen blocker: of them it is not known whom they
    block beyond what the graph says.
    """

    graph: WaitGraph = WaitGraph(ids=(), hard={}, soft={})
    waits: Mapping[int, Wait] = {}
    suspects: frozenset[int] = frozenset()
    memo: dict[frozenset[int], Any] | None = None  # what was worked out of the graph, as long as it stands

    def behind_unseen(self, session: int) -> int:
        """How many wait for an unseen blocker that may be this one; 0 where it cannot be."""
        ids = self.graph.ids
        if session not in self.suspects or UNSEEN not in ids:
            return 0
        return closure(self.graph).below[ids.index(UNSEEN)].bit_count()

    @classmethod
    def of(cls, nodes: Iterable[LockNode], graph: WaitGraph, waits: Mapping[int, Wait]) -> BlockingTree:
        tree = cls(nodes)
        tree.graph = graph
        tree.waits = waits
        return tree


def blocking_forest(
    graph: WaitGraph, sessions: Mapping[int, Session], waits: Mapping[int, Wait]
) -> BlockingTree:
    """The nodes in the order of the tree: roots with the most waiters first, each followed by its own.

    A session of the graph that the activity list did not show (it ended meanwhile, or may not be
    seen) stays in the tree as an invisible one: an idle or hidden blocker is never dropped.
    """
    return Forest(graph).drawn(sessions, waits)


class _Place(NamedTuple):
    """Where a session stands in the drawn tree."""

    bit: int
    depth: int
    parent: int | None


class _Stand(NamedTuple):
    """What the graph alone says of a node, and the ids of those it releases."""

    id: int
    told: dict[str, Any]
    released: tuple[int, ...]


class Forest:
    """The shape of the tree, which holds as long as its graph does; nodes are made of it at each reading."""

    def __init__(self, graph: WaitGraph) -> None:
        self.graph = graph
        direct = graph.direct
        self._reach = reach = closure(graph, direct)
        self._involved = [bit for bit, below in enumerate(reach.below) if below or bit in direct]
        self._tops = [bit for bit in self._involved if not direct.get(bit)]
        self._roots = sum(1 << bit for bit in self._tops)
        self._blocks = [mask.bit_count() - self._in_cycle(bit) for bit, mask in enumerate(reach.below)]
        self._listing = _Listing(graph.ids)
        self._stands = [self._stand(place) for place in self._order()]
        self._memo: dict[frozenset[int], Any] = {}

    def drawn(self, sessions: Mapping[int, Session], waits: Mapping[int, Wait]) -> BlockingTree:
        tree = BlockingTree.of((_node(one, sessions, waits) for one in self._stands), self.graph, waits)
        tree.memo = self._memo
        return tree

    def _order(self) -> Iterator[_Place]:
        """Depth first, the worst root first. A deadlock has no root: whoever was not reached from one
        starts a tree of its own."""
        children: dict[int, list[int]] = {}
        for bit in self._involved:
            parent = self._parent(bit)
            if parent is not None:
                children.setdefault(parent, []).append(bit)
        seen: set[int] = set()
        ids = self.graph.ids
        for top in (*sorted(self._tops, key=lambda bit: (-self._blocks[bit], bit)), *self._involved):
            stack = [] if top in seen else [_Place(top, 0, None)]
            while stack:
                place = stack.pop()
                bit = place.bit
                if bit in seen:
                    continue
                seen.add(bit)
                yield place
                if bit in children:
                    own, below = max(ids[bit], 0), place.depth + 1
                    stack.extend(_Place(child, below, own) for child in reversed(children[bit]))

    def _parent(self, bit: int) -> int | None:
        """Drawn under the holder that blocks most; behind a queue, under the nearest one ahead."""
        hard = self.graph.hard.get(bit, 0)
        if hard.bit_count() > 1:
            return max(bits(hard), key=lambda blocker: (self._blocks[blocker], -blocker))
        mask = hard or self.graph.soft.get(bit, 0)
        return mask.bit_length() - 1 if mask else None

    def _stand(self, place: _Place) -> _Stand:
        bit, graph = place.bit, self.graph
        hard = graph.hard.get(bit, 0)
        soft = graph.soft.get(bit, 0)
        blockers = hard | soft if hard and soft else hard or soft
        root = not blockers
        released = tuple(graph.ids[w] for w in self._released(bit)) if root else ()
        told = {
            "blocked_by": self._listing.first(blockers),
            "blocked_by_count": self._listing.count(blockers),
            "root": root,
            "blocks": self._blocks[bit],
            "edge": None if root else "hard" if hard else "soft",
            "parent": place.parent,
            "depth": place.depth,
            "releases": len(released),
            "cycle": self._in_cycle(bit),
        }
        return _Stand(graph.ids[bit], told, released)

    def _in_cycle(self, bit: int) -> bool:
        return self._reach.cyclic and bool(self._reach.above[bit] >> bit & 1)

    def _released(self, bit: int) -> list[int]:
        """Those below that wait for no other root."""
        me, above = 1 << bit, self._reach.above
        return [w for w in bits(self._reach.below[bit]) if above[w] & self._roots == me]


class _Listing:
    """The first blockers of a bit set as ids. Neighbours in a queue share their beginning: reuse it."""

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids = ids
        self._prepared = sum(1 << bit for bit, session in enumerate(ids) if session < 0)
        self._window = self._value = 0
        self._last: tuple[int, ...] = ()

    def count(self, mask: int) -> int:
        """Distinct ids: all prepared transactions of PostgreSQL are listed as pid 0."""
        count = mask.bit_count()
        return count - max(0, (mask & self._prepared).bit_count() - 1) if self._prepared else count

    def first(self, mask: int) -> tuple[int, ...]:
        if mask.bit_count() == 1:
            return (max(self._ids[mask.bit_length() - 1], 0),)
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


def _node(stand: _Stand, sessions: Mapping[int, Session], waits: Mapping[int, Wait]) -> LockNode:
    session, wait = sessions.get(stand.id), waits.get(stand.id)
    return LockNode(
        session=session or Session(id=max(stand.id, 0), started_at=None, visible=False),
        wait_seconds=None if stand.told["root"] or wait is None else wait.seconds,
        mode=wait.mode if wait else None,
        object=wait.object if wait else None,
        releases_seconds=sum(_seconds(waits.get(one)) for one in stand.released) if stand.released else 0.0,
        **stand.told,
    )


def _seconds(wait: Wait | None) -> float:
    return wait.seconds or 0.0 if wait else 0.0
