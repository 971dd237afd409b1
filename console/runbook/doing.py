"""How each step is done: reads through the engine, effects through the dispatcher."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from console.audit.ledger import Ledger
from console.audit.record import Kind
from console.audit.verify import fields
from console.dispatch.action import Approval, Plan, Stop, Watch
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.effect import Run as ActionRun
from console.dispatch.policy import must_type_name
from console.dispatch.reconcile import Word, reconcile
from console.engine.open import whoami
from console.engine.port import Engine
from console.errors import DbdeckError, NothingToResume
from console.runbook.document import ActionStep, Capture, Check, Query, Verify, WaitUntil
from console.runbook.events import Acted, Begun, Observed
from console.runbook.expression import condition
from console.runbook.functions import seconds_of
from console.runbook.judging import answer, judge, redacted, seen
from console.runbook.reading import Opening, Read, Reading, elsewhere, worked_out
from console.runbook.steps import Ask, Do, Settle
from console.runbook.values import ExpressionError

Holding = Callable[[], Awaitable[None]]
Seen = tuple[str, str, dict[str, Any]]  # an action's state in the ledger, in words, and its evidence
LEAST_PAUSE: Final = 0.1
_POLL_SECONDS: Final = 0.5


async def _nothing_held() -> None:
    """No lock to lose."""


def nobody_looks(_: str, __: str) -> None:
    """Nobody wants to know."""


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What runs are made on. `reads` are by name, as `dbdeck show` knows them; `still_held` raises Locked
    where the run's own locks were lost; `others` opens the monitor of another target by its name. `looked`
    hears each look of a step that waits: its key, what it saw.
    """

    dispatcher: Dispatcher
    ledger: Ledger
    engine: Engine
    reads: Mapping[str, Read]
    watch: Watch
    reason: str
    ticket: str = ""
    still_held: Holding = _nothing_held
    others: Opening | None = None
    looked: Callable[[str, str], None] = nobody_looks


class Ready(NamedTuple):
    """An action that was planned. `already`: the look before it found its effect there."""

    plan: Plan | None
    ask: Ask
    begun: Begun
    already: Acted | None = None


class Doing:
    """Does steps; records nothing itself."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.reading = Reading(ground.engine, ground.reads, ground.others)

    def begun(self, due: Do) -> Begun:
        acts = isinstance(due.step, ActionStep)
        where = "" if acts else _where(due)
        given = {"target": where} if where else {}
        return Begun(step=due.key, attempt=due.attempt, acts=acts, given=given)

    # ---- what changes nothing --------------------------------------------------------------------

    async def observe(self, due: Do) -> Observed:
        """Every fault, a late server's too, is how the step ended."""
        try:
            return await self._observers[type(due.step)](due.key, due.step, due.names)
        except ExpressionError as error:
            return Observed(step=due.key, state="failed", summary=error.message)
        except TimeoutError:
            told = _on(due, f"it took longer than {due.step.timeout}")
            return Observed(step=due.key, state="failed", summary=told)
        except DbdeckError as error:
            told = _on(due, _why(error))
            return Observed(step=due.key, state="failed", summary=told)

    @property
    def _observers(self) -> Mapping[type, Callable[[str, Any, dict[str, Any]], Awaitable[Observed]]]:
        return {Check: self._check, Query: self._query, Capture: self._capture, WaitUntil: self._wait}

    async def _check(self, key: str, step: Check, names: dict[str, Any]) -> Observed:
        found = judge(step.expect, names, "it holds")
        return Observed(step=key, state=found.state, summary=found.summary, warnings=found.warnings)

    async def _query(self, key: str, step: Query, names: dict[str, Any]) -> Observed:
        async with asyncio.timeout(seconds_of(step.timeout)):
            reading = await self.reading.of(step, names)
            value = await reading.rows(step, names, seconds_of(step.timeout), step.max_rows)
        value["rows"] = redacted(value["rows"], step.redact)
        more = " and there are more" if value["truncated"] else ""
        found = judge(step.expect, seen(value, names), f"{value['count']} rows{more}")
        kept = value if step.save is not None else None
        return Observed(
            step=key, state=found.state, summary=found.summary, value=kept, warnings=found.warnings
        )

    async def _capture(self, key: str, step: Capture, names: dict[str, Any]) -> Observed:
        """What cannot be read is told in its place: evidence of the rest is worth having."""
        value: dict[str, Any] = {}
        warnings = []
        async with asyncio.timeout(seconds_of(step.timeout)):
            reading = await self.reading.of(step, names)
            for name in step.collect:
                try:
                    rows = await reading.named(name)
                    kept = redacted(rows[: step.max_rows], step.redact)
                    value[name] = answer(kept, truncated=len(rows) > step.max_rows)
                except DbdeckError as error:
                    value[name] = {**answer([]), "problem": error.message}
                    warnings.append(f"{name}: {error.message}")
        found = judge(step.expect, {**names, step.save: value}, f"captured {', '.join(step.collect)}")
        told = (*warnings, *found.warnings)
        return Observed(step=key, state=found.state, summary=found.summary, value=value, warnings=told)

    async def _wait(self, key: str, step: WaitUntil, names: dict[str, Any]) -> Observed:
        """Until it holds; a look that failed is tried again for as long as there is time."""
        deadline = time.monotonic() + seconds_of(step.timeout)
        last, value = "it was not looked", answer([])
        reading = await self.reading.of(step, names)
        while (left := deadline - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    value = await reading.rows(step, names, left, 2000)
                known = seen(value, names)
                if step.abort_if is not None and condition(step.abort_if, known):
                    return self._waited(key, step, "failed", f"given up, as {step.abort_if}", value)
                holds = condition(step.until, known)
                if holds:
                    return self._waited(key, step, "done", f"{step.until}", value)
                last = f"{step.until} does not hold" if holds is False else f"{step.until} is not known"
                last += f", of {value['count']} rows" if step.read or step.sql else ""
            except TimeoutError:
                last = "there was no answer"
            except ExpressionError:
                raise
            except DbdeckError as error:
                last = error.message
            self._ground.looked(key, last)
            await asyncio.sleep(min(max(LEAST_PAUSE, seconds_of(step.every)), max(0.0, left)))
        where = elsewhere(step, names)
        told = f"after {step.timeout}: {_named(where, last)}"
        return self._waited(key, step, "failed", told, value)

    def _waited(self, key: str, step: WaitUntil, state: Any, summary: str, value: dict[str, Any]) -> Observed:
        kept = value if step.save is not None else None
        return Observed(step=key, state=state, summary=summary, value=kept)

    async def _shows(self, verify: Verify, names: Mapping[str, Any], patience: float) -> bool | None:
        """Whether the effect is there, looked at again while there is patience; None: nobody can tell."""
        deadline = time.monotonic() + patience
        while True:
            found = await self._once(verify, names)
            if found is True or time.monotonic() >= deadline:
                return found
            await asyncio.sleep(_POLL_SECONDS)

    async def _once(self, verify: Verify, names: Mapping[str, Any]) -> bool | None:
        try:
            value = await self.reading.rows(verify, names, seconds_of(verify.within), 200)
            known = seen(value, names)
            if condition(verify.applied_if, known):
                return True
            if verify.not_applied_if is not None:
                return False if condition(verify.not_applied_if, known) else None
            return False if condition(verify.applied_if, known) is False else None
        except DbdeckError:
            return None

    # ---- effects ---------------------------------------------------------------------------------

    async def ready(self, due: Do) -> Ready | Observed:
        """Planned, and looked whether it is there already; Observed is why it cannot be begun."""
        step = due.step
        if not isinstance(step, ActionStep):
            raise TypeError(f"{due.key} is no action")
        try:
            given = {
                name: value for name, value in worked_out(step.given, due.names).items() if value is not None
            }
            begun = Begun(step=due.key, attempt=due.attempt, given=given, acts=True)
            if step.verify is not None and await self._shows(step.verify, due.names, 0.0):
                value = {"effect": "no_op", "summary": "it was there already", "evidence": {}}
                there = Acted(
                    step=due.key, effect="no_op", state="done", summary="it was there already", value=value
                )
                return Ready(None, _asking(due.key, None, self._ground), begun, there)
            plan = await self._planned(step.action, given, due.resumes)
        except DbdeckError as error:
            told = _why(error)
            return Observed(step=due.key, state="failed", summary=told, value=_nothing_done(told))
        return Ready(plan, _asking(due.key, plan, self._ground), begun)

    async def _planned(self, action: str, given: Mapping[str, Any], resumes: str) -> Plan:
        """What an earlier attempt left, where it did a part."""
        if resumes:
            with suppress(NothingToResume):
                return await self._ground.dispatcher.resume(UUID(resumes), self._ground.engine)
        return await self._ground.dispatcher.plan(action, self._ground.engine, given)

    async def act(self, due: Do, ready: Ready, run: UUID, confirm: str) -> Acted:
        """Never raises for what happened to the action; a refusal is an end in which nothing was done."""
        step = due.step
        if ready.plan is None or not isinstance(step, ActionStep):
            raise TypeError(f"{due.key} was not planned")
        approval = Approval(reason=self._ground.reason, ticket=self._ground.ticket, confirm=confirm)
        try:
            async with _in_time(self._ground.watch, step.timeout) as watch:
                ended = await self._ground.dispatcher.apply(
                    ready.plan,
                    self._ground.engine,
                    approval,
                    idempotency_key=key_of(run, due.key, due.attempt),
                    watch=watch,
                    parent=run,
                )
        except DbdeckError as error:
            told = _why(error)
            return Acted(
                step=due.key,
                effect="none",
                state="failed",
                summary=told,
                exit=int(error.exit),
                value=_nothing_done(told),
            )
        return await self._proved(step, due.names, _acted(due.key, ended))

    async def _proved(self, step: ActionStep, names: dict[str, Any], acted: Acted) -> Acted:
        """With the runbook's own look and what it expects; neither takes back that something was done."""
        if acted.state != "done":
            return acted
        if step.verify is not None and not await self._shows(
            step.verify, names, seconds_of(step.verify.within)
        ):
            why = "the runbook's own look does not show it"
            return msgspec.structs.replace(acted, state="failed", summary=f"{acted.summary}; {why}")
        found = judge(step.expect, {**names, **acted.value}, acted.summary)
        state = "done" if found.state == "done" else "failed"
        return msgspec.structs.replace(acted, state=state, summary=found.summary, warnings=found.warnings)

    async def settle(self, due: Settle, run: UUID) -> Acted:
        """What became of an action that broke off: by the ledger, else by a look. Nothing is executed."""
        action_id = due.now.action_id or await self._intent(due, run)
        if not action_id:
            return Acted(
                step=due.key, effect="none", state="not_begun", summary="the ledger has no intent of it"
            )
        state, summary, evidence = await self._recorded(UUID(action_id))
        if state not in _SETTLED:
            state, summary, evidence = await self._looked(due, action_id)
        effect, after = _SETTLED.get(state, ("unknown", "unknown"))
        told = {"effect": effect, "summary": summary, "evidence": evidence, "action_id": action_id}
        return msgspec.convert(
            {"event": "acted", "step": due.key, "effect": effect, "state": after, "summary": summary,
             "action_id": action_id, "value": told},
            Acted,
        )  # fmt: skip

    async def _intent(self, due: Settle, run: UUID) -> str:
        found = await self._ground.ledger.find_idempotency(key_of(run, due.key, due.now.attempt))
        return str(found) if found is not None else ""

    async def _recorded(self, action_id: UUID) -> Seen:
        """By the ledger's last word."""
        kinds = (Kind.OUTCOME, Kind.RESOLVED)
        rows = await self._ground.ledger.entries(action_id=action_id, kinds=kinds, newest_first=False)
        if not rows:
            return "unknown", "its end is not recorded", {}
        body = fields(rows[-1].body)
        verdict = body.get("verify")
        seen_ = verdict if isinstance(verdict, dict) else {}
        evidence = seen_.get("evidence")
        summary = str(seen_.get("summary") or body.get("status"))
        return str(body.get("status")), summary, evidence if isinstance(evidence, dict) else {}

    async def _looked(self, due: Settle, action_id: str) -> Seen:
        """By the action's own proof, and where that cannot tell by the runbook's."""
        seen_ = await self._reconciled(action_id, None)
        if seen_[0] in _SETTLED or due.step.verify is None:
            return seen_
        shows = await self._shows(due.step.verify, due.names, 0.0)
        if shows is None:
            return seen_
        word = Word(
            action_id=action_id,
            state="applied" if shows else "not_applied",
            reason=f"the look of the runbook's step {due.key}",
            who=whoami(),
        )
        return await self._reconciled(action_id, word)

    async def _reconciled(self, action_id: str, word: Word | None) -> Seen:
        ground = self._ground
        found = await reconcile(
            ground.ledger,
            ground.dispatcher.registry,
            [ground.engine.target],
            word,
            ground.dispatcher.store,
            only=action_id,
        )
        if not found:
            return "unknown", "its writer is at work", {}
        return found[0].state, found[0].summary, msgspec.to_builtins(found[0].evidence)


@asynccontextmanager
async def _in_time(whole: Watch, length: str) -> AsyncIterator[Watch]:
    """A watch for one action: after its time, or when the run is stopped, it begins no further effect.

    What is under way is finished and recorded. Whatever else stopped it stops the run as well.
    """
    stop = Stop()
    late = f"the step's timeout of {length}"
    timer = asyncio.get_running_loop().call_later(seconds_of(length), stop.ask, late)
    passed_on = asyncio.create_task(_pass_on(whole.stop, stop))
    try:
        yield msgspec.structs.replace(whole, stop=stop)
    finally:
        timer.cancel()
        passed_on.cancel()
        if stop.is_set() and stop.by != late:
            whole.stop.ask(stop.by)


async def _pass_on(whole: Stop, one: Stop) -> None:
    await whole.wait()
    one.ask(whole.by)


def _where(due: Do) -> str:
    """The name of the other target that a step reads; empty where there is none, or none that is known."""
    try:
        return elsewhere(due.step, due.names) or ""
    except ExpressionError:
        return ""


def _on(due: Do, told: str) -> str:
    return _named(_where(due), told)


def _named(target: str | None, told: str) -> str:
    """With the target that it is about, where that is another one."""
    return f"{target}: {told}" if target and not told.startswith(target) else told


def key_of(run: UUID, step: str, attempt: int) -> str:
    """The idempotency key of one attempt: nobody else can make it, whatever becomes of our locks."""
    return f"{run}:{step}:{attempt}"[:200]


# An action's state in the ledger -> (effect, state of the step).
_SETTLED: Final[Mapping[str, tuple[str, str]]] = {
    "applied": ("applied", "done"),
    "no_op": ("no_op", "done"),
    "partial": ("applied", "failed"),
    "failed": ("none", "failed"),
    "not_applied": ("none", "failed"),
}


def _nothing_done(why: str) -> dict[str, Any]:
    """What is known of an action that was refused, or could not be planned."""
    return {"effect": "none", "summary": why, "evidence": {}, "action_id": ""}


def _acted(key: str, ended: ActionRun) -> Acted:
    summary = ended.error.message if ended.error else (ended.verify.summary if ended.verify else ended.effect)
    evidence = msgspec.to_builtins(ended.verify.evidence) if ended.verify else {}
    whole = ended.effect in ("applied", "no_op") and ended.exit == 0
    state = "unknown" if ended.effect == "unknown" else ("done" if whole else "failed")
    return Acted(
        step=key,
        effect=ended.effect,
        state=state,  # type: ignore[arg-type]
        summary=summary,
        action_id=str(ended.action_id),
        exit=int(ended.exit),
        value={
            "effect": ended.effect,
            "summary": summary,
            "evidence": evidence,
            "action_id": str(ended.action_id),
        },
    )


def _asking(key: str, plan: Plan | None, ground: Ground) -> Ask:
    if plan is None:
        return Ask(key=key, question="action", text="", choices=("yes", "no"))
    lines = [f"{plan.action} on {plan.target}: {plan.title}", *plan.statements, *plan.forecast]
    lines += [f"warning: {one}" for one in plan.warnings] + [f"refused: {one}" for one in plan.refusals]
    typed = plan.target if must_type_name(plan, ground.engine.target) else ""
    return Ask(
        key=key, question="action", text="\n".join(lines), choices=("yes", "no"), phrase=typed, plan=plan
    )


def _why(error: DbdeckError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message
