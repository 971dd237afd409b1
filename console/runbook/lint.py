"""What is wrong with a runbook, found without a server: each finding has its rule, line and column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, Literal

import msgspec

from console.dispatch.registry import Registry, parse_args
from console.errors import DbdeckError, UsageError
from console.runbook import sql
from console.runbook.document import (
    ActionStep,
    Branch,
    Call,
    Capture,
    End,
    Flavor,
    ForEach,
    Manual,
    OnFailure,
    Query,
    Risk,
    Step,
    Verify,
    WaitUntil,
    children,
    walk,
)
from console.runbook.expression import evaluate, shown_in
from console.runbook.functions import seconds_of
from console.runbook.grammar import parse, paths_in
from console.runbook.loader import Library, Loaded
from console.runbook.params import bounds, fault
from console.runbook.rehearsal import rehearse
from console.runbook.suggesting import BESIDE
from console.runbook.values import ExpressionError
from console.strict_yaml import Path_, did_you_mean

FACTS: Final = frozenset({"target", "server"})
_RISKS: Final = tuple(Risk)
_SECRET: Final = ("password", "passwd", "secret", "token", "verifier")
_ANSWER: Final = frozenset({"rows", "count", "truncated"})
_SEEN: Final = frozenset({"rows", "row", "count"})
_ACTED: Final = frozenset({"effect", "summary", "evidence", "action_id"})
_SAID: Final = frozenset({"text", "by"})


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`place` is file, line and column. Only an error keeps a document from being run."""

    severity: Literal["error", "warning"]
    rule: str
    message: str
    place: str
    hint: str = ""


class Catalogue(msgspec.Struct, frozen=True):
    """What documents may name: the actions there are, and the reads by name."""

    registry: Registry
    reads: frozenset[str]


def lint(loaded: Loaded, library: Library, catalogue: Catalogue, today: date) -> list[Finding]:
    """In the order of the document."""
    found = _Lint(loaded, library, catalogue, today)
    found.run()
    return found.findings


class _Lint:
    def __init__(self, loaded: Loaded, library: Library, catalogue: Catalogue, today: date) -> None:
        self._loaded = loaded
        self._document = loaded.document
        self._library = library
        self._catalogue = catalogue
        self._today = today
        self.findings: list[Finding] = []

    def run(self) -> None:
        self._head()
        self._ids()
        known = dict.fromkeys((*self._document.params, *FACTS))
        self._conditions(known)
        self._suggestions()
        self._steps(self._document.steps, ("steps",), dict(known))
        self._calls()
        if not any(one.severity == "error" for one in self.findings):
            self._fixtures()

    def _say(self, rule: str, path: Path_, message: str, hint: str = "", *, warning: bool = False) -> None:
        severity: Literal["error", "warning"] = "warning" if warning else "error"
        place = self._loaded.at(path)
        self.findings.append(Finding(severity=severity, rule=rule, message=message, place=place, hint=hint))

    # ---- the head --------------------------------------------------------------------------------

    def _head(self) -> None:
        document = self._document
        for flavor, text in document.engines.items():
            try:
                bounds(text)
            except ValueError as error:
                self._say("engine-bound", ("engines", flavor), str(error), 'like ">=13" or ">=10.6, <12"')
        for name, param in document.params.items():
            wrong = fault(param)
            if wrong:
                self._say("param", ("params", name), f"{name}: {wrong}")
            if name in FACTS:
                self._say(
                    "name-taken", ("params", name), f"{name} is what expressions know of the run already"
                )
        if (self._today - document.reviewed).days * 86400 > seconds_of(document.review_every):
            message = f"last reviewed {document.reviewed}, and wanted every {document.review_every}"
            self._say("review-due", ("reviewed",), message, f"ask {document.owner}", warning=True)
        if not document.tests:
            self._say(
                "no-tests", (), "no fixture walks it", "write `tests` with recorded answers", warning=True
            )

    def _ids(self) -> None:
        """One id, one step: a key of the ledger and an answer on the command line name it."""
        seen: dict[str, Path_] = {}
        for step, path in located(self._document.steps, ("steps",)):
            if step.id in seen:
                first = self._loaded.place((*seen[step.id], "id"))
                self._say(
                    "id-twice", (*path, "id"), f"the id {step.id} is that of the step at {first} already"
                )
            seen.setdefault(step.id, path)

    def _conditions(self, known: Mapping[str, Any]) -> None:
        for i, one in enumerate(self._document.preconditions):
            self._expression(one.holds, ("preconditions", i, "assert"), known)
            self._text(one.message, ("preconditions", i, "message"), known)
        if self._document.approvals is not None:
            self._expression(self._document.approvals.when, ("approvals", "when"), known)

    def _suggestions(self) -> None:
        known = dict.fromkeys((*self._catalogue.reads, *FACTS, *BESIDE))
        for i, one in enumerate(self._document.suggest):
            self._expression(one.when, ("suggest", i, "when"), known)
            self._text(one.text, ("suggest", i, "text"), known)
            for name, value in one.given.items():
                at: Path_ = ("suggest", i, "with", name)
                if name not in self._document.params:
                    hint = did_you_mean(name, self._document.params)
                    self._say("suggest-param", at, f"there is no param {name!r}", hint)
                self._value(value, at, known)

    # ---- steps -----------------------------------------------------------------------------------

    def _steps(self, steps: Sequence[Step], path: Path_, known: dict[str, frozenset[str] | None]) -> bool:
        """Whether they always end the runbook. `known` gets what they save."""
        ended = False
        for i, step in enumerate(steps):
            at = (*path, i)
            if ended:
                self._say("unreachable", at, f"{step.id} is never reached: what stands before it always ends")
                ended = False
            ended = self._step(step, at, known) and step.when is None
            self._saves(step, at, known)
        return ended

    def _step(self, step: Step, path: Path_, known: dict[str, frozenset[str] | None]) -> bool:
        if step.when is not None:
            self._expression(step.when, (*path, "when"), known)
        for name in ("title", "why", "text", "phrase"):
            if isinstance(text := getattr(step, name, None), str):
                self._text(text, (*path, name), known)
        self._rollback(step, path)
        check = self._checks.get(type(step))
        if check is not None:
            check(step, path, known)
        self._expectations(step, path, known)
        return self._below(step, path, known)

    def _rollback(self, step: Step, path: Path_) -> None:
        wanted = getattr(step, "on_failure", None) is OnFailure.ROLLBACK
        if wanted and not any(
            isinstance(one, ActionStep) and one.rollback for one in walk(self._document.steps)
        ):
            self._say("rollback-nothing", (*path, "on_failure"), "no action of the runbook has a rollback")

    @property
    def _checks(self) -> Mapping[type, Callable[[Any, Path_, dict[str, frozenset[str] | None]], None]]:
        return {
            Query: self._query,
            WaitUntil: self._wait,
            Capture: self._capture,
            ActionStep: self._action,
            Call: self._call,
            ForEach: self._for_each,
        }

    def _below(self, step: Step, path: Path_, known: dict[str, frozenset[str] | None]) -> bool:
        """The steps in it; whether it always ends the runbook."""
        if isinstance(step, End):
            return True
        if isinstance(step, Branch):
            ends = []
            for i, case in enumerate(step.cases):
                self._expression(case.holds, (*path, "cases", i, "if"), known)
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
        if name in self._document.params or name in FACTS:
            self._say(
                "name-taken",
                (*path, "save"),
                f"{name} is the name of a param, or of what is known of the run",
            )
        fields = {Query: _ANSWER, WaitUntil: _ANSWER, ActionStep: _ACTED, Manual: _SAID}
        known[name] = frozenset(step.collect) if isinstance(step, Capture) else fields.get(type(step))

    def _expectations(self, step: Step, path: Path_, known: Mapping[str, Any]) -> None:
        more = dict.fromkeys(_SEEN) if isinstance(step, Query | WaitUntil | Capture | ActionStep) else {}
        for i, one in enumerate(getattr(step, "expect", ())):
            self._expression(one.holds, (*path, "expect", i, "assert"), {**known, **more})
            self._text(one.message, (*path, "expect", i, "message"), {**known, **more})

    # ---- reads -----------------------------------------------------------------------------------

    def _query(self, step: Query, path: Path_, known: Mapping[str, Any]) -> None:
        self._read(step, path, known, needed=True)

    def _wait(self, step: WaitUntil, path: Path_, known: Mapping[str, Any]) -> None:
        self._read(step, path, known, needed=False)
        inside = {**known, **dict.fromkeys(_SEEN)}
        self._expression(step.until, (*path, "until"), inside)
        if step.abort_if is not None:
            self._expression(step.abort_if, (*path, "abort_if"), inside)

    def _capture(self, step: Capture, path: Path_, _: Mapping[str, Any]) -> None:
        for i, name in enumerate(step.collect):
            self._known_read(name, (*path, "collect", i))

    def _read(
        self, step: Query | WaitUntil | Verify, path: Path_, known: Mapping[str, Any], *, needed: bool
    ) -> None:
        if (step.read is not None) + (step.sql is not None) != 1 and (needed or step.read or step.sql):
            self._say("read-or-sql", path, "it has either `read` or `sql`")
        if step.read is not None:
            self._known_read(step.read, (*path, "read"))
        for name, value in step.args.items():
            self._value(value, (*path, "args", name), known)
        if step.sql is not None:
            self._sql(step.sql, set(step.args), path)

    def _known_read(self, name: str, path: Path_) -> None:
        if name not in self._catalogue.reads:
            self._say(
                "read-unknown",
                path,
                f"there is no read {name!r}",
                did_you_mean(name, sorted(self._catalogue.reads)),
            )

    def _sql(self, text: str | Mapping[Flavor, str], args: set[str], path: Path_) -> None:
        variants = {(): text} if isinstance(text, str) else {(flavor,): one for flavor, one in text.items()}
        if not isinstance(text, str):
            for flavor in self._document.engines:
                if flavor not in text:
                    self._say(
                        "sql-variant",
                        (*path, "sql"),
                        f"there is no SQL for {flavor}, which the runbook is for",
                    )
        for where, one in variants.items():
            at = (*path, "sql", *where)
            wrong = sql.fault(one)
            if wrong:
                self._say("sql-read-only", at, wrong)
                continue
            wanted = sql.params_in(one)
            for name in sorted(wanted - args):
                self._say("sql-args", at, f"it wants :{name}, which `args` does not give")
            for name in sorted(args - wanted):
                self._say("sql-args", (*path, "args", name), f"the SQL does not use :{name}")

    # ---- actions ---------------------------------------------------------------------------------

    def _action(self, step: ActionStep, path: Path_, known: Mapping[str, Any]) -> None:
        for name, value in step.given.items():
            self._value(value, (*path, "with", name), known)
        if step.verify is not None:
            self._verify(step.verify, (*path, "verify"), known)
        try:
            action = self._catalogue.registry.get(step.action)
        except UsageError as error:
            self._say("action-unknown", (*path, "action"), f"there is no action {step.action!r}", error.hint)
            return
        self._fits(step, action, path)
        self._arguments(step, action, path)

    def _fits(self, step: ActionStep, action: Any, path: Path_) -> None:
        if _RISKS.index(Risk(str(action.risk))) > _RISKS.index(self._document.risk):
            message = f"{step.action} is of {action.risk} risk, and the runbook says {self._document.risk}"
            self._say("risk", (*path, "action"), message, f"write `risk: {action.risk}`")
        missing = [flavor for flavor in self._document.engines if flavor not in action.flavors]
        if missing and not _guarded(step):
            message = f"{step.action} is not for {', '.join(missing)}, which the runbook is for"
            self._say(
                "action-engine", (*path, "action"), message, "give the step a `when` that asks server.flavor"
            )

    def _arguments(self, step: ActionStep, action: Any, path: Path_) -> None:
        fields = {field.encode_name: field for field in msgspec.structs.fields(action.Args)}
        for name in step.given:
            if name not in fields:
                message = f"{step.action} has no argument {name!r}"
                self._say("action-argument", (*path, "with", name), message, did_you_mean(name, fields))
        for name, field in fields.items():
            if field.required and name not in step.given:
                self._say("action-argument", path, f"{step.action} wants the argument {name}")
        if "started_at" in fields and "started_at" not in step.given and {"id", "root"} & set(step.given):
            self._say(
                "session-start", path, "a session's number alone may be another session's by then",
                "give started_at as well",
            )  # fmt: skip
        self._literals(step, action, path)

    def _literals(self, step: ActionStep, action: Any, path: Path_) -> None:
        """What is known without a run is tried on the action's own types, where all of it is."""
        given = {name: _literal(value) for name, value in step.given.items()}
        if any(value is _OPEN for value in given.values()):
            return
        try:
            parse_args(action, given)
        except UsageError as error:
            self._say("action-argument", (*path, "with"), error.message.partition("; nothing")[0])

    def _verify(self, verify: Verify, path: Path_, known: Mapping[str, Any]) -> None:
        self._read(verify, path, known, needed=True)
        inside = {**known, **dict.fromkeys(_SEEN)}
        self._expression(verify.applied_if, (*path, "applied_if"), inside)
        if verify.not_applied_if is not None:
            self._expression(verify.not_applied_if, (*path, "not_applied_if"), inside)

    # ---- loops and calls -------------------------------------------------------------------------

    def _for_each(self, step: ForEach, path: Path_, known: Mapping[str, Any]) -> None:
        self._expression(step.items, (*path, "in"), known)
        if step.name in known:
            self._say("name-taken", (*path, "as"), f"{step.name} means something else here already")
        if step.go_on_if is not None:
            self._expression(step.go_on_if, (*path, "go_on_if"), known)
        if step.canary is not None and step.canary >= step.most:
            self._say(
                "canary",
                (*path, "canary"),
                f"{step.canary} canaries of at most {step.most} items are all of them",
            )

    def _call(self, step: Call, path: Path_, known: Mapping[str, Any]) -> None:
        for name, value in step.given.items():
            self._value(value, (*path, "with", name), known)
        if step.runbook not in self._library:
            hint = did_you_mean(step.runbook, [one.id for one in self._library])
            self._say("call-unknown", (*path, "runbook"), f"there is no runbook {step.runbook!r}", hint)
            return
        params = self._library.get(step.runbook).document.params
        for name in step.given:
            if name not in params:
                self._say("call-param", (*path, "with", name), f"{step.runbook} has no param {name!r}")
        for name, param in params.items():
            if param.required and name not in step.given:
                self._say("call-param", path, f"{step.runbook} wants the param {name}")

    def _calls(self) -> None:
        for step, path in located(self._document.steps, ("steps",)):
            if isinstance(step, Call) and self._document.id in _reached(step.runbook, self._library):
                self._say(
                    "call-cycle", (*path, "runbook"), f"{step.runbook} comes back to {self._document.id}"
                )

    # ---- expressions -----------------------------------------------------------------------------

    def _value(self, value: Any, path: Path_, known: Mapping[str, Any]) -> None:
        for i, one in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(one, str):
                self._expression(one, (*path, i) if isinstance(value, list) else path, known)

    def _text(self, text: str, path: Path_, known: Mapping[str, Any]) -> None:
        for expression in shown_in(text):
            self._expression(expression, path, known)
            if any(word in expression.lower() for word in _SECRET):
                self._say(
                    "secret-shown",
                    path,
                    f"{{{{ {expression} }}}} looks like a secret, and texts are recorded",
                )

    def _expression(self, text: str, path: Path_, known: Mapping[str, frozenset[str] | None]) -> None:
        try:
            parse(text)
        except ExpressionError as error:
            self._say("expression", path, f"{text}: {error.message}")
            return
        for found in sorted(paths_in(text)):
            name, fields = found[0], found[1:2]
            if name not in known:
                self._say(
                    "name-unknown", path, f"{text}: there is no {name!r} here", did_you_mean(name, known)
                )
            elif (has := known[name]) is not None and fields and fields[0] not in has:
                self._say(
                    "field-unknown",
                    path,
                    f"{text}: {name} has no {fields[0]!r}",
                    did_you_mean(fields[0], has),
                )

    # ---- fixtures --------------------------------------------------------------------------------

    def _fixtures(self) -> None:
        documents = {one.id: one.document for one in self._library} | {self._document.id: self._document}
        for i, fixture in enumerate(self._document.tests):
            try:
                walked = rehearse(documents, self._document, fixture)
            except DbdeckError as error:
                self._say("fixture", ("tests", i), f"{fixture.name}: {error.message}", error.hint)
                continue
            if walked.result != fixture.result:
                told = f"it ends as {walked.result} ({walked.text}), not {fixture.result}"
                self._say("fixture", ("tests", i, "result"), f"{fixture.name}: {told}")
            if walked.path != fixture.path:
                self._say(
                    "fixture", ("tests", i, "path"), f"{fixture.name}: it goes {', '.join(walked.path)}"
                )


_OPEN: Final = object()


def _literal(value: Any) -> Any:
    """The value of an argument that needs no run; else _OPEN."""
    if isinstance(value, list):
        found = [_literal(one) for one in value]
        return _OPEN if any(one is _OPEN for one in found) else found
    if not isinstance(value, str):
        return value
    try:
        return _OPEN if paths_in(value) else evaluate(value, {})
    except ExpressionError:
        return _OPEN


def _guarded(step: ActionStep) -> bool:
    return step.when is not None and "server.flavor" in step.when


def _reached(name: str, library: Library) -> set[str]:
    found: set[str] = set()
    todo = [name]
    while todo:
        one = todo.pop()
        if one in library and one not in found:
            found.add(one)
            todo += [step.runbook for step in walk(library.get(one).document.steps) if isinstance(step, Call)]
    return found


def located(steps: Sequence[Step], path: Path_) -> Iterator[tuple[Step, Path_]]:
    """Every step with its path in the file."""
    for i, step in enumerate(steps):
        yield step, (*path, i)
        for where, inner in children(step):
            yield from located(inner, (*path, i, *where))
