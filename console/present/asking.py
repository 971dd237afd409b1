"""What a run asks a person, in words, and what each answer does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from console.present.plan import Said
from console.present.table import Tone
from console.present.units import clean
from console.runbook.document import Branch, Step
from console.runbook.steps import Ask

_TITLES: Final[Mapping[str, str]] = {
    "approval": "this run wants to be approved by others than who started it",
    "confirm": "a gate: read, then type the phrase",
    "manual": "something to be done by hand",
    "branch": "which way? A condition is not known",
    "when": "do this step? Its condition is not known",
    "canary": "the first was done: look before the rest follows",
    "failure": "a step failed",
    "unknown": "nobody knows whether it holds: look for yourself, and say",
    "outcome": "nobody knows whether an action had its effect",
    "action": "an action: nothing is done before you say so",
}
_SAYS: Final[Mapping[tuple[str, str], str]] = {
    ("action", "yes"): "do it",
    ("action", "no"): "do not; stop the run",
    ("confirm", "yes"): "go on",
    ("confirm", "no"): "no; stop the run",
    ("manual", "done"): "it is done",
    ("manual", "no"): "it is not; stop the run",
    ("when", "do"): "do it",
    ("when", "skip"): "leave it out",
    ("canary", "rest"): "do the rest",
    ("failure", "retry"): "try again",
    ("failure", "continue"): "go on without it",
    ("failure", "rollback"): "take back what was done",
    ("unknown", "holds"): "it holds",
    ("unknown", "fails"): "it does not",
    ("outcome", "settle"): "look for its effect again",
    ("approval", "approve"): "approve",
}


class Choice(NamedTuple):
    """`decision` is what is recorded; `label` what it does."""

    decision: str
    label: str


def title(ask: Ask) -> str:
    return _TITLES[ask.question]


def choices(ask: Ask, step: Step | None) -> list[Choice]:
    """In the order of the question; of a branch with what each way is for."""
    return [Choice(one, _label(ask, one, step)) for one in ask.choices]


def _label(ask: Ask, decision: str, step: Step | None) -> str:
    if ask.question == "branch" and isinstance(step, Branch) and decision.isdigit():
        case = step.cases[int(decision)]
        return clean(f"if {case.label or case.holds}", 80)
    if ask.question == "branch" and decision == "else":
        return "none of these"
    return _SAYS.get((ask.question, decision), "stop the run" if decision == "stop" else decision)


def wants_text(ask: Ask) -> str:
    """What is to be typed, as the field says it; empty where a key is enough."""
    if ask.question == "manual":
        return "what was done (recorded in the ledger)"
    return f"type {clean(ask.phrase)} to go on" if ask.phrase else ""


def fault(ask: Ask, decision: str, text: str) -> str:
    """What is wrong with an answer; empty where nothing is."""
    if decision == "done" and ask.question == "manual" and not text.strip():
        return "say what was done: it goes into the ledger"
    if ask.phrase and decision == "yes" and text != ask.phrase:
        return f"that is not it: type {clean(ask.phrase)}, exactly so"
    return ""


def own_approval(run: str, hand_over: str, stop: str) -> Said:
    """To who started it, who cannot approve it. The last two are keys."""
    return [
        (Tone.WARN, "you started it, so others approve; nothing was done yet"),
        (Tone.NORMAL, f"{hand_over} hands it over, and {stop} lets go of it: it stays in the ledger"),
        (Tone.NORMAL, f"somebody else: `dbdeck runbook approve {run} --reason TEXT`"),
    ]
