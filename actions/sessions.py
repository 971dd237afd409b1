"""session.cancel and session.terminate: end a statement or a session, bound to its identity."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from actions import following
from actions import session_forecast as forecast
from actions import session_identity as identity
from actions import session_rights as rights
from actions import session_statements as statements
from actions.fact_words import SESSIONS
from actions.session_identity import FLAVORS, SessionArgs
from actions.session_proof import still_runs, still_there, until
from console import __version__
from console.dispatch.action import Look, Plan, Result, Risk, Verdict, Watch
from console.dispatch.facts import Facts
from console.dispatch.operator import Operator
from console.engine.port import Engine
from console.errors import DbdeckError, Refused
from console.model.sessions import Session, SessionKey, State
from console.model.target import ServerIdentity
from console.model.transactions import OpenTransaction
from console.model.whatif import node_of

_TRANSACTION = "transaction started"
_LOST = "nothing undoes it: the client sees a lost connection and its transaction is rolled back"
_DETACHED = "nothing undoes it: the client sees a lost connection; its prepared transaction stays"
_Moment = Annotated[datetime, msgspec.Meta(tz=True)] | None


class TerminateSession:
    """End a session; the server rolls its transaction back and frees its locks."""

    name = "session.terminate"
    summary = "end a session: its transaction is rolled back, its locks are freed"
    risk = Risk.HIGH
    flavors = FLAVORS
    facts = Facts(
        on=SESSIONS,
        undo="nothing: the client sees a lost connection, and its transaction is rolled back",
    )
    Args = SessionArgs

    def __init__(self, saved: datetime | msgspec.UnsetType | None = msgspec.UNSET) -> None:
        """`saved`: the transaction that a saved plan is bound to; None where it is bound to none."""
        self._saved = saved

    def bound_as(self, saved: Plan) -> TerminateSession:
        try:
            return TerminateSession(msgspec.convert(saved.observed[_TRANSACTION], _Moment))
        except (KeyError, msgspec.ValidationError):
            raise Refused(
                f"the saved plan of {self.name} tells no transaction: it was edited; nothing was executed",
                "plan anew",
            ) from None

    async def plan(self, engine: Engine, args: SessionArgs) -> Plan:
        server, scene = await _look(engine, args)
        session = scene.session
        pinned = self._pinned(server, scene)
        return _Draft(self.name, self.risk, engine.target.name, server, scene).plan(
            warnings=await _warnings(engine, server, scene),
            statements=(statements.terminate(server, session, pinned).shown,),
            observed={
                "session": identity.identity(session),
                _TRANSACTION: pinned.isoformat() if pinned else None,
            },
            forecast=forecast.terminating(scene),
            refusals=forecast.protected(session),
            undo=_LOST if scene.prepared is None else _DETACHED,
        )

    def _pinned(self, server: ServerIdentity, scene: forecast.Scene) -> datetime | None:
        """The transaction that is ended, and no other; None for a session at work that nobody waits for."""
        session, saved = scene.session, self._saved
        if not isinstance(saved, msgspec.UnsetType) and _stays(server, session, saved):
            return saved
        bound = session.state is not State.ACTIVE or node_of(scene.tree, session.id) is not None
        return session.transaction_started_at if bound else None

    async def look(self, plan: Plan, engine: Engine) -> Look:
        server = await engine.identity()
        args = msgspec.convert(plan.args, SessionArgs)
        session = await identity.find(engine, server, SessionKey(args.id, args.started_at))
        now, pinned = session.transaction_started_at, _bound_to(plan)
        found = pinned if _stays(server, session, pinned) else now
        return Look(
            observed={
                "session": identity.identity(session),
                _TRANSACTION: found.isoformat() if found else None,
            },
            refusals=forecast.protected(session),
            risk=self.risk,
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        statement = statements.terminate(plan.server, identity.session_of(plan), _bound_to(plan))
        return statements.outcome(await operator.execute(statement), operator.user)

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        session = identity.session_of(plan)

        async def gone() -> bool:
            now = identity.seen(await engine.session(session.id))
            return now is None or not identity.same(plan.server, now, session)

        if not await until(gone, patience):
            return still_there(session, await engine.session(session.id), waited=patience > 0)
        return Verdict(state="applied", summary=f"session {session.id} is gone")

    async def follow(self, plan: Plan, engine: Engine, watch: Watch, verdict: Verdict) -> Verdict:
        return verdict.with_evidence(await following.follow(plan, engine, watch))

    def lock(self, plan: Plan) -> str:
        return f"session:{plan.subject['id']}"


def _bound_to(plan: Plan) -> datetime | None:
    pinned = plan.observed[_TRANSACTION]
    return datetime.fromisoformat(pinned) if pinned else None


def _stays(server: ServerIdentity, session: Session, pinned: datetime | None) -> bool:
    """Whether a plan still holds. One that is in the transaction that it was planned in may be at work again.
    Where the plan is bound to none, it may not be idle in one: that has begun since.
    """
    if pinned is not None:
        return identity.same_transaction(server, session, pinned)
    return session.transaction_started_at is None or session.state is State.ACTIVE


class CancelQuery:
    """Stop the statement a session runs; the session and its transaction stay."""

    name = "session.cancel"
    summary = "stop the running statement of a session: the session stays"
    risk = Risk.MEDIUM
    flavors = FLAVORS
    facts = Facts(
        on=SESSIONS,
        undo="nothing: its client has to run the statement again",
    )
    Args = SessionArgs

    async def plan(self, engine: Engine, args: SessionArgs) -> Plan:
        server, scene = await _look(engine, args)
        session = scene.session
        return _Draft(self.name, self.risk, engine.target.name, server, scene).plan(
            warnings=await _warnings(engine, server, scene),
            statements=(statements.cancel(server, session).shown,),
            observed={
                "session": identity.identity(session),
                "statement": identity.statement_identity(session),
            },
            forecast=forecast.cancelling(scene),
            refusals=(*forecast.protected(session), *_nothing_to_cancel(session)),
            undo="nothing undoes it: the statement has to be run again by its client",
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        statement = statements.cancel(plan.server, identity.session_of(plan))
        return statements.outcome(await operator.execute(statement), operator.user)

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        session = identity.session_of(plan)
        before = plan.observed["statement"]
        now: Session | None = None

        async def stopped() -> bool:
            nonlocal now
            now = identity.seen(await engine.session(session.id))
            return (
                now is None
                or not identity.same(plan.server, now, session)
                or identity.statement_identity(now) != before
            )

        if await until(stopped, patience):
            return Verdict(state="applied", summary=f"the statement of session {session.id} ended")
        return still_runs(plan.server, session, now, waited=patience > 0)

    async def follow(self, plan: Plan, engine: Engine, watch: Watch, verdict: Verdict) -> Verdict:
        return verdict.with_evidence(await following.follow(plan, engine, watch))

    def lock(self, plan: Plan) -> str:
        return f"session:{plan.subject['id']}"


# ---- planning ----------------------------------------------------------------------------------


async def _look(engine: Engine, args: SessionArgs) -> tuple[ServerIdentity, forecast.Scene]:
    """The session of the key among the others. Raises Stale."""
    server = await engine.identity()
    session = await identity.find(engine, server, SessionKey(args.id, args.started_at))
    own = await _transaction(engine, session)
    return server, forecast.Scene(
        flavor=server.flavor,
        session=session,
        tree=await engine.locks(),
        others=tuple(one for one in await engine.sessions() if one.id != session.id),
        statement=_last_statement(session, own),
        standbys=await _standbys(engine, server, session),
        prepared=own.session.prepared if own else None,
    )


async def _transaction(engine: Engine, session: Session) -> OpenTransaction | None:
    """What MySQL and MariaDB tell of an idle session elsewhere, if at all."""
    if session.query or not session.in_transaction:
        return None
    try:
        found = await engine.transactions()
    except DbdeckError:
        return None
    return next((one for one in found if one.session.id == session.id), None)


def _last_statement(session: Session, own: OpenTransaction | None) -> str | None:
    """The running or last statement."""
    return own.statements[0] if own and own.statements else session.query


async def _standbys(engine: Engine, server: ServerIdentity, session: Session) -> str:
    if server.flavor != "postgresql" or not forecast.commits(session):
        return ""
    try:
        found = await engine.setting("synchronous_standby_names")
    except DbdeckError:
        return ""
    return found.server_value if found else ""


async def _warnings(engine: Engine, server: ServerIdentity, scene: forecast.Scene) -> tuple[str, ...]:
    return (*await rights.warning(engine, server, (scene.session,)), *forecast.warnings(scene))


class _Draft(msgspec.Struct, frozen=True):
    """What the plans of both actions have in common."""

    action: str
    risk: Risk
    target: str
    server: ServerIdentity
    scene: forecast.Scene

    def plan(self, **parts: Any) -> Plan:
        session, scene = self.scene.session, self.scene
        subject = identity.subject(session)
        return Plan(
            action=self.action,
            target=self.target,
            risk=self.risk,
            args={"id": session.id, "started_at": subject["started_at"]},
            subject=subject,
            evidence=following.before(scene.tree, [session], scene.others, [scene.statement]),
            likeness=following.likeness(self.action, session, scene.statement),
            server=self.server,
            made_at=datetime.now(UTC),
            version=__version__,
            **parts,
        )


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
