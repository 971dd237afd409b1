"""When the shape of the queues is kept from one reading to the next, and when the server is asked again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from console.config import parse
from console.engine.postgres.link import Link
from console.engine.postgres.waits import Waits
from console.model.locks import Claim

X = "ExclusiveLock"
NONE: frozenset[int] = frozenset()


class Told(Waits):
    """The server's word on who blocks whom, one answer after the other; () is no answer in time."""

    def __init__(self, *answers: Mapping[int, Sequence[int]]) -> None:
        target = "{engine: postgres, host: /nowhere, environment: dev, monitor: {user: m}}"
        super().__init__(Link(parse(f"targets: {{t: {target}}}").target("t")))
        self.answers = list(answers)
        self.asked: list[list[int]] = []

    async def _blockers(self, asked: list[int]) -> Any:
        self.asked.append(asked)
        answer = self.answers.pop(0)
        return [{"pid": pid, "blockers": list(answer[pid])} for pid in asked if pid in answer]


def claim(session: int, since: float | None = None, *, mode: str = X) -> Claim:
    return Claim(session=session, object=("r",), mode=mode, granted=since is None, since=since)


APART = [claim(1), claim(2, 1.0), claim(3, 2.0)]
CLOSE = [claim(1), claim(2, 1.0), claim(3, 1.001)]
# 2 holds a lock on the object already: the server puts it ahead of those it blocks.
UPGRADED = [claim(1), claim(2, mode="AccessShareLock"), claim(2, 1.0), claim(3, 2.0)]


async def test_queues_that_stand_as_they_stood_keep_their_shape() -> None:
    waits = Told()
    first = await waits._shape(list(APART), [], NONE)
    assert await waits._shape(list(APART), [], NONE) is first
    assert waits.asked == []


async def test_whoever_comes_or_goes_changes_it() -> None:
    waits = Told()
    first = await waits._shape(list(APART), [], NONE)
    longer = await waits._shape([*APART, claim(4, 3.0)], [], NONE)
    assert 4 in longer.graph.ids
    shorter = await waits._shape(APART[:2], [], NONE)
    assert 3 not in shorter.graph.ids
    again = await waits._shape(list(APART), [], NONE)
    assert (again.graph, again is first) == (first.graph, False)
    turns = await waits._shape(list(APART), [], frozenset({3}))
    assert turns.graph.turns == {3}


async def test_an_answer_that_lasts_is_kept_with_the_shape() -> None:
    waits = Told({2: [1, 3], 3: [1]})
    first = await waits._shape(list(CLOSE), [], NONE)
    assert first.graph.direct[first.graph.ids.index(2)].bit_count() == 2
    assert await waits._shape(list(CLOSE), [], NONE) is first
    assert waits.asked == [[2, 3]]


async def test_without_an_answer_it_is_asked_again() -> None:
    waits = Told({}, {2: [1, 3], 3: [1]})
    first = await waits._shape(list(CLOSE), [], NONE)
    second = await waits._shape(list(CLOSE), [], NONE)
    assert second.graph != first.graph
    assert await waits._shape(list(CLOSE), [], NONE) is second
    assert len(waits.asked) == 2


async def test_a_queue_that_may_still_shift_is_asked_about_each_time() -> None:
    waits = Told({2: [1], 3: [1, 2]}, {2: [1, 3], 3: [1]})
    first = await waits._shape(list(UPGRADED), [], NONE)
    second = await waits._shape(list(UPGRADED), [], NONE)
    assert first.graph != second.graph
    assert len(waits.asked) == 2
