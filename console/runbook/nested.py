"""Branches, loops and calls. What they decide is recorded, so that no replay decides it anew; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from console.errors import DbdeckError
from console.runbook.document import Branch, Call, Document, ForEach, OnUnknown
from console.runbook.due import Ask, Finish, Looking, Next, Record, Scope
from console.runbook.events import Chosen, Decided, Event, Observed, Opened
from console.runbook.expression import condition, evaluate
from console.runbook.functions import seconds_of
from console.runbook.params import typed
from console.runbook.state import StepState
from console.runbook.values import UNKNOWN, is_answer, is_cut

MOST_CALLS: Final = 5


# ---- branches ------------------------------------------------------------------------------


def branch(
    walk: Looking, key: str, step: Branch, now: StepState, _: float, scope: Scope, names: dict[str, Any]
) -> Next | None:
    if now.state == "open":
        steps = step.otherwise if now.choice == "else" else step.cases[int(now.choice)].steps
        return walk.first(steps, scope)
    answer = walk.run.answers.get((key, "branch"))
    if answer is not None:
        return Record(event=Chosen(step=key, choice=answer.decision, by=answer.by))
    for i, case in enumerate(step.cases):
        holds = condition(case.holds, names)
        if holds:
            return Record(event=Chosen(step=key, choice=str(i)))
        if holds is None:
            return _which(key, step, case.holds)
    return Record(event=Chosen(step=key, choice="else"))


def _which(key: str, step: Branch, unknown: str) -> Next:
    text = f"{key}: nobody knows which way: {unknown} is not known"
    if step.on_unknown is OnUnknown.STOP:
        return Finish(result="failed", text=text)
    ways = (*(str(i) for i in range(len(step.cases))), "else", "stop")
    labels = ", ".join(f"{i}: {case.label or case.holds}" for i, case in enumerate(step.cases))
    return Ask(key=key, question="branch", text=f"{text} ({labels})", choices=ways)


# ---- loops -----------------------------------------------------------------------------------


def for_each(
    walk: Looking, key: str, step: ForEach, now: StepState, _: float, scope: Scope, names: dict[str, Any]
) -> Next | None:
    if now.state == "new":
        return Record(event=_open_loop(key, step, names))
    for i, item in enumerate(now.items):
        if step.canary is not None and i == step.canary:
            asked = _rest(walk, key, step, len(now.items) - i, names)
            if asked is not None:
                return asked
        found = walk.first(step.steps, item_scope(key, step, scope, i, item))
        if found is not None:
            return found
    return None


def item_scope(key: str, step: ForEach, scope: Scope, i: int, item: Any) -> Scope:
    inside = scope.inside(f"{key}[{i}].", **{step.name: item})
    return msgspec.structs.replace(inside, pause=seconds_of(step.pause_between) if i else 0.0)


def _rest(walk: Looking, key: str, step: ForEach, left: int, names: dict[str, Any]) -> Next | None:
    """Whether the rest may follow the canaries."""
    answer = walk.run.answers.get((key, "canary"))
    if answer is not None:
        return None
    if step.go_on_if is not None and condition(step.go_on_if, names):
        return Record(
            event=Decided(step=key, question="canary", decision="rest", by="the runbook", text=step.go_on_if)
        )
    text = f"{key}: {step.canary} done, {left} left; look before the rest is done"
    return Ask(key=key, question="canary", text=text, choices=("rest", "stop"))


# ---- calls -----------------------------------------------------------------------------------


def call(
    walk: Looking, key: str, step: Call, now: StepState, _: float, scope: Scope, names: dict[str, Any]
) -> Next | None:
    callee = walk.documents.get(step.runbook)
    if callee is None or scope.calls >= MOST_CALLS:
        why = "is not here" if callee is None else f"would be call {scope.calls + 1} inside another"
        return Record(event=Observed(step=key, state="failed", summary=f"the runbook {step.runbook} {why}"))
    if now.state == "new":
        return Record(event=_open_call(walk, key, step, callee, names))
    inside = callee_scope(walk, key, callee, now, scope)
    return walk.first(callee.steps, inside)


def callee_scope(walk: Looking, key: str, callee: Document, now: StepState, scope: Scope) -> Scope:
    return Scope(
        document=callee,
        prefix=f"{key}/",
        prefixes=(f"{key}/",),
        names={**now.given, **walk.run.started.facts},
        calls=scope.calls + 1,
        caller=key,
    )


def _open_call(walk: Looking, key: str, step: Call, callee: Document, names: dict[str, Any]) -> Event:
    given = {name: work_out(value, names) for name, value in step.given.items()}
    try:
        params = typed(callee, {name: value for name, value in given.items() if value is not None})
    except DbdeckError as error:
        return Observed(step=key, state="failed", summary=error.message)
    for one in callee.preconditions:
        if one.severity == "block" and not condition(one.holds, {**params, **walk.run.started.facts}):
            return Observed(step=key, state="failed", summary=f"{step.runbook}: {one.message}")
    return Opened(step=key, given=params)


def _open_loop(key: str, step: ForEach, names: dict[str, Any]) -> Event:
    found = evaluate(step.items, names)
    if is_cut(found):
        why = f"{step.items} is of an answer that was cut off: not all of them are known; none was done"
        return Observed(step=key, state="failed", summary=why)
    if is_answer(found):
        found = found["rows"]
    if found is UNKNOWN or not isinstance(found, list):
        return Observed(step=key, state="failed", summary=f"{step.items} is no list that is known")
    if len(found) > step.most:
        why = f"{len(found)} items are more than the {step.most} it may be; none was done"
        return Observed(step=key, state="failed", summary=why)
    return Opened(step=key, items=found)


def work_out(value: Any, names: Mapping[str, Any]) -> Any:
    """An argument: a text is an expression, anything else is itself."""
    if isinstance(value, str):
        return evaluate(value, names)
    if isinstance(value, list):
        return [work_out(one, names) for one in value]
    return value
