"""The map of a run: every step of its documents, how far it is, and which ways were not taken. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec

from console.present.table import Column, Line, Tone
from console.present.units import clean
from console.runbook.document import ActionStep, Branch, Call, Document, End, ForEach, Step
from console.runbook.state import Run, StepState
from console.runbook.steps import Ask, Next, Scope, Walk

COLUMNS = (Column(title="step", width=20, grow=True), Column(title="state", width=9))
Place = Literal["taken", "not taken", "not known"]


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the map: a step, a way of a branch, or an item of a loop.

    `place`: whether the run comes by; `now`: it is here. `scope` is None where nobody knows it yet.
    """

    key: str
    depth: int
    text: str
    state: StepState = StepState(state="new")
    place: Place = "taken"
    now: bool = False
    step: Step | None = None
    scope: Scope | None = None


_GLYPHS: Final[Mapping[str, str]] = {
    "new": "·", "begun": "►", "open": "▼", "done": "■", "skipped": "-", "failed": "x", "passed": "x",
    "unknown": "?",
}  # fmt: skip
_WORDS: Final[Mapping[str, str]] = {
    "new": "", "begun": "running", "open": "open", "done": "done", "skipped": "left out",
    "failed": "FAILED", "passed": "failed", "unknown": "UNKNOWN",
}  # fmt: skip
_TONES: Final[Mapping[str, Tone]] = {
    "done": Tone.GOOD, "skipped": Tone.MUTED, "failed": Tone.BAD, "passed": Tone.WARN, "unknown": Tone.WARN,
}  # fmt: skip


def spots(documents: Mapping[str, Document], run: Run, due: Next | None) -> list[Spot]:
    """In the order of the documents. `due` is what comes next, as `next_step` tells it."""
    walk = Walk(documents, run)
    top = walk.top()
    current = getattr(due, "key", "")
    drawn = list(_Map(walk, current).steps(top.document.steps, top, 0, "taken"))
    if run.ended is not None:
        drawn = _with_end(drawn, str(run.ended.result))
    return [_settled(spot, drawn[place + 1 :]) for place, spot in enumerate(drawn)]


class _Map:
    def __init__(self, walk: Walk, current: str) -> None:
        self._walk = walk
        self._current = current

    def steps(
        self, steps: Sequence[Step], scope: Scope | None, depth: int, place: Place, prefix: str = ""
    ) -> Iterator[Spot]:
        for step in steps:
            key = (scope.prefix if scope is not None else prefix) + step.id
            now = self._walk.run.step(key) if scope is not None else StepState(state="new")
            here = key == self._current and scope is not None
            yield Spot(
                key=key, depth=depth, text=step.title or step.id, state=now, place=place, now=here, step=step,
                scope=scope,
            )  # fmt: skip
            yield from self._below(key, step, now, scope, depth + 1, place)

    def _below(
        self, key: str, step: Step, now: StepState, scope: Scope | None, depth: int, place: Place
    ) -> Iterator[Spot]:
        match step:
            case Branch():
                yield from self._ways(key, step, now, scope, depth, place)
            case ForEach():
                yield from self._items(key, step, now, scope, depth, place)
            case Call():
                yield from self._callee(key, step, now, scope, depth, place)
            case ActionStep() if (
                scope is not None and self._walk.run.rolling_back and now.effect == "applied"
            ):
                yield from self.steps(step.rollback, scope.inside(f"{key}~"), depth, place)
            case _:
                return

    def _ways(
        self, key: str, step: Branch, now: StepState, scope: Scope | None, depth: int, place: Place
    ) -> Iterator[Spot]:
        ways = [(str(i), case.label or case.holds, case.steps) for i, case in enumerate(step.cases)]
        ways += [("else", "else", step.otherwise)] if step.otherwise else []
        for name, label, steps in ways:
            taken: Place = place
            if place == "taken":
                taken = "not known" if not now.choice else "taken" if now.choice == name else "not taken"
            yield Spot(key=f"{key}?{name}", depth=depth, text=f"if {label}" if name != "else" else "else",
                       place=taken, scope=scope)  # fmt: skip
            yield from self.steps(steps, scope, depth + 1, taken)

    def _items(
        self, key: str, step: ForEach, now: StepState, scope: Scope | None, depth: int, place: Place
    ) -> Iterator[Spot]:
        if scope is None or now.state == "new":
            unknown: Place = "not known" if place == "taken" else place
            yield from self.steps(step.steps, None, depth, unknown, f"{key}[…].")
            return
        for i, item in enumerate(now.items):
            yield Spot(key=f"{key}[{i}]", depth=depth, text=f"{step.name} {i + 1} of {len(now.items)}",
                       place=place, scope=scope)  # fmt: skip
            yield from self.steps(
                step.steps, scope.inside(f"{key}[{i}].", **{step.name: item}), depth + 1, place
            )

    def _callee(
        self, key: str, step: Call, now: StepState, scope: Scope | None, depth: int, place: Place
    ) -> Iterator[Spot]:
        callee = self._walk.documents.get(step.runbook)
        if callee is None or depth > 40:
            return
        if scope is None or now.state == "new":
            unknown: Place = "not known" if place == "taken" else place
            yield from self.steps(callee.steps, None, depth, unknown, f"{key}/")
            return
        inside = Scope(
            document=callee, prefix=f"{key}/", prefixes=(f"{key}/",), calls=scope.calls + 1, caller=key,
            names={**now.given, **self._walk.run.started.facts},
        )  # fmt: skip
        yield from self.steps(callee.steps, inside, depth, place)


def _with_end(drawn: Sequence[Spot], result: str) -> list[Spot]:
    """Nothing records which `end` it was: the first on the way taken that every step before it led to."""
    found = list(drawn)
    for place, spot in enumerate(found):
        if spot.place != "taken" or spot.step is None:
            continue
        if isinstance(spot.step, End):
            if spot.step.result == result:
                found[place] = msgspec.structs.replace(spot, state=StepState(state="done"), now=True)
            return found
        if spot.state.state == "new":
            return found
    return found


def _settled(spot: Spot, after: Sequence[Spot]) -> Spot:
    """Branches and loops stay open in the run; here they are over once nothing in them is left to do."""
    if spot.state.state != "open" or spot.now:
        return spot
    inside = []
    for one in after:
        if one.depth <= spot.depth:
            break
        inside.append(one)
    here = any(one.now and not isinstance(one.step, End) for one in inside)
    left = any(one.place == "taken" and one.step and one.state.state in ("new", "begun") for one in inside)
    if here or left:
        return spot
    return msgspec.structs.replace(spot, state=msgspec.structs.replace(spot.state, state="done"))


def lines(drawn: Sequence[Spot], due: Next | None) -> list[Line]:
    """Glyph and word for each, so that no colour is needed."""
    return [_line(spot, due) for spot in drawn]


def _line(spot: Spot, due: Next | None) -> Line:
    text = f"{'  ' * spot.depth}{_glyph(spot)} {clean(spot.text, 200)}"
    return Line(key=spot.key, cells=(text, word(spot, due)), tone=_tone(spot))


def _glyph(spot: Spot) -> str:
    if spot.now and spot.state.state == "new":
        return "►"
    if spot.step is None:
        return {"taken": "→", "not taken": "-", "not known": "·"}[spot.place]
    return _GLYPHS[spot.state.state] if spot.place != "not taken" else "-"


def word(spot: Spot, due: Next | None = None) -> str:
    """How far it is, in one word."""
    if spot.place == "not taken":
        return "not taken"
    if spot.now and isinstance(due, Ask):
        return "asks"
    if spot.now and spot.state.state == "new":
        return "next"
    if spot.step is None:
        return ""
    if spot.state.effect == "no_op":
        return "was so"
    return _WORDS[spot.state.state]


def _tone(spot: Spot) -> Tone:
    if spot.place == "not taken":
        return Tone.MUTED
    if spot.now and spot.state.state in ("new", "begun", "open"):
        return Tone.NOTICE
    return _TONES.get(spot.state.state, Tone.NORMAL)
