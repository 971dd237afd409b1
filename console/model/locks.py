"""The wait graph: who waits for whom, built from one snapshot of claims on lockable objects.

Queues stay queues. The blockers of a waiter are kept as a bit set over the sessions of the graph, so
that 600 waiters on one row cost 600 small integer operations and not 180,000 edges.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import msgspec

Conflicts = Mapping[str, frozenset[str]]
# A server notes the start of a wait shortly after the session joined the queue, so that two sessions
# that came this close together may stand the other way round (seconds).
CLOSE_SECONDS = 0.005


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A lock held or asked for. `since` (epoch seconds, server clock) orders the waiters of an object."""

    session: int
    object: Hashable
    mode: str
    granted: bool
    since: float | None = None


class Edge(msgspec.Struct, frozen=True):
    """`waiter` waits for `blocker`: hard when it holds the lock, soft when it is only ahead in the queue."""

    waiter: int
    blocker: int
    hard: bool = True


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """What one session waits for, or (for a root) the contended lock it holds. `seconds` is a wait."""

    object: str
    mode: str
    seconds: float | None = None


class WaitGraph(msgspec.Struct, frozen=True, kw_only=True):
    """`ids[i]` is the session of bit i. `hard` and `soft` map a waiter's bit to its blockers' bits.

    `undecided` are sessions whose place in a queue the snapshot cannot tell; `shifting` are those of
    them whose place may yet change while they wait. `turns` are sessions that wait only for their turn at
    something whose holder waits itself: they will have to wait for the same as it does.
    """

    ids: tuple[int, ...]
    hard: dict[int, int]
    soft: dict[int, int]
    undecided: frozenset[int] = frozenset()
    shifting: frozenset[int] = frozenset()
    turns: frozenset[int] = frozenset()

    @property
    def lasting(self) -> dict[int, int]:
        """`direct`, and whom those wait for next who wait for their turn."""
        found = self.direct
        for bit, mask in self.hard.items():
            if self.ids[bit] in self.turns:
                for blocker in bits(mask):
                    found[bit] |= self.hard.get(blocker, 0)
        return found

    @property
    def direct(self) -> dict[int, int]:
        found = dict(self.hard)
        for bit, mask in self.soft.items():
            if mask:
                found[bit] = found.get(bit, 0) | mask
            else:
                found.setdefault(bit, 0)
        return found

    @property
    def involved(self) -> int:
        """Bits of those who wait or block: a holder in a mode that disturbs nobody is not among them."""
        direct = self.direct
        found = _mask(direct)
        for blockers in set(direct.values()):
            found |= blockers
        return found


def _mask(places: Iterable[int]) -> int:
    """Set bits, many at a time: by bytes, because each `|` makes a new number of the whole length."""
    found = bytearray(max(places, default=0) // 8 + 1)
    for place in places:
        found[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(found, "little")


def bits(mask: int) -> Iterator[int]:
    """The positions of the set bits, lowest first."""
    if mask.bit_length() > _LONG:
        yield from _bits_of_many(mask)
        return
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


_LONG = 512  # from here on peeling bits off, each time with a new number of that length, is slower


def _bits_of_many(mask: int) -> Iterator[int]:
    digits = bin(mask)[:1:-1]
    place = digits.find("1")
    while place >= 0:
        yield place
        place = digits.find("1", place + 1)


def wait_graph(
    claims: Iterable[Claim],
    conflicts: Conflicts,
    *,
    edges: Iterable[Edge] = (),
    blockers: Mapping[int, Iterable[int]] | None = None,
) -> WaitGraph:
    """Blockers of a waiter are the holders of a conflicting mode (hard) and the conflicting requests
    that began to wait earlier (soft); PostgreSQL manual, "pg_blocking_pids".

    `edges` adds waits the server names itself. `blockers` replaces what the snapshot says of a waiter.
    """
    queues = _queues(claims)
    edges = tuple(edges)
    ids = _order(queues, edges)
    index = {session: bit for bit, session in enumerate(ids)}
    hard: dict[int, int] = {}
    soft: dict[int, int] = {}
    undecided: set[int] = set()
    shifting: set[int] = set()
    for queue in queues:
        _add_queue(queue, conflicts, index, hard, soft)
        undecided |= _undecided(queue, conflicts)
        shifting |= _shifting(queue)
    for edge in edges:
        side = hard if edge.hard else soft
        side[index[edge.waiter]] = side.get(index[edge.waiter], 0) | 1 << index[edge.blocker]
    for waiter, named in (blockers or {}).items():
        _replace(index, hard, soft, waiter, named)
    return WaitGraph(
        ids=tuple(index),
        hard=hard,
        soft=soft,
        undecided=frozenset(undecided | shifting),
        shifting=frozenset(shifting),
    )


Queue = tuple[list[Claim], list[Claim]]


def _queues(claims: Iterable[Claim]) -> list[Queue]:
    """(holders, waiters in order of arrival) of each object that somebody waits for."""
    grouped: dict[Hashable, Queue] = {}
    for claim in claims:
        grouped.setdefault(claim.object, ([], []))[0 if claim.granted else 1].append(claim)
    late = float("inf")
    found = []
    for holders, waiters in grouped.values():
        if waiters:
            waiters.sort(key=lambda claim: late if claim.since is None else claim.since)
            found.append((holders, waiters))
    return found


def _order(queues: Sequence[Queue], edges: Sequence[Edge]) -> list[int]:
    """Holders first, then waiters by arrival: the nearest blocker of a waiter has the highest bit."""
    late = float("inf")
    ids = {claim.session: None for holders, _ in queues for claim in holders}
    waiting = sorted(
        (late if claim.since is None else claim.since, claim.session)
        for _, waiters in queues
        for claim in waiters
    )
    for _, session in waiting:
        ids.pop(session, None)
        ids[session] = None
    for edge in edges:
        ids.setdefault(edge.blocker)
        ids.setdefault(edge.waiter)
    return list(ids)


def _add_queue(
    queue: Queue,
    conflicts: Conflicts,
    index: Mapping[int, int],
    hard: dict[int, int],
    soft: dict[int, int],
) -> None:
    holders, waiters = queue
    held = _masks(holders, index)
    ahead: dict[str, int] = {}
    for claim in waiters:
        bit = index[claim.session]
        me = 1 << bit
        by_holders = _any(held, conflicts[claim.mode]) & ~me
        by_queue = _any(ahead, conflicts[claim.mode]) & ~me & ~by_holders
        hard[bit] = hard.get(bit, 0) | by_holders
        soft[bit] = soft.get(bit, 0) | by_queue
        ahead[claim.mode] = ahead.get(claim.mode, 0) | me


def _masks(claims: Iterable[Claim], index: Mapping[int, int]) -> dict[str, int]:
    masks: dict[str, int] = {}
    for claim in claims:
        masks[claim.mode] = masks.get(claim.mode, 0) | 1 << index[claim.session]
    return masks


def _any(masks: Mapping[str, int], modes: frozenset[str]) -> int:
    found = 0
    for mode, mask in masks.items():
        if mode in modes:
            found |= mask
    return found


def _undecided(queue: Queue, conflicts: Conflicts) -> set[int]:
    """Waiters whose order the snapshot does not tell: their wait has no start yet, or one so close to
    that of a conflicting neighbour that the two may stand the other way round.
    """
    _, waiters = queue
    unclear = {claim.session for claim in waiters if claim.since is None}
    if len(unclear) == len(waiters):
        return unclear
    for first, second in pairwise(waiters):
        if second.since is None or first.since is None:
            continue
        if second.since - first.since < CLOSE_SECONDS and second.mode in conflicts[first.mode]:
            unclear |= {first.session, second.session}
    return unclear


def _shifting(queue: Queue) -> set[int]:
    """The waiters of a queue that a session joined which already holds a lock on the object: the
    server puts such a session ahead of those it blocks (JoinWaitQueue in PostgreSQL's proc.c).
    """
    holders, waiters = queue
    holding = {claim.session for claim in holders}
    upgraded = len(waiters) > 1 and any(claim.session in holding for claim in waiters)
    return {claim.session for claim in waiters} if upgraded else set()


def _replace(
    index: dict[int, int],
    hard: dict[int, int],
    soft: dict[int, int],
    waiter: int,
    named: Iterable[int],
) -> None:
    """Take the server's word for one waiter; keep as hard what the snapshot saw as held."""
    for session in (waiter, *(named := list(named))):
        index.setdefault(session, len(index))
    bit = index[waiter]
    mask = 0
    for session in named:
        mask |= 1 << index[session]
    mask &= ~(1 << bit)
    hard[bit] = mask & hard.get(bit, 0)
    soft[bit] = mask & ~hard[bit]


class Closure(msgspec.Struct, frozen=True):
    """`above[i]`: everyone bit i waits for, `below[i]`: everyone who waits on it; transitively.

    Only in a `cyclic` graph is somebody among their own.
    """

    above: list[int]
    below: list[int]
    cyclic: bool = False


def closure(graph: WaitGraph, direct: Mapping[int, int] | None = None) -> Closure:
    """Transitive blockers and waiters of every session, following only the nearest blockers.

    `direct` is the graph's own, for who has it at hand already.

    A waiter's nearest blocker already reaches those ahead of it, so each step removes what is covered.
    """
    direct = graph.direct if direct is None else direct
    size = len(graph.ids)
    above = [0] * size
    parents: list[list[int]] = [[] for _ in range(size)]
    order: list[int] = []
    cyclic = False
    state = [0] * size  # 0 new, 1 open, 2 done
    for start in range(size):
        stack = [] if state[start] else [(start, direct.get(start, 0))]
        while stack:
            bit, todo = stack.pop()
            state[bit] = 1
            while todo:
                near = todo.bit_length() - 1
                if not state[near]:
                    stack.append((bit, todo))
                    stack.append((near, direct.get(near, 0)))
                    break
                cyclic |= state[near] == 1
                parents[bit].append(near)
                last = todo.bit_count() == 1  # then its mask is at hand: a new one would be as long
                above[bit] |= above[near] | (todo if last else 1 << near)
                todo = 0 if last else todo & ~above[bit]
            else:
                state[bit] = 2
                order.append(bit)
    below = [0] * size
    for bit in reversed(order):
        for parent in parents[bit]:
            below[parent] |= below[bit] | 1 << bit
    if cyclic:
        return Closure(_fixed_point(direct, size, up=True), _fixed_point(direct, size, up=False), cyclic=True)
    return Closure(above, below)


def _fixed_point(direct: Mapping[int, int], size: int, *, up: bool) -> list[int]:
    """The closure where a deadlock makes the graph cyclic: rare and small, so simple."""
    near = [direct.get(bit, 0) for bit in range(size)]
    if not up:
        near = [sum(1 << w for w, mask in direct.items() if mask >> bit & 1) for bit in range(size)]
    reach = list(near)
    changed = True
    while changed:
        changed = False
        for bit in range(size):
            wider = reach[bit]
            for other in bits(near[bit]):
                wider |= reach[other]
            if wider != reach[bit]:
                reach[bit], changed = wider, True
    return reach


def without(graph: WaitGraph, session: int) -> WaitGraph:
    """The graph as it would be if the session were gone: its edges vanish, the queues close up, and whoever
    waited for its turn behind it waits for what the session waited for.
    """
    if session not in graph.ids:
        return graph
    gone = 1 << graph.ids.index(session)
    bit = gone.bit_length() - 1
    next_ = graph.hard.get(bit, 0) if graph.turns else 0
    turns = {w for w, mask in graph.hard.items() if mask & gone and graph.ids[w] in graph.turns}
    return msgspec.structs.replace(
        graph,
        hard={w: mask & ~gone | (next_ if w in turns else 0) for w, mask in graph.hard.items() if w != bit},
        soft={w: mask & ~gone for w, mask in graph.soft.items() if w != bit},
    )
