"""The list of jobs of this console: kept while it runs, and told to whoever shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from console.model.instants import steady_now
from console.model.jobs import Job, JobState

if TYPE_CHECKING:
    from console.dispatch.action import Advance

_KEPT: Final = 200


def _nobody(_: Job) -> None:
    """Nobody listens."""


class Jobs:
    """`changed` hears of each step, and `ended` of each end, with the job as it is then."""

    def __init__(self) -> None:
        self._jobs: dict[int, Job] = {}
        self._next = 1
        self.changed: Callable[[Job], None] = _nobody
        self.ended: Callable[[Job], None] = _nobody

    def begin(self, name: str, target: str, *, run: str = "") -> int:
        """Its number."""
        number, self._next = self._next, self._next + 1
        self._jobs[number] = Job(number=number, name=name, target=target, started_at=steady_now(), run=run)
        over = [one.number for one in self._jobs.values() if one.state is not JobState.RUNNING]
        for old in over[: max(0, len(self._jobs) - _KEPT)]:
            del self._jobs[old]
        self.changed(self._jobs[number])
        return number

    def tell(self, number: int, text: str, seen: Advance | None = None) -> None:
        known = self._jobs.get(number)
        if known is None or known.state is not JobState.RUNNING:
            return
        share = min(1.0, seen.done / seen.total) if seen is not None and seen.total else None
        eta = seen.eta if seen is not None else None
        self._jobs[number] = msgspec.structs.replace(known, said=text, share=share, eta=eta)
        self.changed(self._jobs[number])

    def end(self, number: int, state: JobState, said: str, result: Sequence[str] = ()) -> None:
        known = self._jobs.get(number)
        if known is None or known.state is not JobState.RUNNING:
            return
        found = msgspec.structs.replace(
            known, state=state, said=said, result=tuple(result), ended_at=steady_now(), eta=None
        )
        self._jobs[number] = found
        self.changed(found)
        self.ended(found)

    async def read(self) -> tuple[Job, ...]:
        return tuple(self._jobs.values())

    @property
    def all(self) -> tuple[Job, ...]:
        return tuple(self._jobs.values())
