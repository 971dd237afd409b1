"""The linter's rules for loops, calls and fixtures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from console.errors import DbdeckError
from console.runbook.document import Call, ForEach, Step, children, walk
from console.runbook.findings import Sheet
from console.runbook.loader import Library
from console.runbook.rehearsal import MOST_STEPS, Endless, rehearse
from console.strict_yaml import Path_, did_you_mean

MOST_EVENTS: Final = 800


def for_each(sheet: Sheet, step: ForEach, path: Path_, known: Mapping[str, Any]) -> None:
    sheet.expression(step.items, (*path, "in"), known)
    if step.name in known:
        sheet.say("name-taken", (*path, "as"), f"{step.name} means something else here already")
    if step.go_on_if is not None:
        sheet.expression(step.go_on_if, (*path, "go_on_if"), known)
    if step.canary is not None and step.canary >= step.most:
        sheet.say(
            "canary",
            (*path, "canary"),
            f"{step.canary} canaries of at most {step.most} items are all of them",
        )


def call(sheet: Sheet, step: Call, path: Path_, known: Mapping[str, Any]) -> None:
    for name, value in step.given.items():
        sheet.value(value, (*path, "with", name), known)
    if step.runbook not in sheet.library:
        hint = did_you_mean(step.runbook, [one.id for one in sheet.library])
        sheet.say("call-unknown", (*path, "runbook"), f"there is no runbook {step.runbook!r}", hint)
        return
    params = sheet.library.get(step.runbook).document.params
    for name in step.given:
        if name not in params:
            sheet.say("call-param", (*path, "with", name), f"{step.runbook} has no param {name!r}")
    for name, param in params.items():
        if param.required and name not in step.given:
            sheet.say("call-param", path, f"{step.runbook} wants the param {name}")


def cycles(sheet: Sheet) -> None:
    for step, path in located(sheet.document.steps, ("steps",)):
        if isinstance(step, Call) and sheet.document.id in _reached(step.runbook, sheet.library):
            sheet.say("call-cycle", (*path, "runbook"), f"{step.runbook} comes back to {sheet.document.id}")


def fixtures(sheet: Sheet) -> None:
    documents = {one.id: one.document for one in sheet.library} | {sheet.document.id: sheet.document}
    events = 0
    for i, fixture in enumerate(sheet.document.tests):
        if events > MOST_EVENTS:
            told = f"the fixtures take more than {MOST_EVENTS} events together; this one was not walked"
            sheet.say("fixture", ("tests", i), told)
            return
        try:
            walked = rehearse(documents, sheet.document, fixture)
        except DbdeckError as error:
            sheet.say("fixture", ("tests", i), f"{fixture.name}: {error.message}", error.hint)
            events += MOST_STEPS if isinstance(error, Endless) else 0
            continue
        events += len(walked.events)
        if walked.result != fixture.result:
            told = f"it ends as {walked.result} ({walked.text}), not {fixture.result}"
            sheet.say("fixture", ("tests", i, "result"), f"{fixture.name}: {told}")
        if walked.path != fixture.path:
            sheet.say("fixture", ("tests", i, "path"), f"{fixture.name}: it goes {', '.join(walked.path)}")


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
