"""What comes next in a run: a pure walk through the document by what the events say.

Nothing is done here. What the walk itself decides (a branch, the items of a loop) is returned as an event to
record, so that a replay never has to work it out again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from console.dispatch.action import Plan
from console.errors import DbdeckError
from console.runbook.document import (
    Acting,
    ActionStep,
    Branch,
    Call,
    Confirm,
    Document,
    End,
    EndResult,
    ForEach,
    Manual,
    Note,
    OnFailure,
    OnUnknown,
    Step,
    walk,
)
from console.runbook.events import (
    Chosen,
    Closed,
    Decided,
    Event,
    Noted,
    Observed,
    Opened,
    Result,
    RollingBack,
    Skipped,
)
from console.runbook.expression import condition, evaluate, fill
from console.runbook.functions import seconds_of
from console.runbook.params import typed
from console.runbook.state import APPROVAL, Run, StepState
from console.runbook.values import UNKNOWN, ExpressionError

MOST_CALLS: Final = 5


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Something the walk decided."""

    event: Event


class Do(msgspec.Struct, frozen=True, kw_only=True):
    """A step to be done now. `pause`: seconds to wait before it; `attempt` is the one to begin."""

    key: str
    step: Acting
    names: dict[str, Any]
    attempt: int
    pause: float = 0.0


class Settle(msgspec.Struct, frozen=True, kw_only=True):
    """An action that was begun and whose end is not recorded: look for its effect, never do it again."""

    key: str
    step: ActionStep
    names: dict[str, Any]
    now: StepState


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What only a person can say. `choices` are the decisions there are, `phrase` what has to be typed,
    `plan` what an action would do.
    """

    key: str
    question: Literal[
        "approval", "confirm", "manual", "branch", "when", "canary", "failure", "unknown", "outcome", "action"
    ]
    text: str
    choices: tuple[str, ...]
    phrase: str = ""
    plan: Plan | None = None


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    result: Result
    text: str = ""


Next: TypeAlias = Record | Do | Settle | Ask | Finish


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Where a list of steps stands: whose document, what its keys begin with, and what names it knows.

    `prefixes` are those whose saved values are seen here, the outermost first. `pause` is before its first
    step, `caller` the step whose runbook this is.
    """

    document: Document
    prefix: str = ""
    prefixes: tuple[str, ...] = ("",)
    names: dict[str, Any]
    calls: int = 0
    caller: str = ""
    pause: float = 0.0

    def inside(self, prefix: str, **names: Any) -> Scope:
        return msgspec.structs.replace(
            self, prefix=prefix, prefixes=(*self.prefixes, prefix), names={**self.names, **names}, pause=0.0
        )


class Walk:
    """One look at a run. `documents` are the runbook and all it calls, by id."""

    def __init__(self, documents: Mapping[str, Document], run: Run) -> None:
        self.documents = documents
        self.run = run

    # ---- the whole ---------------------------------------------------------------------------

    def next(self) -> Next:
        run = self.run
        if run.ended is not None:
            return Finish(result=run.ended.result, text=run.ended.text)
        top = self.top()
        if run.rolling_back:
            return self._back(top)
        if run.stopped is not None:
            return Finish(result="unknown" if run.unsettled else "stopped", text=run.stopped)
        found = self._approval(top) or self._first(top.document.steps, top)
        return found if found is not None else self._all_over()

    def _all_over(self) -> Finish:
        if self.run.unsettled:
            return Finish(result="unknown", text=f"nobody knows how {self.run.unsettled[0]} ended")
        return Finish(result="ok", text="every step was done")

    def top(self) -> Scope:
        started = self.run.started
        return Scope(document=self.documents[started.runbook], names={**started.params, **started.facts})

    def _approval(self, top: Scope) -> Ask | None:
        """Asked until there are enough; a condition that is not known wants them."""
        wanted = top.document.approvals
        if wanted is None or condition(wanted.when, top.names) is False:
            return None
        have = len(self.run.approvers - {self.run.started.by})
        if have >= wanted.count:
            return None
        return Ask(
            key=APPROVAL,
            question="approval",
            text=f"{wanted.count} other than {self.run.started.by} have to approve this run; {have} did",
            choices=("approve",),
        )

    def names(self, scope: Scope) -> dict[str, Any]:
        """What expressions know there: params, facts, the items of loops, and what was saved before.

        What would be saved by a step that was left out, or comes later, is not known; it is never missing.
        """
        saves = {
            step.id: name for step in walk(scope.document.steps) if (name := getattr(step, "save", None))
        }
        found = dict.fromkeys(saves.values(), UNKNOWN) | scope.names
        for key, one in self.run.steps.items():
            level = level_of(key)
            if level in scope.prefixes and key[len(level) :] in saves and one.value is not None:
                found[saves[key[len(level) :]]] = one.value
        return found

    # ---- step by step ------------------------------------------------------------------------

    def _first(self, steps: tuple[Step, ...], scope: Scope) -> Next | None:
        """The first thing to do among these; None where all of them are over."""
        for place, step in enumerate(steps):
            within = scope if place == 0 else msgspec.structs.replace(scope, pause=0.0)
            found = self._of(step, within)
            if found is not None:
                return found
        return None

    def _of(self, step: Step, scope: Scope) -> Next | None:
        key = scope.prefix + step.id
        now = self.run.step(key)
        if now.over:
            return None
        if now.state == "failed":
            return self._failed(key, step, now)
        if now.state == "unknown":
            return self._unknown(key, step, now, scope)
        return self._due(key, step, now, scope)

    def _due(self, key: str, step: Step, now: StepState, scope: Scope) -> Next | None:
        names = self.names(scope)
        try:
            left_out = self._when(key, step, names) if now.state == "new" else None
            return left_out or self._kinds[type(step)](key, step, now, scope.pause, scope, names)
        except ExpressionError as error:
            if now.state != "new":
                return Finish(result="failed", text=f"{key} failed: {error.message}")
            return Record(event=Observed(step=key, state="failed", summary=error.message))

    def _when(self, key: str, step: Step, names: dict[str, Any]) -> Next | None:
        if step.when is None:
            return None
        holds = condition(step.when, names)
        if holds is None:
            answer = self.run.answers.get((key, "when"))
            if answer is None:
                text = f"nobody knows whether to do {key}: {step.when}"
                return Ask(key=key, question="when", text=text, choices=("do", "skip", "stop"))
            holds = answer.decision == "do"
        return None if holds else Record(event=Skipped(step=key, why=f"not when {step.when}"))

    @property
    def _kinds(self) -> Mapping[type, Callable[..., Next | None]]:
        kinds: dict[type, Callable[..., Next | None]] = {
            Note: self._note,
            Manual: self._manual,
            Confirm: self._confirm,
            Branch: self._branch,
            ForEach: self._for_each,
            Call: self._call,
            End: self._end,
        }
        return kinds | dict.fromkeys(Acting.__args__, self._do)

    def _do(
        self, key: str, step: Acting, now: StepState, pause: float, _: Scope, names: dict[str, Any]
    ) -> Next:
        if isinstance(step, ActionStep) and now.state == "begun":
            return Settle(key=key, step=step, names=names, now=now)
        return Do(key=key, step=step, names=names, attempt=now.attempt + 1, pause=pause)

    def _note(self, key: str, step: Note, _: StepState, __: float, ___: Scope, names: dict[str, Any]) -> Next:
        return Record(event=Noted(step=key, text=fill(step.text, names)))

    def _manual(
        self, key: str, step: Manual, _: StepState, __: float, ___: Scope, names: dict[str, Any]
    ) -> Next:
        return Ask(key=key, question="manual", text=fill(step.text, names), choices=("done", "no"))

    def _confirm(
        self, key: str, step: Confirm, _: StepState, __: float, ___: Scope, names: dict[str, Any]
    ) -> Next:
        text, phrase = fill(step.text, names), fill(step.phrase, names)
        return Ask(key=key, question="confirm", text=text, choices=("yes", "no"), phrase=phrase)

    def _end(self, _: str, step: End, __: StepState, ___: float, scope: Scope, names: dict[str, Any]) -> Next:
        text = fill(step.text, names)
        if scope.calls and step.result is EndResult.OK:
            caller = (
                scope.prefix.rpartition("/")[0] if scope.prefix.endswith("/") else scope.prefix.split("/")[0]
            )
            return Record(event=Closed(step=caller, text=text))
        if self.run.unsettled:
            return Finish(result="unknown", text=f"{text}; nobody knows how {self.run.unsettled[0]} ended")
        return Finish(result=step.result.value, text=text)

    # ---- what failed or is not known -----------------------------------------------------------

    def _failed(self, key: str, step: Step, now: StepState) -> Next | None:
        limit = self.documents[self.run.started.runbook].limits.stop_after_failures
        policy = getattr(step, "on_failure", OnFailure.STOP)
        if policy is OnFailure.CONTINUE and self.run.failures < limit:
            return None
        back = self.run.rolling_back
        if policy is OnFailure.ROLLBACK and not back:
            return Record(event=RollingBack(why=f"{key} failed: {now.summary}"))
        if policy is OnFailure.ASK:
            choices = ("retry", "continue", "stop") if back else ("retry", "continue", "rollback", "stop")
            return Ask(key=key, question="failure", text=f"{key} failed: {now.summary}", choices=choices)
        many = f" ({self.run.failures} steps failed)" if policy is OnFailure.CONTINUE else ""
        return Finish(result="failed", text=f"{key} failed: {now.summary}{many}")

    def _unknown(self, key: str, step: Step, now: StepState, scope: Scope) -> Next:
        text = f"{key}: {now.summary}"
        if now.effect == "unknown" and isinstance(step, ActionStep):
            if now.settling:
                return Settle(key=key, step=step, names=self.names(scope), now=now)
            if step.on_unknown is OnUnknown.STOP:
                return Finish(result="unknown", text=text)
            return Ask(key=key, question="outcome", text=text, choices=("settle", "stop"))
        if getattr(step, "on_unknown", OnUnknown.ASK) is OnUnknown.STOP:
            return Finish(result="failed", text=f"{text}: not known, and then it stops")
        return Ask(key=key, question="unknown", text=text, choices=("holds", "fails", "stop"))

    # ---- branches ------------------------------------------------------------------------------

    def _branch(
        self, key: str, step: Branch, now: StepState, _: float, scope: Scope, names: dict[str, Any]
    ) -> Next | None:
        if now.state == "open":
            steps = step.otherwise if now.choice == "else" else step.cases[int(now.choice)].steps
            return self._first(steps, scope)
        answer = self.run.answers.get((key, "branch"))
        if answer is not None:
            return Record(event=Chosen(step=key, choice=answer.decision, by=answer.by))
        for i, case in enumerate(step.cases):
            holds = condition(case.holds, names)
            if holds:
                return Record(event=Chosen(step=key, choice=str(i)))
            if holds is None:
                return self._which(key, step, case.holds)
        return Record(event=Chosen(step=key, choice="else"))

    def _which(self, key: str, step: Branch, unknown: str) -> Next:
        text = f"{key}: nobody knows which way: {unknown} is not known"
        if step.on_unknown is OnUnknown.STOP:
            return Finish(result="failed", text=text)
        ways = (*(str(i) for i in range(len(step.cases))), "else", "stop")
        labels = ", ".join(f"{i}: {case.label or case.holds}" for i, case in enumerate(step.cases))
        return Ask(key=key, question="branch", text=f"{text} ({labels})", choices=ways)

    # ---- loops -----------------------------------------------------------------------------------

    def _for_each(
        self, key: str, step: ForEach, now: StepState, _: float, scope: Scope, names: dict[str, Any]
    ) -> Next | None:
        if now.state == "new":
            return Record(event=_open_loop(key, step, names))
        for i, item in enumerate(now.items):
            if step.canary is not None and i == step.canary:
                asked = self._rest(key, step, len(now.items) - i, names)
                if asked is not None:
                    return asked
            found = self._first(step.steps, self._item(key, step, scope, i, item))
            if found is not None:
                return found
        return None

    def _item(self, key: str, step: ForEach, scope: Scope, i: int, item: Any) -> Scope:
        inside = scope.inside(f"{key}[{i}].", **{step.name: item})
        return msgspec.structs.replace(inside, pause=seconds_of(step.pause_between) if i else 0.0)

    def _rest(self, key: str, step: ForEach, left: int, names: dict[str, Any]) -> Next | None:
        """Whether the rest may follow the canaries."""
        answer = self.run.answers.get((key, "canary"))
        if answer is not None:
            return None
        if step.go_on_if is not None and condition(step.go_on_if, names):
            return Record(
                event=Decided(
                    step=key, question="canary", decision="rest", by="the runbook", text=step.go_on_if
                )
            )
        text = f"{key}: {step.canary} done, {left} left; look before the rest is done"
        return Ask(key=key, question="canary", text=text, choices=("rest", "stop"))

    # ---- calls -----------------------------------------------------------------------------------

    def _call(
        self, key: str, step: Call, now: StepState, _: float, scope: Scope, names: dict[str, Any]
    ) -> Next | None:
        callee = self.documents.get(step.runbook)
        if callee is None or scope.calls >= MOST_CALLS:
            why = "is not here" if callee is None else f"would be call {scope.calls + 1} inside another"
            return Record(
                event=Observed(step=key, state="failed", summary=f"the runbook {step.runbook} {why}")
            )
        if now.state == "new":
            return Record(event=self._open_call(key, step, callee, names))
        inside = self._callee(key, callee, now, scope)
        return self._first(callee.steps, inside)

    def _callee(self, key: str, callee: Document, now: StepState, scope: Scope) -> Scope:
        return Scope(
            document=callee,
            prefix=f"{key}/",
            prefixes=(f"{key}/",),
            names={**now.given, **self.run.started.facts},
            calls=scope.calls + 1,
            caller=key,
        )

    def _open_call(self, key: str, step: Call, callee: Document, names: dict[str, Any]) -> Event:
        given = {name: work_out(value, names) for name, value in step.given.items()}
        try:
            params = typed(callee, {name: value for name, value in given.items() if value is not None})
        except DbdeckError as error:
            return Observed(step=key, state="failed", summary=error.message)
        for one in callee.preconditions:
            if one.severity == "block" and not condition(one.holds, {**params, **self.run.started.facts}):
                return Observed(step=key, state="failed", summary=f"{step.runbook}: {one.message}")
        return Opened(step=key, given=params)

    # ---- taking back -----------------------------------------------------------------------------

    def _back(self, top: Scope) -> Next:
        """The effects that stand, the last one first; each as its own steps say."""
        places = {key: (step, scope) for key, step, scope in self._met(top.document.steps, top)}
        for key, (step, scope) in places.items():
            now = self.run.step(key)
            if now.effect == "unknown" or (now.acts and now.state == "begun"):
                return self._settled_first(key, step, now, scope)
        if self.run.stopped is not None:
            return Finish(result="rollback_failed", text=self.run.stopped)
        kept = []
        for key in reversed(self.run.effects):
            step, scope = places[key]
            found = self._first(step.rollback, scope.inside(f"{key}~"))
            if isinstance(found, Finish):
                return Finish(result="rollback_failed", text=found.text)
            if found is not None:
                return found
            kept += [] if step.rollback else [key]
        if kept:
            return Finish(result="rollback_failed", text=f"what nothing takes back stands: {', '.join(kept)}")
        return Finish(result="rolled_back", text="every effect was taken back")

    def _settled_first(self, key: str, step: ActionStep, now: StepState, scope: Scope) -> Next:
        """Nothing is taken back before it is known what there is."""
        if now.state == "begun" or now.settling:
            return Settle(key=key, step=step, names=self.names(scope), now=now)
        if self.run.stopped is not None or step.on_unknown is OnUnknown.STOP:
            return Finish(result="unknown", text=f"{key}: {now.summary}")
        text = f"{key}: {now.summary}; nothing is taken back before that is known"
        return Ask(key=key, question="outcome", text=text, choices=("settle", "stop"))

    def _met(self, steps: tuple[Step, ...], scope: Scope) -> Iterator[tuple[str, ActionStep, Scope]]:
        """Every action that the run has come to, with its scope; those that take back others too."""
        for step in steps:
            key = scope.prefix + step.id
            now = self.run.step(key)
            if isinstance(step, ActionStep):
                yield key, step, scope
            for inner, inside in self._inner(key, step, now, scope):
                yield from self._met(inner, inside)

    def _inner(
        self, key: str, step: Step, now: StepState, scope: Scope
    ) -> Iterator[tuple[tuple[Step, ...], Scope]]:
        match step:
            case Branch() if now.choice:
                yield (step.otherwise if now.choice == "else" else step.cases[int(now.choice)].steps), scope
            case ForEach():
                for i, item in enumerate(now.items):
                    yield step.steps, self._item(key, step, scope, i, item)
            case Call() if step.runbook in self.documents:
                callee = self.documents[step.runbook]
                yield callee.steps, self._callee(key, callee, now, scope)
            case ActionStep() if self.run.rolling_back:
                yield step.rollback, scope.inside(f"{key}~")
            case _:
                return


def next_step(documents: Mapping[str, Document], run: Run) -> Next:
    """What has to happen next."""
    return Walk(documents, run).next()


def work_out(value: Any, names: Mapping[str, Any]) -> Any:
    """An argument: a text is an expression, anything else is itself."""
    if isinstance(value, str):
        return evaluate(value, names)
    if isinstance(value, list):
        return [work_out(one, names) for one in value]
    return value


def _open_loop(key: str, step: ForEach, names: dict[str, Any]) -> Event:
    found = evaluate(step.items, names)
    if isinstance(found, dict) and isinstance(found.get("rows"), list):
        if found.get("truncated"):
            why = f"{step.items} was cut off at {len(found['rows'])} rows: not all of them; none was done"
            return Observed(step=key, state="failed", summary=why)
        found = found["rows"]
    if found is UNKNOWN or not isinstance(found, list):
        return Observed(step=key, state="failed", summary=f"{step.items} is no list that is known")
    if len(found) > step.most:
        why = f"{len(found)} items are more than the {step.most} it may be; none was done"
        return Observed(step=key, state="failed", summary=why)
    return Opened(step=key, items=found)


def level_of(key: str) -> str:
    """What the keys of its list begin with: everything up to the last `.`, `/` or `~`."""
    return key[: max(key.rfind(mark) for mark in "./~") + 1]
