"""A walk through a document by recorded answers: no server, no ledger, the same state machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec

from console.errors import UsageError
from console.runbook.document import (
    Acting,
    ActionStep,
    Capture,
    Check,
    Document,
    Fixture,
    Query,
    WaitUntil,
)
from console.runbook.events import Acted, Begun, Decided, Ended, Event, Observed, Started
from console.runbook.expression import condition
from console.runbook.judging import answer, judge, seen
from console.runbook.params import typed
from console.runbook.reading import elsewhere
from console.runbook.state import APPROVAL, Run, advance
from console.runbook.steps import Ask, Do, Finish, Record, Settle, level_of, next_step
from console.runbook.values import is_answer, is_cut

MOST_STEPS: Final = 400
_TARGET: Final = {
    "name": "rehearsal",
    "environment": "dev",
    "engine": "postgres",
    "labels": {},
    "read_only": False,
    "replicas": 0,
}
_SERVER: Final = {
    "flavor": "postgresql",
    "version": "18.0",
    "version_num": 180000,
    "primary": True,
    "database": "shop",
}


class Missing(UsageError):
    """The fixture says nothing of what the document asks."""

    kind = "fixture"


class Endless(Missing):
    """It takes more steps than a fixture is for."""


class Walked(msgspec.Struct, frozen=True, kw_only=True):
    """`path`: what was done, in order; `result` as in the ledger."""

    path: tuple[str, ...]
    result: str
    text: str
    events: tuple[Event, ...]


def facts(fixture: Fixture) -> dict[str, Any]:
    """What a rehearsal knows as `target` and `server`; the fixture's `target` changes parts of both."""
    given = fixture.target
    target = {name: given.get(name, value) for name, value in _TARGET.items()}
    server = {name: given.get(name, value) for name, value in _SERVER.items()}
    return {"target": target, "server": server}


def rehearse(documents: Mapping[str, Document], document: Document, fixture: Fixture) -> Walked:
    """Raises Missing, and what a wrong document raises."""
    started = Started(
        run="rehearsal", runbook=document.id, digest="", texts={}, target="rehearsal", by="rehearsal",
        params=typed(document, fixture.params), facts=facts(fixture),
    )  # fmt: skip
    return _Rehearsal(documents, fixture, advance(None, started)).walk()


class _Rehearsal:
    def __init__(self, documents: Mapping[str, Document], fixture: Fixture, run: Run) -> None:
        self._documents = documents
        self._fixture = fixture
        self._run = run
        self._path: list[str] = []
        self._events: list[Event] = [run.started]

    def walk(self) -> Walked:
        for _ in range(MOST_STEPS):
            due = next_step(self._documents, self._run)
            match due:
                case Record(event=event):
                    self._record(event)
                case Ask():
                    self._decide(due)
                case Do():
                    self._do(due)
                case Settle():
                    self._record(Acted(step=due.key, effect="applied", state="done", summary="it is there"))
                case Finish():
                    self._record(Ended(result=due.result, text=due.text))
                    return Walked(
                        path=tuple(self._path), result=due.result, text=due.text, events=tuple(self._events)
                    )
        raise Endless(f"the rehearsal does not end within {MOST_STEPS} steps")

    def _record(self, event: Event) -> None:
        self._run = advance(self._run, event)
        self._events.append(event)
        key = getattr(event, "step", "")
        if key and self._run.step(key).state in ("done", "passed") and key not in self._path:
            self._path.append(key)

    def _given(self, table: Mapping[str, Any], key: str) -> Any:
        """By the step's key, else by its own id."""
        own = key[len(level_of(key)) :]
        return table.get(key, table.get(own))

    def _decide(self, ask: Ask) -> None:
        decision = self._given(self._fixture.decisions, ask.key)
        if decision is None:
            raise Missing(f"the fixture {self._fixture.name!r} has no decision for {ask.key}: {ask.text}")
        by = "another" if ask.key == APPROVAL else "rehearsal"
        chosen = "done" if ask.question == "manual" and decision != "no" else decision
        self._record(Decided(step=ask.key, question=ask.question, decision=chosen, by=by, text=decision))

    def _do(self, due: Do) -> None:
        acts = isinstance(due.step, ActionStep)
        self._record(Begun(step=due.key, attempt=due.attempt, acts=acts))
        work: Callable[[str, Any, dict[str, Any]], Event] = self._works[type(due.step)]
        self._record(work(due.key, due.step, due.names))

    @property
    def _works(self) -> Mapping[type[Acting], Callable[[str, Any, dict[str, Any]], Event]]:
        return {
            Check: self._check,
            Query: self._query,
            Capture: self._capture,
            WaitUntil: self._wait,
            ActionStep: self._action,
        }

    def _rows(self, key: str) -> dict[str, Any]:
        found = self._given(self._fixture.answers, key)
        if is_answer(found):
            return answer(found["rows"], truncated=is_cut(found))
        if not isinstance(found, list):
            raise Missing(f"the fixture {self._fixture.name!r} has no rows for {key}")
        return answer(found)

    def _check(self, key: str, step: Check, names: dict[str, Any]) -> Event:
        found = judge(step.expect, names, "it holds")
        return Observed(step=key, state=found.state, summary=found.summary, warnings=found.warnings)

    def _query(self, key: str, step: Query, names: dict[str, Any]) -> Event:
        elsewhere(step, names)
        value = self._rows(key)
        found = judge(step.expect, seen(value, names), f"{value['count']} rows")
        return Observed(
            step=key, state=found.state, summary=found.summary, value=value, warnings=found.warnings
        )

    def _capture(self, key: str, step: Capture, names: dict[str, Any]) -> Event:
        elsewhere(step, names)
        given = self._given(self._fixture.answers, key) or {}
        value = {name: answer(given.get(name, [])) for name in step.collect}
        return Observed(step=key, state="done", summary="captured", value=value)

    def _wait(self, key: str, step: WaitUntil, names: dict[str, Any]) -> Event:
        elsewhere(step, names)
        value = self._rows(key) if step.read or step.sql else answer([])
        known = seen(value, names)
        if step.abort_if is not None and condition(step.abort_if, known):
            return Observed(step=key, state="failed", summary=f"given up: {step.abort_if}", value=value)
        state: Literal["done", "failed"] = "done" if condition(step.until, known) else "failed"
        return Observed(step=key, state=state, summary=step.until, value=value)

    def _action(self, key: str, _: ActionStep, __: dict[str, Any]) -> Event:
        effect = self._given(self._fixture.effects, key) or "applied"
        state = {"applied": "done", "no_op": "done", "none": "failed", "unknown": "unknown"}[effect]
        evidence = self._given(self._fixture.evidence, key) or {}
        value = {"effect": effect, "summary": "rehearsed", "evidence": evidence}
        return msgspec.convert(
            {
                "event": "acted",
                "step": key,
                "effect": effect,
                "state": state,
                "summary": "rehearsed",
                "value": value,
            },
            Acted,
        )
