"""The story of a run, from its rows alone: what a post-mortem says, before anybody draws it; pure.

Nothing here is worked out anew: times are the ledger's, statements are those of its rows, and what the rows
do not tell is said to be missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from console.audit.record import Entry
from console.errors import DbdeckError
from console.present.post_mortem_effects import effects_told
from console.present.post_mortem_parts import (
    Evidence,
    Moment,
    Person,
    Report,
    Standing,
    Way,
)
from console.present.runs import line
from console.present.units import span
from console.runbook.document import ActionStep, Branch, Document, Step, WaitUntil
from console.runbook.events import (
    Acted,
    Chosen,
    Decided,
    Ended,
    HandedOver,
    Noted,
    Observed,
    Resumed,
    RollingBack,
    Skipped,
    Started,
)
from console.runbook.history import Recalled, Recorded
from console.runbook.state import APPROVAL, Run
from console.runbook.steps import step_of

_UNSURE: Final = ("unknown", "when", "branch", "outcome")  # questions that are asked where nobody knows


def post_mortem(recalled: Recalled, effects: Sequence[Entry]) -> Report:
    """Of a run that has ended or not; `effects` are the rows of its actions (`history.effects`)."""
    story = _Story(recalled, effects)
    run, started = recalled.run, recalled.run.started
    documents = story.documents
    last = recalled.events[-1].at
    top = documents.get(started.runbook)
    return Report(
        run=started.run,
        runbook=started.runbook,
        title=top.title if top else started.runbook,
        digest=started.digest,
        target=started.target,
        by=started.by,
        reason=started.reason,
        ticket=started.ticket,
        params=started.params,
        began=story.began,
        ended=last if run.ended else None,
        seconds=(last - story.began).total_seconds(),
        result=run.ended.result if run.ended else "",
        text=run.ended.text if run.ended else "",
        stands=tuple(key for key in run.effects if story.standing(key) == "stands"),
        summary=tuple(story.summary()),
        timeline=story.moments(),
        decisions=story.moments(Decided),
        effects=story.effects,
        verification=tuple(story.verification()),
        evidence=tuple(story.evidence()),
        ways=tuple(story.ways()),
        left_out=story.moments(Skipped),
        notes=story.moments(Noted),
        handed_over=story.moments(HandedOver, Resumed),
        failed=tuple(story.failed()),
        rolled_back=tuple(story.rolled_back()),
        people=tuple(story.people()),
        not_known=tuple(dict.fromkeys(story.not_known())),
        rows_apart=tuple(
            f"row {one.id} of {one.at:%Y-%m-%d %H:%M:%S} is {one.why}" for one in recalled.apart
        ),
    )


class _Story:
    def __init__(self, recalled: Recalled, entries: Sequence[Entry]) -> None:
        self._recalled = recalled
        self._run: Run = recalled.run
        self.began = recalled.events[0].at
        self.unread = ""
        try:
            self.documents: Mapping[str, Document] = recalled.documents
        except DbdeckError as error:
            self.documents, self.unread = {}, error.message
        self.effects = effects_told(entries, recalled.run.started.run, self._stands)

    # ---- events ------------------------------------------------------------------------------------

    def moments(self, *kinds: type) -> tuple[Moment, ...]:
        """Those of some kinds; without any, all."""
        wanted = [one for one in self._recalled.events if not kinds or isinstance(one.event, kinds)]
        return tuple(self._moment(one) for one in wanted)

    def _moment(self, one: Recorded) -> Moment:
        step = getattr(one.event, "step", "")
        what = line(one.event)[1]
        return Moment(
            row=one.id,
            at=one.at,
            offset=(one.at - self.began).total_seconds(),
            step=step,
            what=what.removeprefix(f"{step}: ") if step else what,
            who=getattr(one.event, "by", "") or one.operator,
        )

    def _step(self, key: str) -> Step | None:
        return step_of(self.documents, self._run.started.runbook, key)

    def verification(self) -> Iterator[Moment]:
        """What was looked at again, and what each action is known to have done."""
        for one in self._recalled.events:
            event = one.event
            looked = isinstance(event, Observed) and isinstance(self._step(event.step), WaitUntil)
            expected = isinstance(event, Observed) and bool(getattr(self._step(event.step), "expect", ()))
            if looked or expected or isinstance(event, Acted):
                yield self._moment(one)

    def failed(self) -> Iterator[Moment]:
        for one in self._recalled.events:
            event = one.event
            wrong = isinstance(event, Observed | Acted) and event.state in ("failed", "unknown")
            if wrong or (isinstance(event, Ended) and event.result not in ("ok", "rolled_back")):
                yield self._moment(one)

    def rolled_back(self) -> Iterator[Moment]:
        for one in self._recalled.events:
            if isinstance(one.event, RollingBack) or "~" in getattr(one.event, "step", ""):
                yield self._moment(one)

    def ways(self) -> Iterator[Way]:
        for one in self._recalled.events:
            event = one.event
            if not isinstance(event, Chosen):
                continue
            step = self._step(event.step)
            ways = _ways(step) if isinstance(step, Branch) else {}
            others = tuple(text for choice, text in ways.items() if choice != event.choice)
            taken = ways.get(event.choice, event.choice)
            yield Way(step=event.step, taken=taken, by=event.by, others=others)

    # ---- evidence ----------------------------------------------------------------------------------

    def evidence(self) -> Iterator[Evidence]:
        for one in self._recalled.events:
            event = one.event
            if not isinstance(event, Observed) or not isinstance(event.value, dict):
                continue
            answers = {"": event.value} if "rows" in event.value else event.value
            redact = getattr(self._step(event.step), "redact", ())
            for name, found in answers.items():
                if isinstance(found, dict) and isinstance(found.get("rows"), list):
                    yield _evidence(one, event.step, name, found, redact)

    # ---- effects -----------------------------------------------------------------------------------

    def standing(self, key: str) -> Standing:
        """Of an effect: an action that was done and nothing took back stands."""
        now = self._run.step(key)
        if now.effect == "unknown" or (now.acts and now.state == "begun"):
            return "nobody knows"
        if key not in self._run.effects:
            return "nothing changed" if "~" not in key or now.effect != "applied" else "stands"
        if self._run.ended is not None and self._run.ended.result == "rolled_back":
            return "taken back"
        step = self._step(key)
        back = step.rollback if isinstance(step, ActionStep) else ()
        done = bool(back) and all(self._run.step(f"{key}~{one.id}").state == "done" for one in back)
        return "taken back" if done else "stands"

    def _stands(self, step: str, status: str) -> Standing:
        """Of one attempt; an earlier one of the same step may have ended otherwise."""
        if status in ("failed", "not_applied", "no_op"):
            return "nothing changed"
        return self.standing(step) if status in ("applied", "partial") else "nobody knows"

    # ---- words ---------------------------------------------------------------------------------------

    def summary(self) -> Iterator[str]:
        started, ended = self._run.started, self._run.ended
        last = self._recalled.events[-1].at
        long = span((last - self.began).total_seconds())
        yield (
            f"{started.by} started the runbook {started.runbook} on {started.target} "
            f"at {self.began:%Y-%m-%d %H:%M:%S} UTC. The reason given: {started.reason or 'none'}."
        )
        if ended is None:
            yield f"The run has not ended. Its last row is of {last:%Y-%m-%d %H:%M:%S} UTC, {long} later."
        else:
            yield f"It ended as {ended.result} after {long}: {ended.text or 'nothing more is said'}."
        yield self._what_was_done()
        others = dict.fromkeys(
            one.event.by
            for one in self._recalled.events
            if isinstance(one.event, Resumed) and one.event.by != started.by
        )
        if others:
            yield f"It was gone on with by {', '.join(others)}."

    def _what_was_done(self) -> str:
        stands = [key for key in self._run.effects if self.standing(key) == "stands"]
        back = len(self._run.effects) - len(stands)
        unsure = self._unsettled()
        told = [f"{len(stands)} stand: {', '.join(stands)}"] if stands else []
        told += [f"{back} were taken back"] if back else []
        told += [f"nobody knows how these ended: {', '.join(unsure)}"] if unsure else []
        return f"Effects: {'; '.join(told)}." if told else "It changed nothing."

    def _unsettled(self) -> list[str]:
        steps = self._run.steps.items()
        return [key for key, one in steps if one.effect == "unknown" or (one.acts and one.state == "begun")]

    def not_known(self) -> Iterator[str]:
        if self.unread:
            yield f"what the steps are called: {self.unread}"
        yield from (f"{key}: whether it had its effect" for key in self._unsettled())
        for one in self._recalled.events:
            event = one.event
            if isinstance(event, Observed) and event.state == "unknown":
                yield f"{event.step}: {event.summary}"
            if isinstance(event, Decided) and event.question in _UNSURE:
                yield f"{event.step}: it was not known, and {event.by} said {event.decision}"
        for found in self.evidence():
            yield from _lacking(found)
        for effect in self.effects:
            of = effect.step or effect.action_id
            yield from (f"what row {row} of {of} said: it was redacted" for row in effect.missing)

    # ---- people --------------------------------------------------------------------------------------

    def people(self) -> Iterator[Person]:
        found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
        for one in self._recalled.events:
            did = _deed(one)
            if did is None:
                continue
            name, what, wrote = did
            logins, deeds = found.setdefault(name, ({}, {}))
            deeds[what] = None
            if wrote:
                logins[one.login] = None
        for name, (logins, deeds) in found.items():
            yield Person(name=name, logins=tuple(logins), did=tuple(deeds))


def _lacking(found: Evidence) -> Iterator[str]:
    named = f"{found.step}.{found.name}" if found.name else found.step
    if found.problem:
        yield f"{named} could not be read: {found.problem}"
    if found.truncated:
        yield f"{named} was cut off at {len(found.rows)} rows"


def _deed(one: Recorded) -> tuple[str, str, bool] | None:
    """(who, what, whether they wrote the row themselves)."""
    match one.event:
        case Started(by=by):
            return by, "started it", True
        case Resumed(by=by):
            return by, "went on with it", True
        case HandedOver(by=by):
            return by, "handed it over", True
        case Decided(by=by, question=question) if by != "the runbook":
            return by, "approved it" if question == APPROVAL else "decided", by == one.operator
        case _:
            return None


def _ways(step: Branch) -> dict[str, str]:
    ways = {str(i): case.label or case.holds for i, case in enumerate(step.cases)}
    return ways | {"else": "none of these"}


def _evidence(
    one: Recorded, step: str, name: str, found: Mapping[str, Any], redact: Iterable[str]
) -> Evidence:
    rows = [row if isinstance(row, dict) else {"value": row} for row in found["rows"]]
    hidden = tuple(field for field in redact if any(row.get(field) == "***" for row in rows))
    return Evidence(
        row=one.id,
        at=one.at,
        step=step,
        name=name,
        rows=rows,
        truncated=bool(found.get("truncated")),
        redacted=hidden,
        problem=str(found.get("problem") or ""),
    )
