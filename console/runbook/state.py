"""Where a run stands: nothing but what its events say. `advance` is pure: replayed, they give the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from console.errors import DbdeckError
from console.runbook.events import (
    Acted,
    Begun,
    Chosen,
    Closed,
    Decided,
    Effect,
    Ended,
    Event,
    HandedOver,
    Noted,
    Observed,
    Opened,
    Remarked,
    Result,
    Resumed,
    RollingBack,
    Skipped,
    Started,
)

APPROVAL: Final = "approval"
STOP: Final = "stop"  # of the whole run, while nobody runs it
_OVER: Final = ("done", "skipped", "passed")


class RunFault(DbdeckError):
    """An event that cannot follow what happened so far; the run is as it was."""

    kind = "run"


class StepState(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a run; of a `for_each` there are as many as items.

    `passed`: it failed, and the run goes on. `open`: a branch, loop or call whose steps are under way.
    `settling`: somebody asked to look for its effect again. `resumes`: the action that an earlier attempt
    did in part, which the next one goes on with.
    """

    state: Literal["new", "begun", "open", "done", "skipped", "failed", "passed", "unknown"]
    attempt: int = 0
    effect: Effect = "none"
    given: dict[str, Any] = {}
    items: list[Any] = []
    choice: str = ""
    summary: str = ""
    action_id: str = ""
    value: Any = None
    acts: bool = False
    settling: bool = False
    resumes: str = ""

    @property
    def over(self) -> bool:
        return self.state in _OVER


NEW: Final = StepState(state="new")


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger adds to an event: when by its clock (None: it does not have the row yet), and whose row
    it is by a login that a server verified (empty where nobody was).
    """

    at: datetime | None = None
    person: str = ""


UNSEEN: Final = Seen()


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a runbook. `steps` are by key; `effects` the keys of actions that changed something, in order;
    what takes them back is not among them.

    `answers` are decisions by (step, question), and are used up by what follows them. `handed` is the last
    hand-over, until somebody goes on with it. `at` is the ledger's time of the newest event, and `began` that
    of the first which is of a step: nobody's time counts before. `approvers`,
    `requester` and `executor` (who went on with it last) are people: a verified login, else a name.
    """

    started: Started
    steps: dict[str, StepState] = {}
    effects: tuple[str, ...] = ()
    answers: dict[tuple[str, str], Decided] = {}
    approvers: dict[str, datetime | None] = {}
    requester: str = ""
    executor: str = ""
    at: datetime | None = None
    began: datetime | None = None
    failures: int = 0
    rolling_back: bool = False
    stopped: str | None = None
    handed: HandedOver | None = None
    ended: Ended | None = None
    events: int = 1

    def step(self, key: str) -> StepState:
        return self.steps.get(key, NEW)

    @property
    def seconds(self) -> float:
        """How long it has gone on by the ledger's clock, whoever ran it, from its first step."""
        return (self.at - self.began).total_seconds() if self.at and self.began else 0.0

    @property
    def holder(self) -> str:
        """Who has it now, in words; empty for who began it or went on with it last."""
        return f"handed over to {self.handed.to} by {self.handed.by}" if self.handed else ""

    @property
    def cut_short(self) -> str:
        """The action that was begun and of whose end there is no row yet; empty where there is none."""
        return next((key for key, one in self.steps.items() if one.acts and one.state == "begun"), "")

    @property
    def unsettled(self) -> list[str]:
        """Actions of which nobody knows whether they had their effect."""
        return [key for key, one in self.steps.items() if one.state == "unknown" and one.effect == "unknown"]


def replay(events: Iterable[Event]) -> Run | None:
    """Raises RunFault for a list that is no run."""
    run: Run | None = None
    for event in events:
        run = advance(run, event)
    return run


def advance(run: Run | None, event: Event, seen: Seen = UNSEEN) -> Run:
    """The run after an event. Raises RunFault where it cannot have happened."""
    if isinstance(event, Started):
        if run is not None:
            raise RunFault("a run starts once")
        who = seen.person or event.by
        return Run(started=event, requester=who, executor=who, at=seen.at)
    if run is None:
        raise RunFault(f"a run begins with being started, not with {_name(event)}")
    if run.ended is not None and not isinstance(event, Remarked):
        raise RunFault(f"the run has ended; {_name(event)} cannot follow")
    after = _HANDLERS[type(event)](_with_people(run, event, seen), event)
    began = run.began or (seen.at if _is_of_a_step(event) else None)
    return msgspec.structs.replace(after, events=run.events + 1, at=seen.at or run.at, began=began)


def _is_of_a_step(event: Event) -> bool:
    if isinstance(event, Decided):
        return event.question not in (APPROVAL, STOP)
    return not isinstance(event, Resumed | HandedOver)


def _with_people(run: Run, event: Event, seen: Seen) -> Run:
    if isinstance(event, Resumed):
        return msgspec.structs.replace(run, executor=seen.person or event.by)
    if isinstance(event, Decided) and event.question == APPROVAL:
        return msgspec.structs.replace(
            run, approvers={**run.approvers, (seen.person or event.by): seen.at or run.at}
        )
    return run


def _name(event: Event) -> str:
    return type(event).__name__


def _with(run: Run, key: str, step: StepState, **more: Any) -> Run:
    return msgspec.structs.replace(run, steps={**run.steps, key: step}, **more)


def _require(run: Run, key: str, event: Event, *states: str) -> StepState:
    now = run.step(key)
    if now.state not in states:
        raise RunFault(f"{_name(event)} cannot follow: step {key} is {now.state}, not {' or '.join(states)}")
    return now


def _begun(run: Run, event: Begun) -> Run:
    now = _require(run, event.step, event, "new", "begun")
    if event.attempt != now.attempt + 1:
        raise RunFault(f"attempt {event.attempt} of {event.step} follows {now.attempt}")
    if now.state == "begun" and now.acts:
        raise RunFault(f"an action is never repeated while nobody knows its end: {event.step}")
    begun = StepState(
        state="begun", attempt=event.attempt, given=event.given, acts=event.acts, resumes=now.resumes
    )
    return _with(run, event.step, begun)


def _skipped(run: Run, event: Skipped) -> Run:
    now = _require(run, event.step, event, "new")
    return _with(run, event.step, msgspec.structs.replace(now, state="skipped", summary=event.why))


def _noted(run: Run, event: Noted) -> Run:
    now = _require(run, event.step, event, "new")
    return _with(run, event.step, msgspec.structs.replace(now, state="done", summary=event.text))


def _chosen(run: Run, event: Chosen) -> Run:
    now = _require(run, event.step, event, "new")
    return _with(run, event.step, msgspec.structs.replace(now, state="open", choice=event.choice))


def _opened(run: Run, event: Opened) -> Run:
    now = _require(run, event.step, event, "new")
    opened = msgspec.structs.replace(now, state="open", items=event.items, given=event.given)
    return _with(run, event.step, opened)


def _closed(run: Run, event: Closed) -> Run:
    now = _require(run, event.step, event, "open")
    return _with(run, event.step, msgspec.structs.replace(now, state="done", summary=event.text))


def _observed(run: Run, event: Observed) -> Run:
    now = _require(run, event.step, event, "begun", "new")
    if now.acts:
        raise RunFault(f"step {event.step} is an action: its end is told as one")
    if now.state == "new" and event.state != "failed":
        raise RunFault(f"step {event.step} was not begun")
    seen = msgspec.structs.replace(now, state=event.state, summary=event.summary, value=event.value)
    return _with(run, event.step, seen, failures=run.failures + (event.state == "failed"))


def _acted(run: Run, event: Acted) -> Run:
    now = _require(run, event.step, event, "begun", "unknown")
    if not now.acts:
        raise RunFault(f"step {event.step} is no action")
    if event.state == "not_begun":
        if event.effect != "none" or now.state != "begun":
            raise RunFault(f"what has not begun has no effect: {event.step}")
        return _with(run, event.step, StepState(state="new", attempt=now.attempt, resumes=now.resumes))
    if (event.state == "unknown") != (event.effect == "unknown"):
        raise RunFault(f"an effect that is not known is the end of no step: {event.step}")
    acted = msgspec.structs.replace(
        now,
        state=event.state,
        effect=event.effect,
        summary=event.summary,
        action_id=event.action_id or now.action_id,
        value=event.value,
        settling=False,
    )
    stands = event.effect == "applied" and "~" not in event.step  # those after a ~ take back others
    effects = (*run.effects, event.step) if stands else run.effects
    return _with(run, event.step, acted, effects=effects, failures=run.failures + (event.state == "failed"))


def _decided(run: Run, event: Decided) -> Run:
    if event.question == APPROVAL:
        return run
    if event.question == STOP:
        return msgspec.structs.replace(
            run, stopped=f"{event.by} stopped it: {event.text or 'no reason given'}"
        )
    handler = _DECISIONS.get(event.question)
    if handler is not None:
        return handler(run, event)
    if event.decision in ("stop", "no"):
        return msgspec.structs.replace(run, stopped=f"{event.step}: {event.by} said {event.decision}")
    return msgspec.structs.replace(run, answers={**run.answers, (event.step, event.question): event})


def _of_gate(run: Run, event: Decided) -> Run:
    """A confirm or a manual step."""
    now = _require(run, event.step, event, "new")
    if event.decision == "no":
        return msgspec.structs.replace(run, stopped=f"{event.step}: {event.by} said no")
    value = {"text": event.text, "by": event.by}
    return _with(run, event.step, msgspec.structs.replace(now, state="done", summary=event.text, value=value))


def _of_failure(run: Run, event: Decided) -> Run:
    now = _require(run, event.step, event, "failed")
    if event.decision == "retry":
        resumes = now.action_id if now.effect == "applied" else now.resumes
        return _with(run, event.step, StepState(state="new", attempt=now.attempt, resumes=resumes))
    if event.decision == "continue":
        return _with(run, event.step, msgspec.structs.replace(now, state="passed"))
    if event.decision == "rollback":
        return _rolling_back(run, event)
    return msgspec.structs.replace(run, stopped=f"{event.step} failed: {now.summary}")


def _of_unknown(run: Run, event: Decided) -> Run:
    """A condition of which nobody knows: somebody says."""
    now = _require(run, event.step, event, "unknown")
    if now.effect == "unknown":
        raise RunFault(f"the end of an action is looked for, not decided: {event.step}")
    if event.decision == "holds":
        return _with(run, event.step, msgspec.structs.replace(now, state="done"))
    if event.decision == "fails":
        failed = msgspec.structs.replace(now, state="failed")
        return _with(run, event.step, failed, failures=run.failures + 1)
    return msgspec.structs.replace(run, stopped=f"{event.step}: {now.summary}")


def _of_outcome(run: Run, event: Decided) -> Run:
    now = _require(run, event.step, event, "unknown")
    if event.decision == "settle":
        return _with(run, event.step, msgspec.structs.replace(now, settling=True))
    return msgspec.structs.replace(run, stopped=f"nobody knows how {event.step} ended")


def _handed_over(run: Run, event: HandedOver) -> Run:
    return msgspec.structs.replace(run, handed=event)


def _resumed(run: Run, _: Resumed) -> Run:
    return msgspec.structs.replace(run, handed=None)


def _told(run: Run, _: Event) -> Run:
    """What somebody notes changes nothing."""
    return run


def _rolling_back(run: Run, _: Event) -> Run:
    if run.rolling_back:
        raise RunFault("the run is being rolled back already")
    return msgspec.structs.replace(run, rolling_back=True, stopped=None)


def _ended(run: Run, event: Ended) -> Run:
    if event.result in ("ok", "rolled_back") and run.unsettled:
        raise RunFault(f"a run cannot be {event.result} while nobody knows how {run.unsettled[0]} ended")
    return msgspec.structs.replace(run, ended=event)


_DECISIONS: Final[Mapping[str, Callable[[Run, Decided], Run]]] = {
    "confirm": _of_gate,
    "manual": _of_gate,
    "failure": _of_failure,
    "unknown": _of_unknown,
    "outcome": _of_outcome,
}
_HANDLERS: Final[Mapping[type, Callable[[Run, Any], Run]]] = {
    Begun: _begun,
    Skipped: _skipped,
    Noted: _noted,
    Chosen: _chosen,
    Opened: _opened,
    Closed: _closed,
    Observed: _observed,
    Acted: _acted,
    Decided: _decided,
    HandedOver: _handed_over,
    Remarked: _told,
    Resumed: _resumed,
    RollingBack: _rolling_back,
    Ended: _ended,
}


def code_of(result: Result, run: Run) -> int:
    """The exit code of a run that ended (docs/cli.md): whether effects stand decides between 1 and 8."""
    if result == "unknown" or run.unsettled:
        return 9
    if result == "ok":
        return 0
    standing = bool(run.effects) and result != "rolled_back"
    return 8 if standing else 1
