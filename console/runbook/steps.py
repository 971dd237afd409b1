"""What comes next in a run: a pure walk through the document by what the events say.

Nothing is done here. What the walk itself decides (a branch, the items of a loop) is returned as an event to
record, so that a replay never has to work it out again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from console.runbook.approving import approval, approved
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
from console.runbook.due import Ask, Do, Finish, Next, Record, Scope, Settle
from console.runbook.events import Closed, Noted, Observed, RollingBack, Skipped
from console.runbook.expression import condition, fill
from console.runbook.keys import level_of, step_of
from console.runbook.nested import MOST_CALLS, branch, call, for_each, work_out
from console.runbook.state import Run, StepState
from console.runbook.taking_back import back
from console.runbook.values import UNKNOWN, ExpressionError

# Who looks at a run needs this module only.
__all__ = [
    "MOST_CALLS", "Ask", "Do", "Finish", "Next", "Record", "Settle", "Walk", "approved", "level_of",
    "next_step", "step_of", "work_out",
]  # fmt: skip


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
            return back(self, top)
        if run.stopped is not None:
            return Finish(result="unknown" if run.unsettled else "stopped", text=run.stopped)
        found = approval(run, top) or self.first(top.document.steps, top)
        return found if found is not None else self._all_over()

    def _all_over(self) -> Finish:
        if self.run.unsettled:
            return Finish(result="unknown", text=f"nobody knows how {self.run.unsettled[0]} ended")
        return Finish(result="ok", text="every step was done")

    def top(self) -> Scope:
        started = self.run.started
        return Scope(document=self.documents[started.runbook], names={**started.params, **started.facts})

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

    def first(self, steps: tuple[Step, ...], scope: Scope) -> Next | None:
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
            Branch: partial(branch, self),
            ForEach: partial(for_each, self),
            Call: partial(call, self),
            End: self._end,
        }
        return kinds | dict.fromkeys(Acting.__args__, self._do)

    def _do(
        self, key: str, step: Acting, now: StepState, pause: float, _: Scope, names: dict[str, Any]
    ) -> Next:
        if isinstance(step, ActionStep) and now.state == "begun":
            return Settle(key=key, step=step, names=names, now=now)
        return Do(key=key, step=step, names=names, attempt=now.attempt + 1, pause=pause, resumes=now.resumes)

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


def next_step(documents: Mapping[str, Document], run: Run) -> Next:
    """What has to happen next."""
    return Walk(documents, run).next()
