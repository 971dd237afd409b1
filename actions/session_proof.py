"""Whether sessions and statements that were to end did: looked at on the server, never taken on trust."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from actions import session_identity as identity
from console.dispatch.action import Plan, Step, Verdict
from console.engine.port import Engine
from console.errors import OutcomeUnknown
from console.model.sessions import Session, State, by_id
from console.model.target import ServerIdentity

LOOK_EVERY = 0.2
# A session that sits where signals are obeyed at once for this long was never told to end.
SETTLE_SECONDS = 2.0
# A session that waits for its client, for a lock or for a timer obeys a signal at once.
_OBEYS = ("Client/", "Lock/", "Timeout/")


class PartlyRefused(OutcomeUnknown):
    """The server refused an effect after others of the same action had been sent; those are looked at."""

    kind = "partial"


class Verb(StrEnum):
    CANCEL = "cancel"
    TERMINATE = "terminate"


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """One session of an action on several, as it was planned.

    `transaction`: another one spares it. `idle` (seconds): working meanwhile spares it. `blocks` counts
    everyone who waits behind it; `why` is the reason it was chosen.
    """

    verb: Verb
    session: Session
    transaction: datetime | None = None
    idle: float | None = None
    blocks: int = 0
    why: str = ""


class Sent(StrEnum):
    """What is known of the statement to one aim."""

    SENT = "sent"
    SPARED = "spared"  # by the server, which compared the identity: it was another one or gone
    REFUSED = "refused"
    UNSEEN = "unseen"  # the answer, that is
    NOT_SENT = "not sent"


class Fate(StrEnum):
    """What became of one aim, as seen on the server, and by whom."""

    ENDED = "ended"
    CANCELLED = "cancelled"
    GONE = "gone"  # nobody saw the answer: by this action or otherwise
    OTHERWISE = "ended otherwise"  # by itself or by others: this action sent it nothing
    MOVED_ON = "moved on"  # another transaction or work since the plan: spared by the server's check
    UNTOUCHED = "not touched"
    UNCLEAR = "unclear"


DONE = (Fate.ENDED, Fate.CANCELLED, Fate.GONE)


async def until(holds: Callable[[], Any], seconds: float) -> bool:
    """Look again and again until it holds or the time is over."""
    end = asyncio.get_running_loop().time() + seconds
    while not await holds():
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(LOOK_EVERY)
    return True


# ---- one session -------------------------------------------------------------------------------


def still_there(session: Session, now: Session | None, *, waited: bool) -> Verdict:
    """Right after a signal, a session that is still there may yet obey it. Asked later (by reconcile),
    one that sits where signals are obeyed at once was never told to end.
    """
    if now is None:
        return Verdict(state="applied", summary=f"session {session.id} is gone")
    doing = f"{now.kind}, {now.state}"
    untold = not waited and now.state is not State.ENDING and would_obey(now)
    return Verdict(
        state="not_applied" if untold else "undecidable",
        summary=f"session {session.id} is still there ({doing})",
        evidence={"state": doing, "wait": now.wait, "rows_modified": now.rows_modified},
    )


def still_runs(server: ServerIdentity, session: Session, now: Session | None, *, waited: bool) -> Verdict:
    """As of a session that is still there; MySQL and MariaDB do not show that a statement was told to end."""
    untold = not waited and now is not None and server.flavor == "postgresql" and would_obey(now)
    return Verdict(
        state="not_applied" if untold else "undecidable",
        summary=f"the statement of session {session.id} still runs",
    )


def would_obey(session: Session) -> bool:
    """PostgreSQL's backends look for signals where they wait; MySQL's are marked as killed at once."""
    in_postgres = session.query_started_at is not None
    waits = (session.wait or "").startswith(_OBEYS)
    return not in_postgres or session.state is not State.ACTIVE or waits


# ---- several -----------------------------------------------------------------------------------


def fate(server: ServerIdentity, aim: Aim, now: Session | None) -> Fate:
    if now is None or (now.started_at is not None and not identity.same(server, now, aim.session)):
        return Fate.ENDED
    if now.started_at is None or not now.visible:
        return Fate.UNCLEAR
    moved = _statement_ended(aim, now) if aim.verb is Verb.CANCEL else _moved_on(server, aim, now)
    if moved is not None:
        return moved
    told = now.state is State.ENDING or not _would_have_obeyed(server, now)
    return Fate.UNCLEAR if told else Fate.UNTOUCHED


def _statement_ended(aim: Aim, now: Session) -> Fate | None:
    before = identity.statement_identity(aim.session)
    return Fate.ENDED if identity.statement_identity(now) != before else None


def _moved_on(server: ServerIdentity, aim: Aim, now: Session) -> Fate | None:
    """A session that was told to end begins nothing any more: whoever does was not told.

    PostgreSQL forgets the start of the transaction before the session is gone, but not its state.
    """
    if now.state is State.ENDING or aim.transaction is None:
        return None
    if not identity.same_transaction(server, now, aim.transaction):
        leaves = now.transaction_started_at is None and now.state is not State.IDLE
        return Fate.UNCLEAR if leaves else Fate.MOVED_ON
    return Fate.MOVED_ON if aim.idle is not None and _worked(aim.session, now) else None


def _worked(before: Session, now: Session) -> bool:
    """A statement runs, or one has run since: its age went back."""
    if now.state is State.ACTIVE or now.query_started_at != before.query_started_at:
        return True
    return (now.state_seconds or 0.0) < (before.state_seconds or 0.0)


def _would_have_obeyed(server: ServerIdentity, now: Session) -> bool:
    """Where signals are obeyed at once. MySQL and MariaDB mark a session as killed when they are told."""
    return server.flavor != "postgresql" or (now.wait or "").startswith(_OBEYS)


def sent_to(aims: Sequence[Aim], steps: Sequence[Step] | None) -> list[Sent]:
    """For each aim, in their order. `steps` None: nothing is known of any."""
    if steps is None:
        return [Sent.UNSEEN] * len(aims)
    answers = {step.subject: Sent(step.answer or Sent.UNSEEN) for step in steps}
    return [answers.get(aim.session.id, Sent.NOT_SENT) for aim in aims]


def judged(aim: Aim, seen: Fate, sent: Sent) -> Fate:
    """What may be said of an aim by what was sent to it: who was spared was not ended by us."""
    if seen is Fate.ENDED:
        ours = Fate.CANCELLED if aim.verb is Verb.CANCEL else Fate.ENDED
        return {Sent.SENT: ours, Sent.UNSEEN: Fate.GONE}.get(sent, Fate.OTHERWISE)
    if sent is Sent.SENT:
        return Fate.UNCLEAR
    if sent is Sent.SPARED:
        return Fate.MOVED_ON
    if sent is Sent.UNSEEN or seen is Fate.MOVED_ON:
        return seen
    return Fate.UNTOUCHED


async def prove(
    plan: Plan, aims: Sequence[Aim], engine: Engine, steps: Sequence[Step] | None, *, patience: float
) -> list[Fate]:
    """What became of each, in their order.

    Waits until all are certain, or until those of whom no answer was seen have for a while sat where
    they would have obeyed.
    """
    clock = asyncio.get_running_loop().time
    sent = sent_to(aims, steps)
    settled = end = clock() + patience
    before: list[Fate] = []
    while True:
        found = await _look(plan, aims, sent, engine)
        if found != before:
            before, settled = found, clock() + SETTLE_SECONDS
        unclear = Fate.UNCLEAR in found
        untold = (Fate.UNTOUCHED, Sent.UNSEEN) in zip(found, sent, strict=True)
        if clock() >= end or not (unclear or (untold and clock() < settled)):
            return found
        await asyncio.sleep(LOOK_EVERY)


async def _look(plan: Plan, aims: Sequence[Aim], sent: Sequence[Sent], engine: Engine) -> list[Fate]:
    now = by_id(await engine.sessions()) if aims else {}
    return [
        judged(aim, fate(plan.server, aim, now.get(aim.session.id)), answer)
        for aim, answer in zip(aims, sent, strict=True)
    ]


def verdict_on(aims: Sequence[Aim], found: Sequence[Fate], nothing: str) -> Verdict:
    """Of all of them; `nothing` is said where there was none."""
    if not aims:
        return Verdict(state="applied", summary=nothing)
    by_fate = {fate: [a.session.id for a, f in zip(aims, found, strict=True) if f is fate] for fate in Fate}
    evidence = {str(fate).replace(" ", "_"): ids for fate, ids in by_fate.items() if ids}
    summary = ", ".join(f"{len(ids)} {fate}" for fate, ids in by_fate.items() if ids)
    return Verdict(state=_state(set(found)), summary=f"of {len(aims)}: {summary}", evidence=evidence)


def _state(found: Collection[Fate]) -> Any:
    if Fate.UNCLEAR in found:
        return "undecidable"
    if Fate.UNTOUCHED not in found:
        return "applied"
    return "partial" if any(fate in DONE for fate in found) else "not_applied"
