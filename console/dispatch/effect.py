"""From the intent to the outcome of one action, and what may be said of its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID, uuid4

import msgspec

from console.audit.ledger import Ledger
from console.audit.record import AlreadyRecorded, Entry, Kind, Receipt
from console.audit.verify import fields
from console.dispatch.action import Action, Followed, Plan, Result, Step, Verdict, Watch
from console.dispatch.operator import Another, Ground, Operator, Record, proof
from console.engine.port import Engine, OperatorConnection
from console.errors import ActionFailed, AuditUnavailable, DbdeckError, Exit, OutcomeUnknown, Refused
from console.secret_store import SecretStore

PATIENCE_SECONDS = 10.0
Effect = Literal["none", "applied", "no_op", "unknown"]


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


class Performance:
    """From the intent to the outcome of one action."""

    def __init__(
        self,
        action: Action[Any],
        plan: Plan,
        engine: Engine,
        ways: tuple[OperatorConnection, Another, SecretStore | None],
        record: tuple[Ledger, Watch, UUID | None],
    ) -> None:
        self._action = action
        self._plan = plan
        self._engine = engine
        self._connection, self._another, self._store = ways
        self._ledger, self._watch, self._parent = record
        self._id = uuid4()
        self._started = time.monotonic()
        self._about: dict[str, object] = {}

    async def run(self, body: dict[str, object], idempotency_key: str | None) -> Run:
        # In every row of the action, so that a row can be read without its intent.
        self._about = {name: body[name] for name in ("action", "target", "operator", "reason")}
        intent = await self._record_intent(body, idempotency_key)
        written = Record(self._ledger, self._id, self._about, self._parent)
        ways = (self._another, self._store)
        operator = Operator(self._connection, written, self._engine, self._watch, ways)
        failure: DbdeckError | None = None
        result = Result(matched=False)
        try:
            result = await self._action.apply(self._plan, operator)
        except DbdeckError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - whatever broke, the outcome row must be written
            failure = OutcomeUnknown(f"{self._action.name} broke inside: {type(error).__name__}")
        # What the server itself answered is part of the proof, where a look cannot tell.
        self._plan = msgspec.structs.replace(
            self._plan, evidence={**self._plan.evidence, **operator.evidence}
        )
        patience = 0.0 if isinstance(failure, ActionFailed) else PATIENCE_SECONDS
        verdict = await self._verify(operator.taken, patience)
        verdict = stopped(await self._follow(verdict), self._watch).with_evidence(operator.evidence)
        return await self._outcome(intent, conclude(self._plan, result, verdict, failure), verdict)

    async def _record_intent(self, body: dict[str, object], key: str | None) -> Receipt:
        try:
            return await self._ledger.append(
                Kind.INTENT, self._id, body, idempotency_key=key, parent=self._parent
            )
        except AlreadyRecorded as error:
            raise Refused(
                f"the idempotency key {key} was used by action {error.action_id}; nothing was executed",
                f"`dbdeck audit show {error.action_id}` tells how it ended",
            ) from None
        except AuditUnavailable as error:
            raise AuditUnavailable(f"{error.message}; nothing was executed", error.hint) from None

    async def _verify(self, steps: Sequence[Step], patience: float) -> Verdict:
        try:
            on = Ground(self._engine, self._store)
            return await proof(self._action, self._plan, on, steps, patience=patience)
        except DbdeckError as error:
            return Verdict(state="undecidable", summary=error.message)
        except Exception as error:  # noqa: BLE001 - as above
            return Verdict(state="undecidable", summary=f"the check broke: {type(error).__name__}")

    async def _follow(self, verdict: Verdict) -> Verdict:
        """The verdict with what came of it. A watch that fails takes nothing back of what was proved."""
        if verdict.state not in ("applied", "partial") or not isinstance(self._action, Followed):
            return verdict
        self._watch.tell(verdict.summary)
        try:
            async with asyncio.timeout(self._watch.seconds + PATIENCE_SECONDS):
                return await self._action.follow(self._plan, self._engine, self._watch, verdict)
        except (DbdeckError, TimeoutError) as error:
            seen = {"watch": f"broke off: {str(error) or 'no answer in time'}"}
        except Exception as error:  # noqa: BLE001 - as above
            seen = {"watch": f"broke: {type(error).__name__}"}
        return verdict.with_evidence(seen)

    async def _record_outcome(self, intent: Receipt, body: dict[str, object]) -> Receipt:
        """What happened is told even where neither table nor journal take it any more."""
        try:
            return await self._ledger.append_late(Kind.OUTCOME, self._id, body, parent=self._parent)
        except AuditUnavailable:
            return msgspec.structs.replace(intent, id=None, recorded=False)

    async def _outcome(self, intent: Receipt, end: Conclusion, verdict: Verdict) -> Run:
        duration = (time.monotonic() - self._started) * 1000
        end = end.named(self._id)
        body: dict[str, object] = {
            **self._about,
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


def stopped(verdict: Verdict, watch: Watch) -> Verdict:
    """The verdict with what ended the run early, if anything did."""
    if not watch.stop.is_set():
        return verdict
    by = f"by {watch.stop.by or 'its caller'}"
    early = verdict.state in ("partial", "not_applied")
    return msgspec.structs.replace(
        verdict,
        summary=f"{verdict.summary}; stopped {by}" if early else verdict.summary,
        evidence={**verdict.evidence, "stopped": by},
    )


_PARTLY = "what was done stays done; look again, and plan what is left"


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is the outcome row's: applied | partial | no_op | failed | unknown."""

    status: Literal["applied", "partial", "no_op", "failed", "unknown"]
    effect: Effect
    exit: Exit
    error: Failure | None = None

    def named(self, action_id: UUID) -> Conclusion:
        """With the action's id where the hint names a command that takes it."""
        if self.error is None or "{id}" not in self.error.hint:
            return self
        error = msgspec.structs.replace(self.error, hint=self.error.hint.replace("{id}", str(action_id)))
        return msgspec.structs.replace(self, error=error)


def conclude(plan: Plan, result: Result, verdict: Verdict, failure: DbdeckError | None) -> Conclusion:
    """What may be said of an action: never `applied` without a verdict, never `failed` from a time-out."""
    told = Failure(kind=failure.kind, message=failure.message, hint=failure.hint) if failure else None
    # A partial end may be told with its own failure; one with a lost answer may yet become another.
    lost = isinstance(failure, OutcomeUnknown) and failure.kind != verdict.state
    unclear = lost and verdict.state != "applied" and not verdict.certain
    if verdict.state == "undecidable" or unclear:
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
    if verdict.state == "partial":
        some = told or Failure(kind="partial", message=f"{plan.title}: {verdict.summary}", hint=_PARTLY)
        return Conclusion(status="partial", effect="applied", exit=Exit.PARTIAL, error=some)
    missed = Failure(
        kind="stale" if not result.matched else "failed",
        message=f"{plan.title}: {verdict.summary}",
        hint="look again: it may have changed since the plan" if not result.matched else "",
    )
    return Conclusion(status="failed", effect="none", exit=Exit.FAILED, error=told or missed)


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
    "partial": ("no_op", Exit.PARTIAL),
    "failed": ("none", Exit.FAILED),
    "not_applied": ("none", Exit.FAILED),
}
