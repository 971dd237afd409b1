"""session.cancel and session.terminate: end a statement or a session, bound to its identity."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec

from actions import session_statements as statements
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Verdict
from console.dispatch.operator import Operator
from console.engine.port import Engine
from console.errors import PrivilegeMissing, Stale
from console.model.blocking import LockNode
from console.model.sessions import Session, SessionKey, State
from console.model.target import ServerIdentity

FLAVORS: tuple[str, ...] = ("postgresql", "mysql", "mariadb")
DRAIN_SECONDS = 5.0
STILL_SECONDS = 1.0
LOOK_EVERY = 0.2
# MySQL and MariaDB tell their uptime in whole seconds, so a start computed twice differs by one.
SAME_START = {"postgresql": timedelta(0), "mysql": timedelta(seconds=2), "mariadb": timedelta(seconds=2)}


class SessionArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The session's number and start, as `show sessions` and `show locks` print them."""

    id: Annotated[int, msgspec.Meta(gt=0, le=(1 << 63) - 1)]
    started_at: Annotated[datetime, msgspec.Meta(tz=True)]


class TerminateSession:
    """End a session; the server rolls its transaction back and frees its locks."""

    name = "session.terminate"
    summary = "end a session: its transaction is rolled back, its locks are freed"
    risk = Risk.HIGH
    flavors = FLAVORS
    Args = SessionArgs

    async def plan(self, engine: Engine, args: SessionArgs) -> Plan:
        server, session = await _find(engine, args)
        nodes = await engine.locks()
        me = _node(nodes, session)
        pinned = session.transaction_started_at if me or session.state is not State.ACTIVE else None
        statement = statements.terminate(server, session, pinned)
        return _plan(
            self,
            engine,
            server,
            session,
            statements=(statement.shown,),
            observed={
                "session": _identity(session),
                "transaction started": pinned.isoformat() if pinned else None,
            },
            forecast=_forecast(session, me),
            warnings=_warnings(session),
            refusals=_protected(session),
            evidence={"waiters": _waiters(nodes, session)},
            undo="nothing undoes it: the client sees a lost connection and its transaction is rolled back",
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        session = _session_of(plan)
        pinned = plan.observed["transaction started"]
        statement = statements.terminate(
            plan.server, session, datetime.fromisoformat(pinned) if pinned else None
        )
        return statements.outcome(await operator.execute(statement), operator.user)

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        session = _session_of(plan)

        async def gone() -> bool:
            now = _seen(await engine.session(session.id))
            return now is None or not _same(plan.server, now, session)

        if not await _until(gone, patience):
            return _still_there(session, await engine.session(session.id), waited=patience > 0)
        return Verdict(
            state="applied", summary=f"session {session.id} is gone", evidence=await _drain(plan, engine)
        )

    def lock(self, plan: Plan) -> str:
        return f"session:{plan.subject['id']}"


class CancelQuery:
    """Stop the statement a session runs; the session and its transaction stay."""

    name = "session.cancel"
    summary = "stop the running statement of a session: the session stays"
    risk = Risk.MEDIUM
    flavors = FLAVORS
    Args = SessionArgs

    async def plan(self, engine: Engine, args: SessionArgs) -> Plan:
        server, session = await _find(engine, args)
        me = _node(await engine.locks(), session)
        statement = statements.cancel(server, session)
        return _plan(
            self,
            engine,
            server,
            session,
            statements=(statement.shown,),
            observed={"session": _identity(session), "statement": _statement_identity(session)},
            forecast=_cancel_forecast(session, me),
            warnings=_warnings(session),
            refusals=(*_protected(session), *_nothing_to_cancel(session)),
            evidence={"waiters": []},
            undo="nothing undoes it: the statement has to be run again by its client",
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        statement = statements.cancel(plan.server, _session_of(plan))
        return statements.outcome(await operator.execute(statement), operator.user)

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        session = _session_of(plan)
        before = plan.observed["statement"]

        async def stopped() -> bool:
            now = _seen(await engine.session(session.id))
            return now is None or not _same(plan.server, now, session) or _statement_identity(now) != before

        if await _until(stopped, patience):
            return Verdict(state="applied", summary=f"the statement of session {session.id} ended")
        return Verdict(
            state="undecidable",
            summary=f"the statement of session {session.id} still runs",
        )

    def lock(self, plan: Plan) -> str:
        return f"session:{plan.subject['id']}"


# ---- planning --------------------------------------------------------------------------------


async def _find(engine: Engine, args: SessionArgs) -> tuple[ServerIdentity, Session]:
    """The live session of the key. Raises Stale that says what changed."""
    server = await engine.identity()
    key = SessionKey(args.id, args.started_at)
    session = await engine.session(args.id)
    if session is None:
        raise Stale(f"session {args.id} is gone; nothing was executed", "look again: `dbdeck show sessions`")
    _seen(session)
    if session.started_at is None or not _same_start(server, session.started_at, key.started_at):
        raise Stale(
            f"number {args.id} is another session now: started {session.started_at} "
            f"by {session.user}, not {key.started_at.isoformat()}; nothing was executed",
            "look again: `dbdeck show sessions`",
        )
    return server, session


def _plan(  # noqa: PLR0913 - one place that fills a Plan's fields
    action: TerminateSession | CancelQuery,
    engine: Engine,
    server: ServerIdentity,
    session: Session,
    *,
    statements: tuple[str, ...],
    observed: dict[str, Any],
    forecast: tuple[str, ...],
    warnings: tuple[str, ...],
    refusals: tuple[str, ...],
    evidence: dict[str, Any],
    undo: str,
) -> Plan:
    started_at = session.started_at.isoformat() if session.started_at else None
    return Plan(
        action=action.name,
        target=engine.target.name,
        risk=action.risk,
        args={"id": session.id, "started_at": started_at},
        subject={
            "title": f"session {session.id} of {session.user or 'unknown'}",
            "id": session.id,
            "started_at": started_at,
            "session": msgspec.to_builtins(session),
        },
        statements=statements,
        forecast=forecast,
        warnings=warnings,
        refusals=refusals,
        undo=undo,
        observed=observed,
        evidence=evidence,
        server=server,
        made_at=datetime.now(UTC),
        version=__version__,
    )


def _session_of(plan: Plan) -> Session:
    return msgspec.convert(plan.subject["session"], Session)


def _identity(session: Session) -> str:
    """What a person compares; the server compares number and start."""
    return f"{session.user}@{session.client} in {session.database}, {session.kind}"


def _statement_identity(session: Session) -> str | None:
    """None when nothing runs: query_start in PostgreSQL, the statement's number elsewhere."""
    if session.state is not State.ACTIVE:
        return None
    if session.query_started_at is not None:
        return session.query_started_at.isoformat()
    return str(session.query_id)


def _seen(session: Session | None) -> Session | None:
    """A session of the number that may not be looked at is neither the one we mean nor gone."""
    if session is not None and (session.started_at is None or not session.visible):
        raise PrivilegeMissing(
            f"session {session.id} is there, and this login may not see whose it is",
            "grant the monitor role what `dbdeck doctor` names",
        )
    return session


def _same(server: ServerIdentity, now: Session, before: Session) -> bool:
    if now.started_at is None or before.started_at is None:
        return False
    return _same_start(server, now.started_at, before.started_at)


def _same_start(server: ServerIdentity, one: datetime, other: datetime) -> bool:
    return abs(one - other) <= SAME_START[server.flavor]


def _node(nodes: Sequence[LockNode], session: Session) -> LockNode | None:
    return next((node for node in nodes if node.session.id == session.id), None)


def _waiters(nodes: Sequence[LockNode], session: Session) -> list[int]:
    """Everyone who waits on the session, directly or through others, as far as blockers are listed."""
    behind = {session.id}
    grown = True
    while grown:
        more = {node.session.id for node in nodes if not behind.isdisjoint(node.blocked_by)} - behind
        behind |= more
        grown = bool(more)
    return sorted(behind - {session.id})


def _forecast(session: Session, node: LockNode | None) -> tuple[str, ...]:
    lines = []
    if node is None or not node.blocks:
        lines.append("nobody waits on it")
    elif node.root:
        lines.append(f"releases {_count(node.releases, 'session')}, {node.releases_seconds:.0f} s of waiting")
        if node.blocks > node.releases:
            lines.append(f"{_count(node.blocks - node.releases, 'more session')} also wait behind others")
    else:
        lines.append(f"{_count(node.blocks, 'session')} wait behind it, but it waits itself")
    if session.rows_modified:
        lines.append(f"rolls back {_count(session.rows_modified, 'modified row')}, during which locks stay")
    elif session.in_transaction:
        lines.append("rolls its open transaction back")
    return tuple(lines)


def _cancel_forecast(session: Session, node: LockNode | None) -> tuple[str, ...]:
    if node is not None and node.wait_seconds is not None:
        return (f"it stops waiting for {node.object}; what it already holds stays held",)
    if session.in_transaction:
        return (
            "the statement ends with an error; in an explicit transaction its locks stay until that ends",
        )
    return ("the statement ends with an error",)


def _warnings(session: Session) -> tuple[str, ...]:
    found = []
    pooler = (session.application or "").lower()
    if any(name in pooler for name in ("pgbouncer", "proxysql", "pgcat", "odyssey", "maxscale")):
        found.append("it belongs to a pooler: another client may be behind it by now")
    if session.kind not in ("client backend", "Query", "Sleep"):
        found.append(f"it is a {session.kind}")
    return tuple(found)


def _protected(session: Session) -> tuple[str, ...]:
    return (str(session.protection),) if session.protection else ()


def _nothing_to_cancel(session: Session) -> tuple[str, ...]:
    if session.state is State.ACTIVE:
        told = session.query_started_at is not None or session.query_id is not None
        return (
            () if told else ("the server does not tell its statements apart: cancel might hit the next one",)
        )
    if session.state is State.ENDING:
        return ("the session was told to end already and is rolling back",)
    if session.in_transaction:
        return (
            "the session is idle in transaction: no statement runs, so cancel would change nothing "
            "(it would even answer true); session.terminate ends it",
        )
    return (f"no statement runs (the session is {session.state})",)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# ---- proof -----------------------------------------------------------------------------------


async def _until(holds: Callable[[], Any], seconds: float) -> bool:
    """Look again and again until it holds or the time is over."""
    end = asyncio.get_running_loop().time() + seconds
    while not await holds():
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(LOOK_EVERY)
    return True


# A session that waits for its client, for a lock or for a timer obeys a signal at once.
_OBEYS = ("Client/", "Lock/", "Timeout/")


def _still_there(session: Session, now: Session | None, *, waited: bool) -> Verdict:
    """Right after a signal, a session that is still there may yet obey it. Asked later (by reconcile),
    one that sits where signals are obeyed at once was never told to end.
    """
    if now is None:
        return Verdict(state="applied", summary=f"session {session.id} is gone")
    doing = f"{now.kind}, {now.state}"
    untold = not waited and now.state is not State.ENDING and _would_obey(now)
    return Verdict(
        state="not_applied" if untold else "undecidable",
        summary=f"session {session.id} is still there ({doing})",
        evidence={"state": doing, "wait": now.wait, "rows_modified": now.rows_modified},
    )


def _would_obey(session: Session) -> bool:
    """PostgreSQL's backends look for signals where they wait; MySQL's are marked as killed at once."""
    in_postgres = session.query_started_at is not None
    waits = (session.wait or "").startswith(_OBEYS)
    return not in_postgres or session.state is not State.ACTIVE or waits


async def _drain(plan: Plan, engine: Engine) -> dict[str, Any]:
    """How many of those who waited behind the session wait no longer, and whom the others wait for.

    A chain drains link by link: looked at until nobody of them waits, or nothing moved for a second.
    """
    waiters = set(plan.evidence.get("waiters", ()))
    clock = asyncio.get_running_loop().time
    end = clock() + DRAIN_SECONDS
    waiting, moved = await _still_waiting(engine, waiters), clock()
    while waiting and clock() < min(end, moved + STILL_SECONDS):
        await asyncio.sleep(LOOK_EVERY)
        now = await _still_waiting(engine, waiters)
        if now != waiting:
            waiting, moved = now, clock()
    return {
        "waiters_before": len(waiters),
        "waiters_released": len(waiters) - len(waiting),
        "still_waiting_behind": sorted(set(waiting.values())),
    }


async def _still_waiting(engine: Engine, waiters: set[int]) -> dict[int, int]:
    """Those of the waiters who wait, each with the first of its blockers."""
    return {
        node.session.id: node.blocked_by[0]
        for node in (await engine.locks() if waiters else ())
        if node.session.id in waiters and node.blocked_by
    }
