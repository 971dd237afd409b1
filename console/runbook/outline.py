"""The whole tree of a runbook before it is run: what is known now, what is decided at run time, what takes it
back. It only reads, and it reads nothing that an effect before it would change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from console.dispatch.action import Plan, Risk
from console.errors import DbdeckError
from console.runbook.document import (
    ActionStep,
    Branch,
    Call,
    Capture,
    Check,
    Confirm,
    Document,
    End,
    ForEach,
    Manual,
    Note,
    Query,
    Step,
    WaitUntil,
    walk,
)
from console.runbook.events import Started
from console.runbook.expression import condition, evaluate, fill
from console.runbook.functions import seconds_of
from console.runbook.judging import judge, redacted, seen
from console.runbook.reading import Reading
from console.runbook.state import APPROVAL
from console.runbook.steps import MOST_CALLS, work_out
from console.runbook.values import UNKNOWN, ExpressionError, is_answer, is_cut

ITEMS_SHOWN: Final = 3
Planner = Callable[[str, Mapping[str, Any]], Awaitable[Plan]]
# What the policy says of an action, of this risk where it could be planned; "" where nothing is against it.
Denial = Callable[[str, Risk | None], str]
Known = Literal["now", "run time", "never", ""]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the tree. `known`: whether it is reached, as far as one can tell: `now` yes, `never` no."""

    depth: int
    step: str
    kind: str
    text: str
    known: Known = ""
    statements: tuple[str, ...] = ()
    policy: str = ""


def _unruled(action: str, risk: Risk | None) -> str:  # noqa: ARG001 - the port
    return ""


class _At(msgspec.Struct, kw_only=True):
    """Where the walk is. `live`: nothing before has changed anything, so a read now is a read then."""

    names: dict[str, Any]
    depth: int = 0
    live: bool = True
    prefix: str = ""
    calls: int = 0

    def below(self, *, live: bool | None = None, **names: Any) -> _At:
        return _At(
            names={**self.names, **names},
            depth=self.depth + 1,
            live=self.live if live is None else live,
            prefix=self.prefix,
            calls=self.calls,
        )


async def outline(
    reading: Reading,
    planner: Planner,
    documents: Mapping[str, Document],
    started: Started,
    denial: Denial = _unruled,
) -> list[Line]:
    """Raises nothing for what a server says: a read that fails is not known."""
    found = _Outline(reading, planner, documents, denial)
    at = _At(names={**started.params, **started.facts})
    found.approvals(documents[started.runbook], at)
    await found.steps(documents[started.runbook].steps, at)
    return found.lines


class _Outline:
    def __init__(
        self, reading: Reading, planner: Planner, documents: Mapping[str, Document], denial: Denial
    ) -> None:
        self._reading = reading
        self._planner = planner
        self._documents = documents
        self._denial = denial
        self.lines: list[Line] = []

    def approvals(self, document: Document, at: _At) -> None:
        wanted = document.approvals
        if wanted is None or _holds(wanted.when, at.names) is False:
            return
        within = f", each good for {wanted.expires}" if wanted.expires else ""
        others = "1 other" if wanted.count == 1 else f"{wanted.count} others"
        text = f"asks {others} to approve it first{within} (`dbdeck runbook approve RUN`)"
        self.lines.append(Line(depth=0, step=APPROVAL, kind=APPROVAL, text=text))

    def _say(
        self,
        at: _At,
        step: Step,
        text: str,
        known: Known = "",
        statements: Sequence[str] = (),
        policy: str = "",
    ) -> None:
        line = Line(
            depth=at.depth, step=at.prefix + step.id, kind=step.kind, text=text, known=known,
            statements=tuple(statements), policy=policy,
        )  # fmt: skip
        self.lines.append(line)

    async def steps(self, steps: Sequence[Step], at: _At) -> None:
        for step in steps:
            if step.when is not None:
                holds = _holds(step.when, at.names)
                if holds is False:
                    self._say(at, step, f"left out: not when {step.when}", "never")
                    continue
                if holds is None:
                    self._say(at, step, f"only when {step.when}", "run time")
                    at.live = False
            await self._kinds[type(step)](step, at)

    @property
    def _kinds(self) -> Mapping[type, Callable[[Any, _At], Awaitable[None]]]:
        return {
            Note: self._told,
            Manual: self._manual,
            Confirm: self._confirm,
            Check: self._check,
            Query: self._query,
            ActionStep: self._action,
            Capture: self._capture,
            WaitUntil: self._wait,
            Branch: self._branch,
            ForEach: self._for_each,
            Call: self._call,
            End: self._end,
        }

    async def _told(self, step: Note, at: _At) -> None:
        self._say(at, step, fill(step.text, at.names))

    async def _manual(self, step: Manual, at: _At) -> None:
        self._say(at, step, f"by hand: {fill(step.text, at.names)} (headless: --attest {step.id}=TEXT)")
        at.live = False
        _save(step.save, at)

    async def _confirm(self, step: Confirm, at: _At) -> None:
        phrase = fill(step.phrase, at.names)
        self._say(at, step, f"asks: {fill(step.text, at.names)} (headless: --confirm {step.id}={phrase})")

    async def _check(self, step: Check, at: _At) -> None:
        for one in step.expect:
            found = judge([one], at.names, "")
            told = {"done": "holds now", "failed": "DOES NOT HOLD NOW", "unknown": "decided at run time"}[
                found.state
            ]
            self._say(
                at, step, f"expects {one.holds}: {told}", "run time" if found.state == "unknown" else "now"
            )

    async def _query(self, step: Query, at: _At) -> None:
        what = f"reads {step.read}" if step.read is not None else "reads by its own SQL"
        what += _of(step, at)
        value = await self._read(step, at) if at.live else None
        if value is None:
            self._say(at, step, f"{what}: known at run time", "run time")
            _save(step.save, at)
            return
        self._say(at, step, f"{what}: {value['count']} rows now", "now")
        found = judge(step.expect, seen(value, at.names), "")
        if found.state == "failed":
            self._say(at, step, f"DOES NOT HOLD NOW: {found.summary}", "now")
        if step.save is not None:
            at.names[step.save] = value

    async def _read(self, step: Query, at: _At) -> dict[str, Any] | None:
        try:
            reading = await self._reading.of(step, at.names)
            value = await reading.rows(step, at.names, seconds_of(step.timeout), step.max_rows)
        except DbdeckError:
            return None
        value["rows"] = redacted(value["rows"], step.redact)
        return value

    async def _capture(self, step: Capture, at: _At) -> None:
        self._say(at, step, f"keeps {', '.join(step.collect)}{_of(step, at)} as {step.save}")
        _save(step.save, at)

    async def _wait(self, step: WaitUntil, at: _At) -> None:
        self._say(at, step, f"waits until {step.until}{_of(step, at)}, at most {step.timeout}", "run time")
        _save(step.save, at)

    async def _action(self, step: ActionStep, at: _At) -> None:
        given = {name: _worked_out(value, at.names) for name, value in step.given.items()}
        shown = ", ".join(
            f"{name}={step.given[name] if value is UNKNOWN else value}" for name, value in given.items()
        )
        statements, known, risk = await self._planned(step, at, given)
        ruled = self._denial(step.action, risk)
        self._say(at, step, f"ACTION {step.action} {shown}".rstrip(), known, statements, ruled)
        if step.rollback:
            self._say(at, step, "taken back by:")
            await self.steps(step.rollback, at.below(live=False))
        else:
            self._say(at, step, "nothing takes it back")
        at.live = False
        _save(step.save, at)

    async def _planned(
        self, step: ActionStep, at: _At, given: Mapping[str, Any]
    ) -> tuple[list[str], Known, Risk | None]:
        """What it would send and its risk, where all of it is known."""
        if not at.live or any(value is UNKNOWN for value in given.values()):
            return [], "run time", None
        try:
            plan = await self._planner(step.action, {k: v for k, v in given.items() if v is not None})
        except DbdeckError as error:
            return [f"cannot be planned now: {error.message}"], "now", None
        told = [f"warning: {one}" for one in plan.warnings] + [f"refused: {one}" for one in plan.refusals]
        return [*plan.statements, *told], "now", plan.risk

    async def _branch(self, step: Branch, at: _At) -> None:
        decided: bool | None = False
        for case in step.cases:
            holds = _holds(case.holds, at.names) if decided is False else (None if decided is None else False)
            self._say(
                at, step, f"if {case.holds}{_label(case.label)}: {_way(holds, decided)}", _reached(holds)
            )
            await self.steps(case.steps, at.below(live=at.live and holds is True))
            decided = decided if decided else holds
        otherwise: bool | None = {True: False, False: True, None: None}[decided]
        if step.otherwise:
            self._say(at, step, f"else: {_way(otherwise, decided)}", _reached(otherwise))
            await self.steps(step.otherwise, at.below(live=at.live and otherwise is True))
        for one in (*(case.steps for case in step.cases), step.otherwise):
            _forget(one, at)

    async def _for_each(self, step: ForEach, at: _At) -> None:
        items = _worked_out(step.items, at.names)
        items = items["rows"] if is_answer(items) and not is_cut(items) else items
        canary = f", the rest after {step.canary} and a yes" if step.canary is not None else ""
        if is_cut(items):
            self._say(at, step, f"DOES NOT GO NOW: {step.items} is of an answer that was cut off", "now")
        elif not isinstance(items, list):
            self._say(
                at, step, f"for each {step.name} of {step.items}, at most {step.most}{canary}", "run time"
            )
            await self.steps(step.steps, at.below(live=False, **{step.name: UNKNOWN}))
        else:
            self._say(at, step, f"for each {step.name} of {step.items}: {len(items)} now{canary}", "now")
            for item in items[:ITEMS_SHOWN]:
                await self.steps(step.steps, at.below(**{step.name: item}))
            if len(items) > ITEMS_SHOWN:
                self._say(at.below(), step, f"and {len(items) - ITEMS_SHOWN} more of the same")
        _forget(step.steps, at)

    async def _call(self, step: Call, at: _At) -> None:
        self._say(at, step, f"calls the runbook {step.runbook}")
        callee = self._documents.get(step.runbook)
        if callee is None or at.calls >= MOST_CALLS:
            return
        given = {name: _worked_out(value, at.names) for name, value in step.given.items()}
        params = {name: given.get(name, param.default) for name, param in callee.params.items()}
        inside = at.below()
        inside.names = {**params, "target": at.names["target"], "server": at.names["server"]}
        inside.prefix, inside.calls = f"{at.prefix}{step.id}/", at.calls + 1
        await self.steps(callee.steps, inside)
        at.live = at.live and inside.live

    async def _end(self, step: End, at: _At) -> None:
        self._say(at, step, f"ends as {step.result}: {fill(step.text, at.names)}")


def _holds(expression: str, names: Mapping[str, Any]) -> bool | None:
    try:
        return condition(expression, names)
    except ExpressionError:
        return None


def _worked_out(value: Any, names: Mapping[str, Any]) -> Any:
    try:
        return evaluate(value, names) if isinstance(value, str) else work_out(value, names)
    except ExpressionError:
        return UNKNOWN


def _of(step: Query | Capture | WaitUntil, at: _At) -> str:
    """Which other target is read."""
    if step.target is None:
        return ""
    found = _worked_out(step.target, at.names)
    return f" of {found if isinstance(found, str) else step.target}"


def _save(name: str | None, at: _At) -> None:
    if name is not None:
        at.names[name] = UNKNOWN


def _forget(steps: Sequence[Step], at: _At) -> None:
    """What may have been changed or saved on one of several ways is not known after them."""
    for step in walk(tuple(steps)):
        _save(getattr(step, "save", None), at)
        if isinstance(step, ActionStep | Manual):
            at.live = False


def _label(label: str) -> str:
    return f" ({label})" if label else ""


def _way(holds: bool | None, before: bool | None) -> str:
    if holds is None:
        return "decided at run time"
    if holds:
        return "this way, as it is now"
    return "another way is taken" if before else "not now"


def _reached(holds: bool | None) -> Known:
    return "run time" if holds is None else "now" if holds else "never"
