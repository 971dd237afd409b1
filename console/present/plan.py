"""A plan and a run in words: the same text in the confirm dialog and on stdout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from console.dispatch.action import Plan
from console.dispatch.effect import Run
from console.errors import Exit
from console.present.table import Tone
from console.present.units import clean, clean_block, span

Said = list[tuple[Tone, str]]
_STATEMENTS = 40
_OBJECTS = 12
_LINE = 20_000


def describe(plan: Plan) -> Said:
    """Lines with a tone: what, on whom, the exact statements, forecast, warnings, what undoes it."""
    found = plan.subject.get("session")
    session = found if isinstance(found, Mapping) else {}
    said: Said = [(Tone.NOTICE, _headed(plan))]
    if session:
        said += [
            (Tone.NORMAL, f"  started {clean(str(session.get('started_at')), 60)}, "
                          f"{clean(str(session.get('state')))}, "
                          f"{clean(str(session.get('application') or 'no application name'))}"
                          f" from {clean(str(session.get('client') or 'unknown'))}"),
            (Tone.MUTED, f"  statement: {clean(str(session.get('query') or 'none'), 300)}"),
        ]  # fmt: skip
    # What would come of it stands first: on a small screen the statement may need reading on.
    # Names in them come from the server: none may look like a line of ours.
    said += [(Tone.GOOD, f"forecast: {clean(line, _LINE)}") for line in plan.forecast]
    said += [(Tone.WARN, f"warning: {clean(line, _LINE)}") for line in plan.warnings]
    said += [(Tone.BAD, f"refused: {clean(line, _LINE)}") for line in plan.refusals]
    said.append((Tone.NORMAL, "would send:" if plan.statements else "would send nothing"))
    said += [(Tone.NOTICE, f"  {indented(statement)}") for statement in plan.statements[:_STATEMENTS]]
    if len(plan.statements) > _STATEMENTS:
        said.append((Tone.MUTED, f"  and {len(plan.statements) - _STATEMENTS:,} more: --json has them all"))
    said += [
        (Tone.MUTED, f"undo: {indented(plan.undo)}"),
        (Tone.MUTED, f"risk: {plan.risk}; plan {plan.hash[:12]}"),
    ]
    return said


def _headed(plan: Plan) -> str:
    """A plan that somebody saved, or a ledger holds, may have anything for a name."""
    return (
        f"{clean(plan.action, 60)}: {_title(plan)} on {clean(plan.target, 60)} ({clean(plan.server.label)})"
    )


def indented(statement: str) -> str:
    """Its further lines stand further in: a line end in a name begins no line of ours."""
    return clean_block(statement).replace("\n", "\n    ")


def _title(plan: Plan) -> str:
    """Without the action's own word, which stands before it."""
    verb = plan.action.partition(".")[2]
    return clean(plan.title.removeprefix(f"{verb} of ").removeprefix(f"{verb}: "))


_EFFECTS = {
    "applied": (Tone.GOOD, "done"),
    "no_op": (Tone.NOTICE, "nothing changed"),
    "none": (Tone.BAD, "not done"),
    "unknown": (Tone.BAD, "OUTCOME UNKNOWN"),
}


def conclude(run: Run) -> Said:
    """How a run ended; `done` only where it was verified."""
    tone, word = (Tone.WARN, "partly done") if run.exit is Exit.PARTIAL else _EFFECTS[run.effect]
    proof = f": {clean(run.verify.summary.removesuffix(f': {word}'))}" if run.verify else ""
    said: Said = [(tone, f"{clean(run.action, 60)} on {clean(run.target, 60)}: {word}{proof}")]
    objects = run.verify.evidence.get("objects", []) if run.verify else []
    for name, value in run.verify.evidence.items() if run.verify else ():
        if name in _TOLD:
            said += _TOLD[name](value)
        elif not objects or name not in _BY_OBJECT:
            said.append((Tone.NORMAL, f"  {name.replace('_', ' ')}: {clean(fact(value), 300)}"))
    if run.error:
        if message := _untold(run.error.message, objects[:_OBJECTS]):
            said.append((Tone.BAD, f"  {clean(message)}"))
        if run.error.hint:
            said.append((Tone.NOTICE, f"  hint: {clean(run.error.hint)}"))
    outcome = run.outcome if run.recorded else "waits in the journal"
    where = f"intent row {run.intent}, outcome row {outcome}"
    if run.intent is None:
        where = "in the journal of a break-glass alone"
    said.append((Tone.MUTED, f"  recorded: {where}, {run.duration_ms:.0f} ms, action {run.action_id}"))
    return said


# What the lines of the objects say already.
_BY_OBJECT = ("done", "not_done", "counts")


def _untold(message: str, objects: Sequence[Mapping[str, Any]]) -> str:
    """What the error says beyond the lines of the objects."""
    for one in objects:
        message = message.replace(
            f"{one.get('verb')} {one.get('subject')}: {one.get('end')}: {one.get('note')}", ""
        )
    return message.strip("; ")


def _objects(found: Sequence[Mapping[str, Any]]) -> Said:
    """What became of each object, what did not end well first, as the outcome row has them."""
    said: Said = []
    for one in found[:_OBJECTS]:
        end, tries = str(one.get("end")), int(one.get("tries") or 0)
        how = f" in {span(one.get('seconds'))}" if end == "done" else ""
        again = f" after {tries} tries" if tries > 1 else ""
        note = f": {clean(str(one['note']), 300)}" if one.get("note") else ""
        tone = Tone.NORMAL if end == "done" else Tone.WARN
        name = f"{clean(str(one.get('verb')), 60)} {clean(str(one.get('subject')), 200)}"
        said.append((tone, f"  {name}: {clean(end, 60)}{how}{again}{note}"))
    if len(found) > _OBJECTS:
        said.append((Tone.MUTED, f"  and {len(found) - _OBJECTS:,} more: `dbdeck audit show` has them"))
    return said


def _row(one: Mapping[str, Any]) -> str:
    """One death of a rehearsal."""
    when = "after" if one.get("after") else "before"
    return f"died {when} {one.get('effect')}: {one.get('left')}; gone on with: {one.get('end')}"


def _matrix(found: Sequence[Mapping[str, Any]]) -> Said:
    return [(Tone.NORMAL, f"  {clean(_row(one), 300)}") for one in found]


def _drills(found: Any) -> Said:
    from console.present import drills

    return drills.concluded(found)


def _rehearsal(found: Any) -> Said:
    from console.present import rehearsal_report

    return rehearsal_report.concluded(found)


# Evidence that has words of its own.
_TOLD: Mapping[str, Callable[[Any], Said]] = {
    "objects": _objects,
    "drills": _drills,
    "matrix": _matrix,
    "rehearsal": _rehearsal,
}


def fact(value: object) -> str:
    """A value of evidence in words: lists by commas, nothing as none."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {fact(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(fact(one) for one in value) or "none"
    if value is None:
        return "unknown"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
