"""How long the blocking tree takes to lay out: `python bench/layout.py`.

Shapes of about 10,000 edges each, on the machine it runs on; the best of five. The goal is 100 ms.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from console.model.blocking import blocking_forest
from console.model.locks import Claim, Edge, wait_graph
from console.model.sessions import Session
from console.model.whatif import jams

CONFLICTS = {"X": frozenset({"X"})}
DICE = random.Random(1)


def queue(length: int) -> list[Claim]:
    held = [Claim(session=1, object="row", mode="X", granted=True)]
    return held + [
        Claim(session=n, object="row", mode="X", granted=False, since=float(n)) for n in range(2, length + 2)
    ]


def between(pairs: Iterable[tuple[int, int]]) -> list[Edge]:
    return [Edge(waiter, blocker) for waiter, blocker in pairs]


SHAPES: dict[str, tuple[list[Claim], list[Edge]]] = {
    "142 in one queue": (queue(142), []),
    "500 sessions, 20 blockers each": (
        [],
        between((n, DICE.randrange(1, n)) for n in range(2, 502) for _ in range(20)),
    ),
    "2,000 sessions, 5 blockers each": (
        [],
        between((n, DICE.randrange(max(1, n - 50), n)) for n in range(2, 2002) for _ in range(5)),
    ),
    "10,000 sessions in a random tree": ([], between((n, DICE.randrange(1, n)) for n in range(2, 10_002))),
    "10,000 sessions in one chain": ([], between((n, n - 1) for n in range(2, 10_002))),
}


def measure(claims: list[Claim], edges: list[Edge]) -> tuple[int, float]:
    """(edges of the graph, ms)."""
    best = float("inf")
    for _ in range(5):
        graph = wait_graph(claims, CONFLICTS, edges=edges)
        known = {number: Session(id=number, started_at=datetime.now(UTC)) for number in graph.ids}
        middle = time.perf_counter()
        tree = blocking_forest(graph, known, {})
        jams(tree)
        best = min(best, time.perf_counter() - middle)
    return sum(mask.bit_count() for mask in graph.direct.values()), best * 1000


if __name__ == "__main__":
    for name, (claims, edges) in SHAPES.items():
        number, milliseconds = measure(claims, edges)
        print(f"{name:36} {number:7,} edges {milliseconds:7.1f} ms")
