"""Short tries for a lock, with growing pauses: who queues for an exclusive lock stops everybody behind it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec

FIRST_SECONDS = 0.1
LONGEST_PAUSE = 30.0


class Rung(msgspec.Struct, frozen=True):
    """One try: how long it waits for the lock, and the pause after it failed; both in seconds."""

    wait: float
    pause: float


def rungs(longest: float, tries: int, chance: random.Random) -> Iterator[Rung]:
    """`tries` rungs whose waits double up to `longest`; pauses grow from half a second to half a minute.

    Each pause is between half and one and a half of its size, so that several who try do not keep step.
    """
    wait, pause = min(FIRST_SECONDS, longest), 0.5
    for _ in range(tries):
        yield Rung(wait, pause * chance.uniform(0.5, 1.5))
        wait, pause = min(longest, wait * 2), min(LONGEST_PAUSE, pause * 1.6)


def longest_seconds(longest: float, tries: int) -> float:
    """How long all tries take at most, with their pauses."""
    steps = list(rungs(longest, tries, _Upper()))
    return sum(one.wait + one.pause for one in steps) - (steps[-1].pause if steps else 0.0)


class _Upper(random.Random):
    def uniform(self, a: float, b: float) -> float:  # noqa: ARG002 - the upper end always
        return b
