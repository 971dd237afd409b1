"""Long work on a server: how far it is, how fast, and when it would be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

KEPT = 30  # samples of one piece of work
KEPT_SECONDS = 300.0


class Confidence(StrEnum):
    """How much an ETA is worth."""

    GOOD = "good"  # several looks at a steady rate
    ROUGH = "rough"  # one look, or a rate that changes much
    NONE = "none"


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """`rate` in units a second, `seconds` left at that rate; None where nobody can tell."""

    rate: float | None = None
    seconds: float | None = None
    confidence: Confidence = Confidence.NONE


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One command that reports how far it is. `done` of `total` are of the phase, in `unit`s.

    `started_at` identifies the session with `session` (its id). `waits_for` are sessions it waits on now,
    by the server's own word. `rounds` are index passes of a vacuum: more than one means its memory was
    too small. `wraparound`: it protects from running out of numbers and must not be cancelled lightly.
    """

    session: int
    started_at: datetime | None = None
    command: str
    object: str = ""
    database: str = ""
    phase: str = ""
    done: int | None = None
    total: int | None = None
    unit: str = ""
    seconds: float | None = None  # since the statement began
    automatic: bool = False
    wraparound: bool = False
    waits_for: tuple[int, ...] = ()
    rounds: int | None = None
    query: str | None = None
    user: str | None = None
    details: dict[str, str] = {}
    estimate: Estimate = Estimate()

    @property
    def key(self) -> str:
        return f"{self.command}/{self.session}/{self.object}"

    @property
    def fraction(self) -> float | None:
        if self.done is None or not self.total:
            return None
        return min(1.0, self.done / self.total)


class ProgressReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that reports progress now; `notes` say what is not instrumented, and the command that
    switches it on.
    """

    work: tuple[Progress, ...] = ()
    notes: tuple[str, ...] = ()


class Sample(msgspec.Struct, frozen=True):
    at: float  # seconds, any clock that only goes forward
    done: int


class Pace:
    """Remembers how far each piece of work was, so that a second look knows its rate."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, str], list[Sample]] = {}

    def feed(self, work: Sequence[Progress], at: float) -> tuple[Progress, ...]:
        """The same work with its estimates; what is gone is forgotten."""
        samples = {(one.key, one.phase): self._kept(one, at) for one in work}
        self._samples = samples
        return tuple(
            msgspec.structs.replace(one, estimate=estimate(one, samples[one.key, one.phase])) for one in work
        )

    def _kept(self, one: Progress, at: float) -> list[Sample]:
        """A count that went back begins anew: the phase was entered again."""
        before = self._samples.get((one.key, one.phase), [])
        if one.done is None:
            return []
        if before and one.done < before[-1].done:
            before = []
        fresh = [kept for kept in before if at - kept.at <= KEPT_SECONDS]
        return [*fresh[-(KEPT - 1) :], Sample(at, one.done)]


def estimate(one: Progress, samples: Sequence[Sample]) -> Estimate:
    """From the looks at this phase; from its whole duration where there was one look at a first phase."""
    if one.done is None or not one.total:
        return Estimate()
    left = max(0, one.total - one.done)
    rate, confidence = _rate(samples)
    if rate is None and one.seconds and one.done and _first_phase(one):
        rate, confidence = one.done / one.seconds, Confidence.ROUGH
    if not rate:
        return Estimate(rate=rate, confidence=Confidence.NONE)
    return Estimate(rate=rate, seconds=left / rate, confidence=confidence)


def _rate(samples: Sequence[Sample]) -> tuple[float | None, Confidence]:
    """Units a second over all looks; rough where the first and the second half differ by more than half."""
    if len(samples) < 2 or samples[-1].at <= samples[0].at:
        return None, Confidence.NONE
    whole = _slope(samples[0], samples[-1])
    middle = samples[len(samples) // 2]
    if len(samples) < 4 or middle.at in (samples[0].at, samples[-1].at):
        return whole, Confidence.ROUGH
    early, late = _slope(samples[0], middle), _slope(middle, samples[-1])
    steady = min(early, late) >= 0.5 * max(early, late)
    return (whole, Confidence.GOOD) if steady else (late, Confidence.ROUGH)


def _slope(first: Sample, last: Sample) -> float:
    return (last.done - first.done) / (last.at - first.at)


# Phases in which a command's work begins right away, so that its whole time is theirs.
_FIRST: Mapping[str, Sequence[str]] = {
    "VACUUM": ("scanning heap",),
    "ANALYZE": ("acquiring sample rows",),
    "COPY FROM": ("",),
    "COPY TO": ("",),
    "BASE BACKUP": ("streaming database files",),
    "VACUUM FULL": ("seq scanning heap", "index scanning heap"),
    "CLUSTER": ("seq scanning heap", "index scanning heap"),
    "ALTER TABLE": ("read PK and internal sort",),
}


def _first_phase(one: Progress) -> bool:
    return one.phase in _FIRST.get(one.command, ())
