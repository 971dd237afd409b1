"""plan -> policy -> lock -> preconditions -> intent -> apply -> verify -> outcome -> unlock.

Until the intent is committed everything can be refused and nothing has happened; from then on the
run is finished and recorded, whatever the caller does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import msgspec

from console.audit.ledger import Ledger
from console.audit.record import Kind, OpenIntent
from console.audit.verify import fields
from console.dispatch import history, intents
from console.dispatch import policy as rules
from console.dispatch.action import (
    Action,
    Approval,
    Binding,
    Keeping,
    Lasting,
    Look,
    Looking,
    Needy,
    Offline,
    Plan,
    Resumable,
    Sparing,
    Thinning,
    Watch,
)
from console.dispatch.approving import ApprovalMissing, Approved, approved, unapproved
from console.dispatch.effect import Performance, Run, repeated
from console.dispatch.lifeboat import Lifeboat, Opener
from console.dispatch.memory import Memory
from console.dispatch.nowhere import nowhere
from console.dispatch.person import person
from console.dispatch.planning import apart_of, draw_up, may_not, planned, unfit_of
from console.dispatch.registry import Registry, parse_args
from console.dispatch.ruling import Case, Ruling, over_the_limit, ruling, seconds_of
from console.dispatch.vouching import change, vouch
from console.engine.open import open_operator
from console.engine.port import Engine, OperatorConnection
from console.errors import (
    AuditUnavailable,
    DbdeckError,
    Locked,
    NothingToResume,
    PrivilegeMissing,
    Refused,
    Stale,
    UsageError,
)
from console.model.policy import BreakGlass, Policy, Rule
from console.model.target import ServerIdentity, Target, server_changes
from console.secret_store import SecretStore

COUNTED = 5000  # intents that are looked through for the targets of a rule
Holding = Callable[[], Awaitable[None]]


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger is a journal alone, because somebody said why, for this target."""

    target: str
    by: BreakGlass


class Dispatcher:
    """Runs actions on targets. One a process; it holds the ledger's writer.

    With `glass` the ledger has no table: see `console.audit.glass`. Rules, locks and looks are as ever.
    """

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        policy: Policy,
        *,
        opener: Opener = open_operator,
        store: SecretStore | None = None,
        glass: Broken | None = None,
    ) -> None:
        self.registry = registry
        self._ledger = ledger
        self._policy = policy
        self._who = person()
        self._glass = glass
        self._opener = opener
        self.store = store
        self._locks = ledger.folder.parent / "locks"
        self.memory = Memory(store, ledger)
        self._at_the_key = Memory(store, ledger, brief=True)
        self._lifeboats: dict[str, Lifeboat] = {}

    def lifeboat(self, target: Target) -> Lifeboat:
        return self._lifeboats.setdefault(target.name, Lifeboat(target, self._opener))

    @property
    def ledger(self) -> Ledger:
        return self._ledger

    @asynccontextmanager
    async def holding(self, target: Target, names: Sequence[str], what: str) -> AsyncIterator[Holding]:
        """Locks in the target on a connection of their own, for longer than one action; on this machine where
        the target is read-only. Raises Locked with who holds one, and the errors of a connection.

        What it gives raises Locked once they were lost.
        """
        way = nowhere(self._locks, _unasked(target)) if target.read_only else self._opener(target)
        async with way as connection, AsyncExitStack() as stack:
            for name in sorted(names):
                holder = await connection.hold(f"{target.name}:{name}")
                if holder is not None:
                    locked = Locked(f"{what} is held by {holder}; nothing was executed", "wait, or follow it")
                    locked.holder = holder
                    raise locked
                stack.push_async_callback(_let_go, connection, f"{target.name}:{name}")

            async def still() -> None:
                try:
                    await connection.identity()
                except DbdeckError as error:
                    raise Locked(
                        f"the lock of {what} was lost: {error.message}; nothing more was executed",
                        "resume it when the target answers",
                    ) from None

            yield still

    async def close(self) -> None:
        """At once: each server that hangs takes its time to say goodbye."""
        await asyncio.gather(*(lifeboat.sink() for lifeboat in self._lifeboats.values()))

    async def plan(self, name: str, engine: Engine, given: Mapping[str, object]) -> Plan:
        """Reads only. Raises UsageError, Stale, Unreachable."""
        action = self.registry.get(name)
        return await self._plan(action, engine, parse_args(action, given))

    async def _plan(self, action: Action[Any], engine: Engine, parsed: msgspec.Struct) -> Plan:
        plan = await draw_up(action, engine, parsed, self.memory)
        plan = msgspec.structs.replace(plan, given=msgspec.to_builtins(parsed))
        plan = await history.timed(self._ledger, plan)
        earlier = await history.before(self._ledger, plan)
        return msgspec.structs.replace(plan, forecast=(*plan.forecast, *earlier))

    async def vouched(self, saved: Plan, engine: Engine) -> Plan:
        """The plan that its action makes now of the arguments of one that was saved, where that is the same.

        What is in a file, anybody may have written who may write the file: none of it is run. Raises Stale
        where what it was planned on has changed, Refused where it was edited, and as `plan`.
        """
        action = self.registry.get(saved.action)
        parsed = parse_args(action, saved.args)
        if not isinstance(action, Offline):
            refuse_another(saved, await engine.identity())  # whose ids and objects may be others of that name
        thinned = isinstance(action, Thinning)
        if isinstance(action, Thinning):
            action = action.among(saved)
        elif isinstance(action, Binding):
            action = action.bound_as(saved)
        try:
            fresh = await self._plan(action, engine, parsed)
        except UsageError as error:  # it could be planned once
            raise Stale(error.message, error.hint or "plan anew") from None
        refuse_another(saved, fresh.server)
        vouch(saved, fresh, thinned=thinned)
        left = thinned and fresh.hash != saved.hash
        return msgspec.structs.replace(fresh, part_of=saved.hash) if left else fresh

    async def resume(self, action_id: UUID, engine: Engine) -> Plan:
        """A plan for what an earlier action left undone, by what the server shows now.

        Raises UsageError where there is no such action, or none that can be resumed on this target
        (NothingToResume where planning it anew is the way), and Refused while its end is not settled.
        """
        earlier = await self._planned(action_id)
        if earlier.target != engine.target.name:
            raise UsageError(
                f"action {action_id} was on {earlier.target}; nothing was executed", f"-t {earlier.target}"
            )
        action = self.registry.get(earlier.action)
        if not isinstance(action, Resumable):
            raise NothingToResume(
                f"{earlier.action} has nothing to resume; nothing was executed", "plan it anew"
            )
        rest = await action.rest(earlier, engine)
        if not rest:
            raise NothingToResume(
                f"all of action {action_id} is done; nothing was executed", "plan it anew to do it again"
            )
        plan = await self.plan(earlier.action, engine, rest)
        return msgspec.structs.replace(plan, resumes=str(action_id))

    async def _planned(self, action_id: UUID) -> Plan:
        """The plan of an earlier action, with what its run saw."""
        kinds = (Kind.INTENT, Kind.OUTCOME, Kind.RESOLVED)
        entries = await self._ledger.entries(action_id=action_id, kinds=kinds, newest_first=False)
        if not entries:
            raise UsageError(
                f"the ledger has no action {action_id}; nothing was executed", "`dbdeck audit list` has them"
            )
        plan = intents.plan_of(fields(entries[0].body))
        verdicts = [fields(entry.body).get("verify") for entry in entries[1:]]
        seen = [one.get("evidence") for one in verdicts if isinstance(one, dict)]
        evidence = {name: value for one in seen if isinstance(one, dict) for name, value in one.items()}
        if entries[1:]:
            evidence["ended_at"] = entries[-1].at.isoformat()
        return msgspec.structs.replace(plan, evidence={**plan.evidence, **evidence})

    async def earlier(
        self, idempotency_key: str, name: str, target: Target, args: msgspec.Struct
    ) -> Run | None:
        """How the run that used this key ended, as the answer to a second one; None when there was none.

        Raises Refused when the key was used for something else: it stands for one intention.
        """
        action_id = await self._ledger.find_idempotency(idempotency_key)
        if action_id is None:
            return None
        kinds = (Kind.INTENT, Kind.OUTCOME, Kind.RESOLVED)
        try:
            entries = await self._ledger.entries(action_id=action_id, kinds=kinds, newest_first=False)
        except PrivilegeMissing:
            raise Refused(
                f"this idempotency key was used by action {action_id}; how it ended may not be read; "
                "nothing was executed",
                f"ask an auditor: `dbdeck audit show {action_id}`",
            ) from None
        meant = fields(entries[0].body)
        same = (meant.get("action"), meant.get("target")) == (name, target.name)
        planned = meant.get("plan")
        given = planned.get("given") if isinstance(planned, dict) else None
        if not same or args not in [self._parsed(name, one) for one in (meant.get("args"), given) if one]:
            raise Refused(
                f"this idempotency key was used for something else: {meant.get('action')} on "
                f"{meant.get('target')} with {_words(meant.get('args'))}; nothing was executed",
                "a key stands for one intention: choose another",
            )
        return repeated(action_id, entries)

    def _parsed(self, name: str, args: object) -> msgspec.Struct | None:
        try:
            return parse_args(self.registry.get(name), args if isinstance(args, dict) else {})
        except UsageError:
            return None  # recorded by a dbdeck with other arguments

    async def apply(
        self,
        plan: Plan,
        engine: Engine,
        approval: Approval,
        *,
        idempotency_key: str | None = None,
        watch: Watch | None = None,
        parent: UUID | None = None,
    ) -> Run:
        """Run a plan; `parent` is the run of a runbook that it is part of.

        Raises Refused, AuditUnavailable, Stale, Locked, Unreachable: nothing happened then.
        Everything later is in the Run. Cancelling a run whose intent is written sets `watch.stop` and
        waits for its outcome.
        """
        watch = watch or Watch()
        action = self.registry.get(plan.action)
        self._refuse_without_table(plan, idempotency_key)
        ruled = await self._ask_policy(plan, engine.target, approval)
        async with self._connection(action, plan, engine.target) as connection:
            refuse_another(plan, await connection.identity())
            async with _holding(connection, locks_of(action, plan), plan):
                await self._recheck(action, plan, engine)
                plan = await self._may(action, plan, connection)
                plan = await self._ready(action, plan, engine)
                others = await self._approved(plan, ruled, approval)  # of what is left of it
                ways = (connection, partial(self._opener, engine.target), self.store)
                performance = Performance(action, plan, engine, ways, (self._ledger, watch, parent))
                by = {"policy": self._policy.hash, "rule": ruled.rule}
                intent = intents.body(plan, approval, engine.target, connection.user, others, by)
                task = asyncio.create_task(performance.run(intent, idempotency_key))
                return await _finish(task, watch)

    def _refuse_without_table(self, plan: Plan, idempotency_key: str | None) -> None:
        """What a journal alone cannot do. Raises Refused."""
        if self._glass is None:
            return
        if self._glass.target != plan.target:
            raise Refused(
                f"the glass was broken for {self._glass.target}, not for {plan.target}; nothing was executed",
                "end it, and break it where it is needed",
            )
        if idempotency_key is not None:
            raise Refused(
                "without the ledger nobody can tell whether an idempotency key was used; nothing was executed"
            )

    def _connection(
        self, action: Action[Any], plan: Plan, target: Target
    ) -> AbstractAsyncContextManager[OperatorConnection]:
        """The warm connection; one of its own for what may take hours; none for what needs no server."""
        if isinstance(action, Offline):
            return nowhere(self._locks, plan.server)
        return self._opener(target) if isinstance(action, Lasting) else self.lifeboat(target).board()

    async def _ask_policy(self, plan: Plan, target: Target, approval: Approval) -> Ruling:
        """What its rules say of the plan, at one moment. Raises Refused."""
        now = datetime.now(UTC)  # one moment for all: a window may close meanwhile
        offline = isinstance(self.registry.get(plan.action), Offline)
        against = rules.ruled_out if offline else rules.disabled
        refusal = against(self._policy, target, plan.action, now, self._who, plan.risk)
        refusal = refusal or rules.refuses(self._policy, target, plan, approval)
        # What acts on no server leaves nothing open that a second run could meet.
        if refusal is None and not offline:
            unsettled = [one for one in await self._ledger.open_intents() if not running(one)]
            refusal = rules.frozen_by(plan, [one.body for one in unsettled if not one.unmerged])
            refusal = refusal or _by_unmerged(plan, [one for one in unsettled if one.unmerged])
        if refusal is not None:
            await self._record_refusal(plan, refusal.reason)
            raise Refused(f"{refusal.reason}; nothing was executed", refusal.hint)
        case = Case(who=self._who, action=plan.action, target=target, at=now, risk=plan.risk)
        ruled = ruling(self._policy, case)
        if ruled.limit is not None and self._glass is None:  # the glass is broken for one target
            await self._refuse_many(plan, ruled.limit)
        return ruled

    async def _refuse_many(self, plan: Plan, rule: Rule) -> None:
        """By the ledger's intents and its clock, whoever wrote them. Raises Refused."""
        entries = await self._ledger.entries(kinds=(Kind.INTENT,), limit=COUNTED)
        since = self._ledger.now - timedelta(seconds=seconds_of(rule.per))
        recent = [fields(one.body) for one in entries if one.at >= since]
        acted = ((str(one.get("action")), str(one.get("target"))) for one in recent)
        there = over_the_limit(rule, plan.target, acted)
        if not there and len(recent) < COUNTED:
            return
        told = (
            f"{', '.join(there[:5])}{' …' if len(there) > 5 else ''}" if there else "more than can be counted"
        )
        reason = f"{rule.name} allows {rule.max_targets} targets in {rule.per}, and it was {told} already"
        await self._record_refusal(plan, reason)
        raise Refused(f"{reason}; nothing was executed", "wait, or have the rule changed")

    async def _approved(self, plan: Plan, ruled: Ruling, approval: Approval) -> Approved:
        """The approvals of others that the policy wants. Raises ApprovalMissing."""
        try:
            if self._glass is not None:
                return unapproved(plan, ruled, allowed=self._glass.by.without_approvals)
            return await approved(self._ledger, plan, ruled)
        except ApprovalMissing as missing:
            if not approval.waits:
                await self._record_refusal(plan, missing.message, approval)
            raise

    async def _record_refusal(self, plan: Plan, reason: str, asked: Approval | None = None) -> None:
        """Refusals are rows too; but nothing happened, so a ledger that is down does not matter here. Where
        somebody else is `asked` to approve it, the whole plan stands in it, and what it is wanted for.
        """
        body = {"action": plan.action, "target": plan.target, "args": plan.args, "reason": reason}
        if asked is not None:
            whole = msgspec.to_builtins(plan, str_keys=True)
            wanted = {"reason": asked.reason, "ticket": asked.ticket}
            body |= {"plan_hash": plan.hash, "plan": whole, "wanted": wanted}
        try:
            await self._ledger.append(Kind.REFUSED, uuid4(), body)
        except AuditUnavailable:
            return

    async def _recheck(self, action: Action[Any], plan: Plan, engine: Engine) -> None:
        fresh = await self._look(action, plan, engine)
        changed = [
            change(key, before, fresh.observed.get(key))
            for key, before in plan.observed.items()
            if fresh.observed.get(key) != before
        ]
        if changed:
            raise Stale(
                f"{plan.title} changed since the plan: {'; '.join(changed)}; nothing was executed",
                "plan anew",
            )
        if fresh.refusals:
            raise Refused(f"protected: {'; '.join(fresh.refusals)}; nothing was executed")
        if fresh.risk is not None and (fresh.risk, fresh.confirm) != (plan.risk, plan.confirm):
            # Policy judged by what the plan says, and a saved one is only a file.
            raise Stale(f"{plan.title} is of {fresh.risk} risk now; nothing was executed", "plan anew")

    async def _look(self, action: Action[Any], plan: Plan, engine: Engine) -> Plan | Look:
        if isinstance(action, Looking):
            return await action.look(plan, engine)
        return await planned(action, engine, parse_args(action, plan.args), self._at_the_key)

    async def _may(self, action: Action[Any], plan: Plan, connection: OperatorConnection) -> Plan:
        """What the operator lacks is told before anything is recorded, where it can be."""
        if apart := apart_of(action, plan):
            return await self._spare(action, plan, await unfit_of(apart, connection.missing, connection.user))
        missing = await connection.missing(action.needs(plan)) if isinstance(action, Needy) else ()
        if missing:
            reason = may_not(connection.user, missing)
            await self._record_refusal(plan, reason)
            raise Refused(f"{reason}; nothing was executed")
        return plan

    async def _spare(self, action: Action[Any], plan: Plan, unfit: Mapping[str, str]) -> Plan:
        if not isinstance(action, Sparing) or not unfit:
            return plan
        try:
            return action.without(plan, unfit)
        except Refused as error:
            await self._record_refusal(plan, error.message)
            raise

    async def _ready(self, action: Action[Any], plan: Plan, engine: Engine) -> Plan:
        """The plan with what its action found out last, where it looks at secrets."""
        if not isinstance(action, Keeping):
            return plan
        found = await action.ready(plan, engine, self.store)
        return msgspec.structs.replace(plan, evidence={**plan.evidence, **found})


def _words(args: object) -> str:
    """As they are written on a command line."""
    given = args if isinstance(args, dict) else {}
    return " ".join(f"{name}={value}" for name, value in given.items()) or "no arguments"


def running(intent: OpenIntent) -> bool:
    """At work in a living process: neither open for reconciliation nor a reason to freeze."""
    return intent.alive and intent.outcome is None


def _by_unmerged(plan: Plan, unsettled: Sequence[OpenIntent]) -> rules.Refusal | None:
    frozen = rules.frozen_by(plan, [one.body for one in unsettled])
    if frozen is None:
        return None
    return rules.Refusal(
        f"{frozen.reason}; its break-glass is not merged",
        "`dbdeck audit merge`, then `dbdeck audit reconcile`",
    )


def refuse_another(plan: Plan, now: ServerIdentity) -> None:
    """Raises Stale where another server answers than the plan's, or the same since another start."""
    if changed := server_changes(plan.server, now):
        raise Stale(
            f"{plan.target} is not the server that was planned for: {changed}; nothing was executed",
            "plan anew",
        )


def locks_of(action: Action[Any], plan: Plan) -> list[str]:
    """In one order everywhere, so that two runs do not wait for each other."""
    given = action.lock(plan)
    return [f"{plan.target}:{one}" for one in ((given,) if isinstance(given, str) else sorted(given))]


@asynccontextmanager
async def _holding(connection: OperatorConnection, names: Sequence[str], plan: Plan) -> AsyncIterator[None]:
    """Raises Locked, with who holds it."""
    async with AsyncExitStack() as stack:
        for name in names:
            holder = await connection.hold(name)
            if holder is not None:
                raise Locked(
                    f"{plan.title} is being acted on by {holder}; nothing was executed", "wait and look again"
                )
            stack.push_async_callback(_let_go, connection, name)
        yield


def _unasked(target: Target) -> ServerIdentity:
    """Who stands for a server that is not asked: locks on this machine need no answer of it."""
    never = datetime.fromtimestamp(0, UTC)
    return ServerIdentity(
        flavor=str(target.engine),
        version="",
        version_num=0,
        system_id="",
        started_at=never,
        primary=None,
        tls="",
    )


async def _let_go(connection: OperatorConnection, name: str) -> None:
    """A lost connection has let go by itself."""
    try:
        await connection.let_go(name)
    except DbdeckError:
        return


async def _finish(task: asyncio.Task[Run], watch: Watch) -> Run:
    """Wait for a run that must be recorded: a cancellation that comes after the intent is too late."""
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as cancelled:
            me = asyncio.current_task()
            if task.cancelled() or me is None:
                raise
            me.uncancel()
            # The signal's name, where one cancelled; a time limit gives no reason.
            watch.stop.ask(str(cancelled) or "the end of the time given")
        except DbdeckError:
            break
    return task.result()
