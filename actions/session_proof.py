"""Whether sessions and statements that were to end did: looked at on the server, never taken on trust."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from actions import session_identity as identity
from console.dispatch.action import Plan, Verdict
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


class Fate(StrEnum):
    """What became of one aim, as seen on the server."""

    ENDED = "ended"
    MOVED_ON = "moved on"  # another transaction or work since the plan: spared by the server's check
    UNTOUCHED = "not touched"
    UNCLEAR = "unclear"


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


async def fates(plan: Plan, aims: Sequence[Aim], engine: Engine, *, patience: float) -> list[Fate]:
    """What became of each, in their order.

    Waits until all ended, or until those left have for a while sat where they would have obeyed.
    """
    clock = asyncio.get_running_loop().time
    settled = end = clock() + patience
    before: list[Fate] = []
    while True:
        found = await _look(plan, aims, engine)
        if found != before:
            before, settled = found, clock() + SETTLE_SECONDS
        open_ends = set(found) - {Fate.ENDED, Fate.MOVED_ON}
        waiting_on = Fate.UNCLEAR in open_ends or clock() < settled
        if not open_ends or not waiting_on or clock() >= end:
            return found
        await asyncio.sleep(LOOK_EVERY)


async def _look(plan: Plan, aims: Sequence[Aim], engine: Engine) -> list[Fate]:
    now = by_id(await engine.sessions()) if aims else {}
    return [fate(plan.server, aim, now.get(aim.session.id)) for aim in aims]


def verdict_on(aims: Sequence[Aim], found: Sequence[Fate], nothing: str) -> Verdict:
    """Of all of them; `nothing` is said where there was none."""
    if not aims:
        return Verdict(state="applied", summary=nothing)
    by_fate = {fate: [a.session.id for a, f in zip(aims, found, strict=True) if f is fate] for fate in Fate}
    evidence = {str(fate).replace(" ", "_"): ids for fate, ids in by_fate.items() if ids}
    summary = ", ".join(f"{len(ids)} {fate}" for fate, ids in by_fate.items() if ids)
    return Verdict(state=_state(by_fate), summary=f"of {len(aims)}: {summary}", evidence=evidence)


def _state(by_fate: Mapping[Fate, Sequence[int]]) -> Any:
    if by_fate[Fate.UNCLEAR]:
        return "undecidable"
    if not by_fate[Fate.UNTOUCHED]:
        return "applied"
    return "partial" if by_fate[Fate.ENDED] else "not_applied"
