"""plan -> policy -> lock -> preconditions -> intent -> apply -> verify -> outcome -> unlock.

Until the intent is committed everything can be refused and nothing has happened; from then on the
run is finished and recorded, whatever the caller does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

import msgspec

from console import __version__
from console.audit.ledger import Ledger
from console.audit.record import AlreadyRecorded, Entry, Kind, OpenIntent, Receipt
from console.audit.verify import fields
from console.dispatch import policy as rules
from console.dispatch.action import Action, Approval, Plan, Result, Verdict
from console.dispatch.operator import Operator
from console.dispatch.registry import Registry, parse_args
from console.engine.open import open_operator
from console.engine.port import Engine, OperatorConnection
from console.errors import (
    ActionFailed,
    AuditUnavailable,
    DbdeckError,
    Exit,
    Locked,
    OutcomeUnknown,
    Refused,
    Stale,
    Unreachable,
)
from console.model.policy import Policy
from console.model.target import ServerIdentity, Target

VALID_FOR = timedelta(minutes=2)
PATIENCE_SECONDS = 10.0
Effect = Literal["none", "applied", "no_op", "unknown"]
Opener = Callable[[Target], AbstractAsyncContextManager[OperatorConnection]]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    message: str
    hint: str = ""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """How one action ended. `intent` and `outcome` are ids of ledger rows; None was not written there."""

    action_id: UUID
    action: str
    target: str
    effect: Effect
    exit: Exit
    intent: int | None
    outcome: int | None
    statements: tuple[str, ...]
    verify: Verdict | None
    duration_ms: float
    error: Failure | None = None
    recorded: bool = True


class Lifeboat:
    """One operator connection, opened at start and kept: a server that takes nobody else knows us still."""

    def __init__(self, target: Target, opener: Opener = open_operator) -> None:
        self.target = target
        self._open = opener
        self._context: AbstractAsyncContextManager[OperatorConnection] | None = None
        self._connection: OperatorConnection | None = None
        self._lock = asyncio.Lock()

    async def launch(self) -> None:
        """Raises the errors of open_operator; a second call does nothing."""
        if self._connection is None:
            context = self._open(self.target)
            self._connection = await context.__aenter__()
            self._context = context

    @asynccontextmanager
    async def board(self) -> AsyncIterator[OperatorConnection]:
        """The warm connection if it still answers, else a new one; one user at a time."""
        async with self._lock:
            try:
                if self._connection is not None:
                    await self._connection.identity()
            except Unreachable:
                await self.sink()
            await self.launch()
            assert self._connection is not None  # noqa: S101 - launch() sets it or raises
            try:
                yield self._connection
            except OutcomeUnknown:
                await self.sink()
                raise

    async def sink(self) -> None:
        context, self._context, self._connection = self._context, None, None
        if context is not None:
            await context.__aexit__(None, None, None)


class Dispatcher:
    """Runs actions on targets. One a process; it holds the ledger's writer."""

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        policy: Policy,
        *,
        opener: Opener = open_operator,
    ) -> None:
        self.registry = registry
        self._ledger = ledger
        self._policy = policy
        self._opener = opener
        self._lifeboats: dict[str, Lifeboat] = {}

    def lifeboat(self, target: Target) -> Lifeboat:
        return self._lifeboats.setdefault(target.name, Lifeboat(target, self._opener))

    async def close(self) -> None:
        for lifeboat in self._lifeboats.values():
            await lifeboat.sink()

    async def plan(self, name: str, engine: Engine, given: Mapping[str, object]) -> Plan:
        """Reads only. Raises UsageError, Stale, Unreachable."""
        action = self.registry.get(name)
        return await action.plan(engine, parse_args(action, given))

    async def earlier(self, idempotency_key: str) -> Run | None:
        """How the run that used this key ended, as the answer to a second one; None when there was none."""
        action_id = await self._ledger.find_idempotency(idempotency_key)
        if action_id is None:
            return None
        kinds = (Kind.INTENT, Kind.OUTCOME, Kind.RESOLVED)
        entries = await self._ledger.entries(action_id=action_id, kinds=kinds, newest_first=False)
        return repeated(action_id, entries)

    async def apply(
        self, plan: Plan, engine: Engine, approval: Approval, *, idempotency_key: str | None = None
    ) -> Run:
        """Run a plan. Raises Refused, AuditUnavailable, Stale, Locked, Unreachable: nothing happened then.

        Everything later is in the Run. Cancelling a run whose intent is written waits for its outcome.
        """
        action = self.registry.get(plan.action)
        await self._ask_policy(plan, engine.target, approval)
        boat = self.lifeboat(engine.target)
        async with boat.board() as connection:
            await self._same_server(plan, connection)
            name = f"{plan.target}:{action.lock(plan)}"
            await _hold(connection, name, plan)
            try:
                await self._recheck(action, plan, engine)
                effect = _Effect(action, plan, engine, connection, self._ledger)
                intent = self._intent(plan, approval, engine.target, connection)
                task = asyncio.create_task(effect.run(intent, idempotency_key))
                return await _finish(task)
            finally:
                await _let_go(connection, name)

    async def _ask_policy(self, plan: Plan, target: Target, approval: Approval) -> None:
        refusal = rules.refuses(self._policy, target, plan, approval, datetime.now(UTC))
        if refusal is None:
            unsettled = [one.body for one in await self._ledger.open_intents() if not running(one)]
            refusal = rules.frozen_by(plan, unsettled)
        if refusal is not None:
            await self._record_refusal(plan, refusal.reason)
            raise Refused(f"{refusal.reason}; nothing was executed", refusal.hint)

    async def _record_refusal(self, plan: Plan, reason: str) -> None:
        """Refusals are rows too; but nothing happened, so a ledger that is down does not matter here."""
        body = {"action": plan.action, "target": plan.target, "args": plan.args, "reason": reason}
        try:
            await self._ledger.append(Kind.REFUSED, uuid4(), body)
        except AuditUnavailable:
            return

    async def _same_server(self, plan: Plan, connection: OperatorConnection) -> None:
        now = await connection.identity()
        changed = server_changes(plan.server, now)
        if changed:
            raise Stale(
                f"{plan.target} is not the server that was planned for: {changed}; nothing was executed"
            )

    async def _recheck(self, action: Action[Any], plan: Plan, engine: Engine) -> None:
        fresh = await action.plan(engine, parse_args(action, plan.args))
        changed = [
            f"{key} was {before!r} and is {fresh.observed.get(key)!r}"
            for key, before in plan.observed.items()
            if fresh.observed.get(key) != before
        ]
        if changed:
            raise Stale(f"{plan.title} changed since the plan: {'; '.join(changed)}; nothing was executed")
        if fresh.refusals:
            raise Refused(f"protected: {'; '.join(fresh.refusals)}; nothing was executed")

    def _intent(
        self, plan: Plan, approval: Approval, target: Target, connection: OperatorConnection
    ) -> dict[str, object]:
        now = datetime.now(UTC)
        return {
            "version": 1,
            "dbdeck": __version__,
            "action": plan.action,
            "target": plan.target,
            "environment": str(target.environment),
            "risk": str(plan.risk),
            "args": plan.args,
            "subject": plan.subject,
            "statements": list(plan.statements),
            "forecast": list(plan.forecast),
            "plan_hash": plan.hash,
            "plan": msgspec.to_builtins(plan, str_keys=True),
            "server": msgspec.to_builtins(plan.server),
            "operator": connection.user,
            "reason": approval.reason,
            "ticket": approval.ticket,
            "confirmed": bool(approval.confirm),
            "planned_at": plan.made_at,
            "valid_until": now + VALID_FOR,
        }


def repeated(action_id: UUID, entries: Sequence[Entry]) -> Run:
    """The answer to a repeated key: nothing is done now, and how it ended then decides the exit code."""
    bodies = [(entry, fields(entry.body)) for entry in entries]
    intent, plan = bodies[0]
    ends = [(entry, body) for entry, body in bodies if entry.kind != Kind.INTENT]
    status = str(ends[-1][1].get("status")) if ends else "unknown"
    effect, code = _REPEATED.get(status, ("unknown", Exit.UNKNOWN))
    done = f"this idempotency key was used by action {action_id}, which ended as {status}"
    return Run(
        action_id=action_id,
        action=str(plan.get("action")),
        target=str(plan.get("target")),
        effect=effect,
        exit=code,
        intent=intent.id,
        outcome=ends[-1][0].id if ends else None,
        statements=(),
        verify=None,
        duration_ms=0.0,
        error=Failure(kind="repeated", message=f"{done}; nothing was executed now"),
    )


_REPEATED: Mapping[str, tuple[Effect, Exit]] = {
    "applied": ("no_op", Exit.OK),
    "no_op": ("no_op", Exit.OK),
    "failed": ("none", Exit.FAILED),
    "not_applied": ("none", Exit.FAILED),
}


def running(intent: OpenIntent) -> bool:
    """At work in a living process: neither open for reconciliation nor a reason to freeze."""
    return intent.alive and intent.outcome is None


def server_changes(before: ServerIdentity, now: ServerIdentity) -> str:
    """What tells two servers, or two runs of one, apart; empty when they are the same."""
    changes = []
    if before.system_id != now.system_id:
        changes.append(f"another server answers (id {now.system_id}, was {before.system_id})")
    if abs((before.started_at - now.started_at).total_seconds()) > 2:
        changes.append(f"it was restarted at {now.started_at.isoformat()}")
    if before.primary != now.primary:
        changes.append("it is a primary now" if now.primary else "it is no longer the primary")
    return ", ".join(changes)


async def _hold(connection: OperatorConnection, name: str, plan: Plan) -> None:
    holder = await connection.hold(name)
    if holder is not None:
        raise Locked(
            f"{plan.title} is being acted on by {holder}; nothing was executed", "wait and look again"
        )


async def _let_go(connection: OperatorConnection, name: str) -> None:
    """A lost connection has let go by itself."""
    try:
        await connection.let_go(name)
    except DbdeckError:
        return


async def _finish(task: asyncio.Task[Run]) -> Run:
    """Wait for a run that must be recorded: a cancellation that comes after the intent is too late."""
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if task.cancelled() or me is None:
                raise
            me.uncancel()
        except DbdeckError:
            break
    return task.result()


class _Effect:
    """From the intent to the outcome of one action."""

    def __init__(
        self,
        action: Action[Any],
        plan: Plan,
        engine: Engine,
        connection: OperatorConnection,
        ledger: Ledger,
    ) -> None:
        self._action = action
        self._plan = plan
        self._engine = engine
        self._connection = connection
        self._ledger = ledger
        self._id = uuid4()
        self._started = time.monotonic()

    async def run(self, body: dict[str, object], idempotency_key: str | None) -> Run:
        intent = await self._record_intent(body, idempotency_key)
        operator = Operator(self._connection, self._ledger, self._id)
        failure: DbdeckError | None = None
        result = Result(matched=False)
        try:
            result = await self._action.apply(self._plan, operator)
        except DbdeckError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - whatever broke, the outcome row must be written
            failure = OutcomeUnknown(f"{self._action.name} broke inside: {type(error).__name__}")
        verdict = await self._verify(0.0 if isinstance(failure, ActionFailed) else PATIENCE_SECONDS)
        return await self._outcome(intent, conclude(self._plan, result, verdict, failure), verdict)

    async def _record_intent(self, body: dict[str, object], key: str | None) -> Receipt:
        try:
            return await self._ledger.append(Kind.INTENT, self._id, body, idempotency_key=key)
        except AlreadyRecorded as error:
            raise Refused(
                f"the idempotency key {key} was used by action {error.action_id}; nothing was executed",
                f"`dbdeck audit show {error.action_id}` tells how it ended",
            ) from None
        except AuditUnavailable as error:
            raise AuditUnavailable(f"{error.message}; nothing was executed", error.hint) from None

    async def _verify(self, patience: float) -> Verdict:
        try:
            return await self._action.verify(self._plan, self._engine, patience=patience)
        except DbdeckError as error:
            return Verdict(state="undecidable", summary=error.message)
        except Exception as error:  # noqa: BLE001 - as above
            return Verdict(state="undecidable", summary=f"the check broke: {type(error).__name__}")

    async def _record_outcome(self, intent: Receipt, body: dict[str, object]) -> Receipt:
        """What happened is told even where neither table nor journal take it any more."""
        try:
            return await self._ledger.append_late(Kind.OUTCOME, self._id, body)
        except AuditUnavailable:
            return msgspec.structs.replace(intent, id=None, recorded=False)

    async def _outcome(self, intent: Receipt, end: Conclusion, verdict: Verdict) -> Run:
        duration = (time.monotonic() - self._started) * 1000
        body: dict[str, object] = {
            "status": end.status,
            "verify": msgspec.to_builtins(verdict),
            "duration_ms": round(duration, 1),
            "error": msgspec.to_builtins(end.error),
        }
        receipt = await self._record_outcome(intent, body)
        return Run(
            action_id=self._id,
            action=self._plan.action,
            target=self._plan.target,
            effect=end.effect,
            exit=end.exit,
            intent=intent.id,
            outcome=receipt.id,
            statements=self._plan.statements,
            verify=verdict,
            duration_ms=round(duration, 1),
            error=end.error,
            recorded=receipt.recorded,
        )


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is the outcome row's: applied | no_op | failed | unknown."""

    status: Literal["applied", "no_op", "failed", "unknown"]
    effect: Effect
    exit: Exit
    error: Failure | None = None


def conclude(plan: Plan, result: Result, verdict: Verdict, failure: DbdeckError | None) -> Conclusion:
    """What may be said of an action: never `applied` without a verdict, never `failed` from a time-out."""
    told = Failure(kind=failure.kind, message=failure.message, hint=failure.hint) if failure else None
    if verdict.state == "undecidable" or (isinstance(failure, OutcomeUnknown) and verdict.state != "applied"):
        if isinstance(failure, ActionFailed):
            return Conclusion(status="failed", effect="none", exit=Exit.FAILED, error=told)
        unknown = told or Failure(
            kind="unknown",
            message=f"{plan.title}: {verdict.summary}",
            hint="`dbdeck audit reconcile` settles it",
        )
        return Conclusion(status="unknown", effect="unknown", exit=Exit.UNKNOWN, error=unknown)
    if verdict.state == "applied":
        if result.matched or isinstance(failure, OutcomeUnknown):
            return Conclusion(status="applied", effect="applied", exit=Exit.OK)
        return Conclusion(status="no_op", effect="no_op", exit=Exit.OK)
    missed = Failure(
        kind="stale" if not result.matched else "failed",
        message=f"{plan.title}: {verdict.summary}",
        hint="look again: the session may have moved on" if not result.matched else "",
    )
    return Conclusion(status="failed", effect="none", exit=Exit.FAILED, error=told or missed)
