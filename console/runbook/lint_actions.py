"""The linter's rules for actions: they exist, fit the document, and get the arguments they take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from console.dispatch.registry import parse_args
from console.errors import UsageError
from console.runbook.document import ActionStep, Risk, Verify
from console.runbook.expression import evaluate
from console.runbook.findings import SEEN, Sheet
from console.runbook.grammar import paths_in
from console.runbook.lint_reads import read
from console.runbook.values import ExpressionError
from console.strict_yaml import Path_, did_you_mean

_RISKS: Final = tuple(Risk)
_OPEN: Final = object()


def action(sheet: Sheet, step: ActionStep, path: Path_, known: Mapping[str, Any]) -> None:
    for name, value in step.given.items():
        sheet.value(value, (*path, "with", name), known)
    if step.verify is not None:
        _verify(sheet, step.verify, (*path, "verify"), known)
    try:
        action = sheet.catalogue.registry.get(step.action)
    except UsageError as error:
        sheet.say("action-unknown", (*path, "action"), f"there is no action {step.action!r}", error.hint)
        return
    _fits(sheet, step, action, path)
    _arguments(sheet, step, action, path)


def _fits(sheet: Sheet, step: ActionStep, action: Any, path: Path_) -> None:
    if _RISKS.index(Risk(str(action.risk))) > _RISKS.index(sheet.document.risk):
        message = f"{step.action} is of {action.risk} risk, and the runbook says {sheet.document.risk}"
        sheet.say("risk", (*path, "action"), message, f"write `risk: {action.risk}`")
    missing = [flavor for flavor in sheet.document.engines if flavor not in action.flavors]
    if missing and not _guarded(step):
        message = f"{step.action} is not for {', '.join(missing)}, which the runbook is for"
        sheet.say(
            "action-engine", (*path, "action"), message, "give the step a `when` that asks server.flavor"
        )


def _arguments(sheet: Sheet, step: ActionStep, action: Any, path: Path_) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(action.Args)}
    for name in step.given:
        if name not in fields:
            message = f"{step.action} has no argument {name!r}"
            sheet.say("action-argument", (*path, "with", name), message, did_you_mean(name, fields))
    for name, field in fields.items():
        if field.required and name not in step.given:
            sheet.say("action-argument", path, f"{step.action} wants the argument {name}")
    if "started_at" in fields and "started_at" not in step.given and {"id", "root"} & set(step.given):
        sheet.say(
            "session-start", path, "a session's number alone may be another session's by then",
            "give started_at as well",
        )  # fmt: skip
    _literals(sheet, step, action, path)


def _literals(sheet: Sheet, step: ActionStep, action: Any, path: Path_) -> None:
    """What is known without a run is tried on the action's own types, where all of it is."""
    given = {name: _literal(value) for name, value in step.given.items()}
    if any(value is _OPEN for value in given.values()):
        return
    try:
        parse_args(action, given)
    except UsageError as error:
        sheet.say("action-argument", (*path, "with"), error.message.partition("; nothing")[0])


def _verify(sheet: Sheet, verify: Verify, path: Path_, known: Mapping[str, Any]) -> None:
    read(sheet, verify, path, known, needed=True)
    inside = {**known, **dict.fromkeys(SEEN)}
    sheet.expression(verify.applied_if, (*path, "applied_if"), inside)
    if verify.not_applied_if is not None:
        sheet.expression(verify.not_applied_if, (*path, "not_applied_if"), inside)


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
