"""What can come next in a run, and where a list of steps stands in it: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from console.dispatch.action import Plan
from console.runbook.document import Acting, ActionStep, Document, Step
from console.runbook.events import Event, Result
from console.runbook.state import Run, StepState


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Something the walk decided."""

    event: Event


class Do(msgspec.Struct, frozen=True, kw_only=True):
    """A step to be done now. `pause`: seconds to wait before it; `attempt` is the one to begin.

    `resumes` is the action that an earlier attempt did in part.
    """

    key: str
    step: Acting
    names: dict[str, Any]
    attempt: int
    pause: float = 0.0
    resumes: str = ""


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


class Looking(Protocol):
    """One look at a run, as those who know one kind of step need it."""

    documents: Mapping[str, Document]
    run: Run

    def first(self, steps: tuple[Step, ...], scope: Scope) -> Next | None:
        """The first thing to do among these; None where all of them are over."""

    def names(self, scope: Scope) -> dict[str, Any]:
        """What expressions know there."""
