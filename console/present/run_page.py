"""What there is to say of one line of a run's map: why, the text, what it does, how it went, what it saw."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from console.present.evidence import Evidence, evidence
from console.present.plan import Said, fact
from console.present.run_map import Spot, word
from console.present.table import Tone
from console.present.units import clean, clean_block
from console.runbook.document import (
    ActionStep,
    Branch,
    Call,
    Capture,
    Check,
    Confirm,
    End,
    ForEach,
    Manual,
    Note,
    Query,
    Step,
    WaitUntil,
)
from console.runbook.events import Acted, Event, Observed
from console.runbook.expression import fill
from console.runbook.state import Run
from console.runbook.steps import Walk, work_out
from console.runbook.values import UNKNOWN, ExpressionError

_MARKS: Final = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&])")


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """`texts` are Markdown of the document, with values that cannot be any; `tables` what was saved."""

    head: Said
    texts: tuple[str, ...] = ()
    said: Said = []
    tables: tuple[Evidence, ...] = ()


def page(walk: Walk, spot: Spot, events: Iterable[Event]) -> Page:
    step = spot.step
    if step is None:
        return Page(head=[(Tone.NOTICE, clean(spot.text, 300)), (Tone.MUTED, word(spot))])
    names = walk.names(spot.scope) if spot.scope is not None else {}
    head = [(Tone.NOTICE, clean(step.title or step.id)), (Tone.MUTED, _kind(spot, step))]
    texts = [markdown(text, names) for text in (step.why, _text(step)) if text]
    said = [*_does(step, spot, names), *_went(walk.run, spot, step, events)]
    return Page(head=head, texts=tuple(texts), said=said, tables=tuple(evidence(step, spot.state.value)))


def markdown(text: str, names: Mapping[str, Any]) -> str:
    """A document's text for a Markdown widget: what is filled in is shown as it is, and nothing moves a
    terminal.
    """
    return clean_block(fill(text, names, shown=_literal) if names else text)


def _literal(value: str) -> str:
    return _MARKS.sub(r"\\\1", clean(value))


def _kind(spot: Spot, step: Step) -> str:
    again = f", attempt {spot.state.attempt}" if spot.state.attempt > 1 else ""
    when = f", only when {step.when}" if step.when else ""
    return clean(f"{spot.key} [{step.kind}]{again}{when}", 500)


def _text(step: Step) -> str:
    return step.text if isinstance(step, Note | Manual | Confirm | End) else ""


def _does(step: Step, spot: Spot, names: Mapping[str, Any]) -> Said:
    """What the step is, by its kind."""
    if isinstance(step, ActionStep):
        return [(Tone.NORMAL, clean_block(line)) for line in _action(step, spot, names)]
    say = _DOES.get(type(step))
    return [(Tone.NORMAL, clean_block(line)) for line in say(step, spot)] if say is not None else []


def _query(step: Query, _: Spot) -> list[str]:
    return [f"reads {step.read}" if step.read else "reads by its own SQL, in a read-only transaction"]


def _action(step: ActionStep, spot: Spot, names: Mapping[str, Any]) -> list[str]:
    given = spot.state.given or {name: _worked_out(value, names) for name, value in step.given.items()}
    arguments = " ".join(f"{name}={fact(value)}" for name, value in given.items())
    back = ", ".join(one.id for one in step.rollback)
    return [f"action {step.action} {arguments}", f"taken back by {back}" if back else "nothing takes it back"]


def _worked_out(value: Any, names: Mapping[str, Any]) -> Any:
    """An argument as it would be now; what is not known is shown as it is written."""
    try:
        found = work_out(value, names)
    except ExpressionError:
        return value
    return value if found is UNKNOWN else found


def _for_each(step: ForEach, _: Spot) -> list[str]:
    canary = f", the rest after {step.canary} and a yes" if step.canary is not None else ""
    return [f"for each {step.name} of {step.items}, at most {step.most}{canary}"]


_DOES: Final[Mapping[type, Callable[[Any, Spot], list[str]]]] = {
    Query: _query,
    Capture: lambda step, _: [f"keeps {', '.join(step.collect)} as {step.save}"],
    WaitUntil: lambda step, _: [
        f"waits until {step.until}, at most {step.timeout}, looks every {step.every}"
    ],
    Check: lambda step, _: [f"expects {one.holds}" for one in step.expect],
    Branch: lambda step, _: [f"if {one.holds}{f': {one.label}' if one.label else ''}" for one in step.cases],
    ForEach: _for_each,
    Call: lambda step, _: [f"calls the runbook {step.runbook}"],
    Confirm: lambda step, _: [f"wants typed: {step.phrase}"],
    End: lambda step, _: [f"ends the run as {step.result}"],
}


_EFFECTS: Final[Mapping[str, str]] = {
    "applied": "its effect stands",
    "no_op": "it was so already",
    "unknown": "OUTCOME UNKNOWN: never repeat it by hand before somebody looked",
}


def _went(run: Run, spot: Spot, step: Step, events: Iterable[Event]) -> Said:
    """How it went, and the warnings that came with it."""
    now = spot.state
    said: Said = []
    if now.effect != "none":
        said.append((Tone.BAD if now.effect == "unknown" else Tone.GOOD, _EFFECTS[now.effect]))
    if now.summary and not isinstance(step, Note):
        tone = {"failed": Tone.BAD, "passed": Tone.WARN, "unknown": Tone.WARN}.get(now.state, Tone.NORMAL)
        said.append((tone, clean_block(now.summary, 4000)))
    if isinstance(now.value, dict) and (seen := now.value.get("evidence")):
        said += [
            (Tone.MUTED, f"{name.replace('_', ' ')}: {clean(fact(one), 500)}") for name, one in seen.items()
        ]
    if now.action_id:
        said.append((Tone.MUTED, f"action {now.action_id}: `dbdeck audit show` has its rows"))
    if isinstance(step, End) and spot.now and run.ended is not None:
        said.append((Tone.NOTICE, f"the run ended here, as {run.ended.result}"))
    return said + [(Tone.WARN, f"warning: {clean(one, 500)}") for one in _warnings(spot.key, events)]


def _warnings(key: str, events: Iterable[Event]) -> list[str]:
    found: tuple[str, ...] = ()
    for event in events:
        if isinstance(event, Acted | Observed) and event.step == key:
            found = event.warnings
    return list(found)
