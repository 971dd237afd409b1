"""Settle intents whose end nobody saw: look at the server, record what is found, execute nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import msgspec

from console.audit.ledger import Ledger
from console.audit.record import Kind, OpenIntent
from console.audit.verify import fields
from console.dispatch import intents
from console.dispatch.action import Action, Offline, Plan, Verdict
from console.dispatch.dispatcher import locks_of, running
from console.dispatch.operator import Ground, proof, steps_of
from console.dispatch.registry import Registry
from console.engine.open import open_engine, open_operator
from console.errors import DbdeckError, UsageError
from console.model.target import Target, server_changes
from console.secret_store import SecretStore

NOTES = "notes"  # in a plan's evidence: what its run noted of effects that no look can tell


_UNMERGED = Verdict(
    state="undecidable",
    summary="its rows wait in the journal of a break-glass on this machine: `dbdeck audit merge` first",
)


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is applied | not_applied | undecidable; only the first two end the freeze."""

    action_id: str
    action: str
    target: str
    state: str
    summary: str
    evidence: Mapping[str, Any] = {}


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What a person found out where no look at the server can decide; recorded as theirs, with the reason."""

    action_id: str
    state: Literal["applied", "not_applied"]
    reason: str
    who: str


async def reconcile(
    ledger: Ledger,
    registry: Registry,
    targets: Sequence[Target],
    word: Word | None = None,
    store: SecretStore | None = None,
    *,
    only: str | None = None,
) -> list[Settled]:
    """Every open intent whose writer is gone, or whose outcome was `unknown`; `only` that action, if given.

    A `word` settles its one action, and only when the look decides nothing. Raises UsageError when no
    such action is open.
    """
    known = {target.name: target for target in targets}
    opened = [intent for intent in await ledger.open_intents() if not running(intent)]
    if only is not None:
        opened = [intent for intent in opened if str(intent.action_id) == only]
    if word is not None:
        opened = [intent for intent in opened if str(intent.action_id) == word.action_id]
        if not opened:
            raise UsageError(
                f"there is no open action {word.action_id}; nothing was recorded",
                "`dbdeck audit open` lists them",
            )
    settled = []
    for intent in opened:
        if intent.unmerged:
            settled.append(_settled(intent, _UNMERGED))
            continue
        known_target = known.get(str(intent.body.get("target")))
        verdict = await _look(ledger, registry, known_target, intent, store)
        verdict = _by_word(verdict, word)
        if verdict.state != "undecidable":
            await _record(ledger, intent, verdict)
        settled.append(_settled(intent, verdict))
    return settled


def _by_word(seen: Verdict, word: Word | None) -> Verdict:
    if word is None or seen.state != "undecidable":
        return seen
    said = {"said_by": word.who, "reason": word.reason, "seen": seen.summary}
    return Verdict(state=word.state, summary=f"{word.who} says so: {word.reason}", evidence=said)


async def _look(
    ledger: Ledger,
    registry: Registry,
    target: Target | None,
    intent: OpenIntent,
    store: SecretStore | None,
) -> Verdict:
    steps = await ledger.entries(action_id=intent.action_id, kinds=(Kind.STEP,), newest_first=False)
    if not steps:
        return Verdict(state="not_applied", summary="no step was recorded, so no statement was sent")
    if target is None:
        return Verdict(state="undecidable", summary="its target is not in this config")
    try:
        plan = intents.plan_of(intent.body)
        notes = await ledger.entries(action_id=intent.action_id, kinds=(Kind.NOTE,), newest_first=False)
        seen = [fields(note.body).get("seen") for note in notes]
        plan = msgspec.structs.replace(plan, evidence={**plan.evidence, **({NOTES: seen} if seen else {})})
        action = registry.get(plan.action)
        async with open_engine(target) as engine:
            changed = ""
            if not isinstance(action, Offline):
                changed = server_changes(plan.server, await engine.identity())
            if changed and "restarted" not in changed:
                return Verdict(state="undecidable", summary=f"not the server it was: {changed}")
            taken = steps_of(fields(step.body) for step in steps)
            async with _alone(action, plan, target) as why_not:
                verdict = await proof(action, plan, Ground(engine, store), taken, patience=0.0)
        return _settling(verdict, why_not)
    except (DbdeckError, msgspec.ValidationError) as error:
        return Verdict(state="undecidable", summary=str(error))


@asynccontextmanager
async def _alone(action: Action[Any], plan: Plan, target: Target) -> AsyncIterator[str]:
    """With the locks of the run: a session that outlived its client holds them, and what it was sent may
    still come into effect. Gives why they could not be had; empty where they are held now.
    """
    if isinstance(action, Offline):
        yield ""
        return
    async with AsyncExitStack() as stack:
        yield await _taken(stack, action, plan, target)


async def _taken(stack: AsyncExitStack, action: Action[Any], plan: Plan, target: Target) -> str:
    try:
        connection = await stack.enter_async_context(open_operator(target))
        for name in locks_of(action, plan):
            holder = await connection.hold(name)
            if holder is not None:
                return f"its lock is held by {holder}"
    except DbdeckError as error:
        return f"its lock could not be tried: {error.message}"
    return ""


def _settling(verdict: Verdict, why_not: str) -> Verdict:
    """What is done stays done; what is not done yet may be, by a session that is still there."""
    if not why_not or verdict.state in ("applied", "undecidable"):
        return verdict
    summary = f"{verdict.summary}; but its session may still be at work: {why_not}"
    return Verdict(state="undecidable", summary=summary, evidence=verdict.evidence)


async def _record(ledger: Ledger, intent: OpenIntent, verdict: Verdict) -> None:
    body: dict[str, Any] = {
        **{name: intent.body.get(name) for name in ("action", "target", "operator", "reason")},
        "status": verdict.state,
        "verify": msgspec.to_builtins(verdict),
    }
    await ledger.append_late(Kind.RESOLVED, intent.action_id, body)


def _settled(intent: OpenIntent, verdict: Verdict) -> Settled:
    return Settled(
        action_id=str(intent.action_id),
        action=str(intent.body.get("action")),
        target=str(intent.body.get("target")),
        state=verdict.state,
        summary=verdict.summary,
        evidence=verdict.evidence,
    )
