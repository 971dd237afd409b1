"""What is wrong with a runbook, found without a server: each finding has its rule, line and column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, Final

from console.runbook import lint_actions, lint_nested, lint_reads
from console.runbook.document import (
    ActionStep,
    Branch,
    Call,
    Capture,
    End,
    ForEach,
    Manual,
    OnFailure,
    Query,
    Step,
    WaitUntil,
    children,
    walk,
)
from console.runbook.findings import SECRET, SEEN, Catalogue, Finding, Sheet
from console.runbook.functions import seconds_of
from console.runbook.lint_nested import located
from console.runbook.loader import Library, Loaded
from console.runbook.params import bounds, fault
from console.runbook.suggesting import BESIDE
from console.strict_yaml import Path_, did_you_mean

__all__ = ["Catalogue", "Finding", "lint", "located"]

_NO_SECRETS: Final = (
    "params are no place for secrets: what is given stands in the command line and in the ledger, for good"
)
FACTS: Final = frozenset({"target", "server"})
_ANSWER: Final = frozenset({"rows", "count", "truncated"})
_ACTED: Final = frozenset({"effect", "summary", "evidence", "action_id"})
_SAID: Final = frozenset({"text", "by"})


def lint(loaded: Loaded, library: Library, catalogue: Catalogue, today: date) -> list[Finding]:
    """In the order of the document."""
    sheet = Sheet(loaded, library, catalogue, today)
    _Lint(sheet).run()
    return sheet.findings


class _Lint:
    """The walk through the document: which names are known where, and what is never reached."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet

    def run(self) -> None:
        self._head()
        self._ids()
        known = dict.fromkeys((*self._sheet.document.params, *FACTS))
        self._conditions(known)
        self._suggestions()
        self._steps(self._sheet.document.steps, ("steps",), dict(known))
        lint_nested.cycles(self._sheet)
        if not any(one.severity == "error" for one in self._sheet.findings):
            lint_nested.fixtures(self._sheet)

    # ---- the head --------------------------------------------------------------------------------

    def _head(self) -> None:
        document = self._sheet.document
        for flavor, text in document.engines.items():
            try:
                bounds(text)
            except ValueError as error:
                self._sheet.say(
                    "engine-bound", ("engines", flavor), str(error), 'like ">=13" or ">=10.6, <12"'
                )
        self._params()
        if (self._sheet.today - document.reviewed).days * 86400 > seconds_of(document.review_every):
            message = f"last reviewed {document.reviewed}, and wanted every {document.review_every}"
            self._sheet.say("review-due", ("reviewed",), message, f"ask {document.owner}", warning=True)
        if not document.tests:
            self._sheet.say(
                "no-tests", (), "no fixture walks it", "write `tests` with recorded answers", warning=True
            )

    def _params(self) -> None:
        for name, param in self._sheet.document.params.items():
            wrong = fault(param)
            if wrong:
                self._sheet.say("param", ("params", name), f"{name}: {wrong}")
            if any(word in name for word in SECRET):
                self._sheet.say("secret-param", ("params", name), _NO_SECRETS, warning=True)
            if name in FACTS:
                self._sheet.say(
                    "name-taken", ("params", name), f"{name} is what expressions know of the run already"
                )

    def _ids(self) -> None:
        """One id, one step: a key of the ledger and an answer on the command line name it."""
        seen: dict[str, Path_] = {}
        for step, path in located(self._sheet.document.steps, ("steps",)):
            if step.id in seen:
                first = self._sheet.loaded.place((*seen[step.id], "id"))
                self._sheet.say(
                    "id-twice", (*path, "id"), f"the id {step.id} is that of the step at {first} already"
                )
            seen.setdefault(step.id, path)

    def _conditions(self, known: Mapping[str, Any]) -> None:
        for i, one in enumerate(self._sheet.document.preconditions):
            self._sheet.expression(one.holds, ("preconditions", i, "assert"), known)
            self._sheet.text(one.message, ("preconditions", i, "message"), known)
        if self._sheet.document.approvals is not None:
            self._sheet.expression(self._sheet.document.approvals.when, ("approvals", "when"), known)

    def _suggestions(self) -> None:
        known = dict.fromkeys((*self._sheet.catalogue.reads, *FACTS, *BESIDE))
        for i, one in enumerate(self._sheet.document.suggest):
            self._sheet.expression(one.when, ("suggest", i, "when"), known)
            self._sheet.text(one.text, ("suggest", i, "text"), known)
            for name, value in one.given.items():
                at: Path_ = ("suggest", i, "with", name)
                if name not in self._sheet.document.params:
                    hint = did_you_mean(name, self._sheet.document.params)
                    self._sheet.say("suggest-param", at, f"there is no param {name!r}", hint)
                self._sheet.value(value, at, known)

    # ---- steps -----------------------------------------------------------------------------------

    def _steps(self, steps: Sequence[Step], path: Path_, known: dict[str, frozenset[str] | None]) -> bool:
        """Whether they always end the runbook. `known` gets what they save."""
        ended = False
        for i, step in enumerate(steps):
            at = (*path, i)
            if ended:
                self._sheet.say(
                    "unreachable", at, f"{step.id} is never reached: what stands before it always ends"
                )
                ended = False
            ended = self._step(step, at, known) and step.when is None
            self._saves(step, at, known)
        return ended

    def _step(self, step: Step, path: Path_, known: dict[str, frozenset[str] | None]) -> bool:
        if step.when is not None:
            self._sheet.expression(step.when, (*path, "when"), known)
        for name in ("title", "why", "text", "phrase"):
            if isinstance(text := getattr(step, name, None), str):
                self._sheet.text(text, (*path, name), known)
        self._rollback(step, path)
        check = self._checks.get(type(step))
        if check is not None:
            check(step, path, known)
        self._expectations(step, path, known)
        return self._below(step, path, known)

    def _rollback(self, step: Step, path: Path_) -> None:
        wanted = getattr(step, "on_failure", None) is OnFailure.ROLLBACK
        if wanted and not any(
            isinstance(one, ActionStep) and one.rollback for one in walk(self._sheet.document.steps)
        ):
            self._sheet.say(
                "rollback-nothing", (*path, "on_failure"), "no action of the runbook has a rollback"
            )

    @property
    def _checks(self) -> Mapping[type, Callable[[Any, Path_, dict[str, frozenset[str] | None]], None]]:
        return {
            Query: partial(lint_reads.query, self._sheet),
            WaitUntil: partial(lint_reads.wait, self._sheet),
            Capture: partial(lint_reads.capture, self._sheet),
            ActionStep: partial(lint_actions.action, self._sheet),
            Call: partial(lint_nested.call, self._sheet),
            ForEach: partial(lint_nested.for_each, self._sheet),
        }

    def _below(self, step: Step, path: Path_, known: dict[str, frozenset[str] | None]) -> bool:
        """The steps in it; whether it always ends the runbook."""
        if isinstance(step, End):
            return True
        if isinstance(step, Branch):
            ends = []
            for i, case in enumerate(step.cases):
                self._sheet.expression(case.holds, (*path, "cases", i, "if"), known)
                ends.append(self._steps(case.steps, (*path, "cases", i, "steps"), known))
            ends.append(self._steps(step.otherwise, (*path, "else"), known))
            return all(ends)
        if isinstance(step, ForEach):
            known = {**known, step.name: None}
        for where, steps in children(step):
            self._steps(steps, (*path, *where), dict(known))
        return False

    def _saves(self, step: Step, path: Path_, known: dict[str, frozenset[str] | None]) -> None:
        name = getattr(step, "save", None)
        if name is None:
            return
        if name in self._sheet.document.params or name in FACTS:
            self._sheet.say(
                "name-taken",
                (*path, "save"),
                f"{name} is the name of a param, or of what is known of the run",
            )
        fields = {Query: _ANSWER, WaitUntil: _ANSWER, ActionStep: _ACTED, Manual: _SAID}
        known[name] = frozenset(step.collect) if isinstance(step, Capture) else fields.get(type(step))

    def _expectations(self, step: Step, path: Path_, known: Mapping[str, Any]) -> None:
        more = dict.fromkeys(SEEN) if isinstance(step, Query | WaitUntil | Capture | ActionStep) else {}
        for i, one in enumerate(getattr(step, "expect", ())):
            self._sheet.expression(one.holds, (*path, "expect", i, "assert"), {**known, **more})
            self._sheet.text(one.message, (*path, "expect", i, "message"), {**known, **more})
