"""Rollback: the effects that stand, the last one first, each by its own steps; pure."""

from __future__ import annotations

from collections.abc import Iterator

from console.runbook.document import ActionStep, Branch, Call, ForEach, OnUnknown, Step
from console.runbook.due import Ask, Finish, Looking, Next, Scope, Settle
from console.runbook.nested import callee_scope, item_scope
from console.runbook.state import StepState

# ---- taking back -----------------------------------------------------------------------------


def back(walk: Looking, top: Scope) -> Next:
    """The effects that stand, the last one first; each as its own steps say."""
    places = {key: (step, scope) for key, step, scope in met(walk, top.document.steps, top)}
    for key, (step, scope) in places.items():
        now = walk.run.step(key)
        if now.effect == "unknown" or (now.acts and now.state == "begun"):
            return _settled_first(walk, key, step, now, scope)
    if walk.run.stopped is not None:
        return Finish(result="rollback_failed", text=walk.run.stopped)
    kept = []
    for key in reversed(walk.run.effects):
        step, scope = places[key]
        found = walk.first(step.rollback, scope.inside(f"{key}~"))
        if isinstance(found, Finish):
            return Finish(result="rollback_failed", text=found.text)
        if found is not None:
            return found
        kept += [] if step.rollback else [key]
    if kept:
        return Finish(result="rollback_failed", text=f"what nothing takes back stands: {', '.join(kept)}")
    return Finish(result="rolled_back", text="every effect was taken back")


def _settled_first(walk: Looking, key: str, step: ActionStep, now: StepState, scope: Scope) -> Next:
    """Nothing is taken back before it is known what there is."""
    if now.state == "begun" or now.settling:
        return Settle(key=key, step=step, names=walk.names(scope), now=now)
    if walk.run.stopped is not None or step.on_unknown is OnUnknown.STOP:
        return Finish(result="unknown", text=f"{key}: {now.summary}")
    text = f"{key}: {now.summary}; nothing is taken back before that is known"
    return Ask(key=key, question="outcome", text=text, choices=("settle", "stop"))


def met(walk: Looking, steps: tuple[Step, ...], scope: Scope) -> Iterator[tuple[str, ActionStep, Scope]]:
    """Every action that the run has come to, with its scope; those that take back others too."""
    for step in steps:
        key = scope.prefix + step.id
        now = walk.run.step(key)
        if isinstance(step, ActionStep):
            yield key, step, scope
        for inner, inside in _inner(walk, key, step, now, scope):
            yield from met(walk, inner, inside)


def _inner(
    walk: Looking, key: str, step: Step, now: StepState, scope: Scope
) -> Iterator[tuple[tuple[Step, ...], Scope]]:
    match step:
        case Branch() if now.choice:
            yield (step.otherwise if now.choice == "else" else step.cases[int(now.choice)].steps), scope
        case ForEach():
            for i, item in enumerate(now.items):
                yield step.steps, item_scope(key, step, scope, i, item)
        case Call() if step.runbook in walk.documents:
            callee = walk.documents[step.runbook]
            yield callee.steps, callee_scope(walk, key, callee, now, scope)
        case ActionStep() if walk.run.rolling_back:
            yield step.rollback, scope.inside(f"{key}~")
        case _:
            return
