"""Rows deleted batch by batch: each one transaction and one recorded step, within limits, and stopped."""

from __future__ import annotations

import random
from typing import Annotated, Any

import msgspec

from actions import row_statements as statements
from actions.ladder import Rung, rungs
from actions.limits import Duration, Limits, WorkArgs, limits_of
from actions.overseer import Overseer
from actions.row_statements import BATCH_SECONDS, POSTGRES, Lot
from actions.session_proof import PartlyRefused
from actions.words import counted, duration
from console.dispatch.action import Plan, Result
from console.dispatch.operator import Operator
from console.errors import ActionFailed, Cancelled, DbdeckError, LockTimeout, OutcomeUnknown
from console.model.target import ServerIdentity

MOST_ROWS = 50_000
TELL_EVERY = 20
_GRACE = 15.0


class BatchArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`batch`: rows of one transaction; `pause` between two (0: none). `limit`: at most so many rows, 0: all.
    `lock_timeout`, `tries`, `budget`, `max_load`, `critical_load` and `max_lag` are those of maintenance.
    """

    batch: Annotated[int, msgspec.Meta(ge=1, le=MOST_ROWS)] = 1000
    pause: Duration = "50ms"
    limit: Annotated[int, msgspec.Meta(ge=0)] = 0
    lock_timeout: Duration = "2s"
    tries: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    budget: Duration = ""
    max_load: Annotated[int, msgspec.Meta(ge=0)] = 0
    critical_load: Annotated[int, msgspec.Meta(ge=0)] = 0
    max_lag: Duration = ""


def bounds(args: BatchArgs) -> Limits:
    """Raises UsageError."""
    return limits_of(
        WorkArgs(
            lock_timeout=args.lock_timeout,
            tries=args.tries,
            budget=args.budget,
            max_load=args.max_load,
            critical_load=args.critical_load,
            max_lag=args.max_lag,
        )
    )


def seconds_between(args: BatchArgs) -> float:
    return 0.0 if str(args.pause) in ("0", "0.0", "0s") else duration(args.pause)


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    deleted: int
    archived: int


class Batches:
    """One run. `end` says why it ended: `all`, `limit`, or what stopped it."""

    def __init__(self, lot: Lot, limits: Limits, operator: Operator, server: ServerIdentity) -> None:
        self._lot = lot
        self._limits = limits
        self._operator = operator
        self._server = server
        self._overseer = Overseer(limits, operator)
        self._chance = random.Random()  # noqa: S311 - jitter
        self.number = 0
        self.deleted = 0
        self.archived = 0
        self.end = ""

    async def run(self, most: int, pause: float) -> None:
        """Raises what ended it in the middle of a batch; what was committed before stays."""
        async with self._overseer.watching():
            while await self._overseer.may_begin():
                left = most - self.deleted if most else self._lot.batch
                if left <= 0:
                    self.end = "limit"
                    return
                wanted = min(left, self._lot.batch)
                moved = await self._tried(wanted)
                if moved is None or moved.deleted < wanted:
                    self.end = self._overseer.why if moved is None else "all"
                    return
                self._tell()
                if pause and await self._overseer.pause(pause):
                    break
        self.end = self._overseer.why

    def _tell(self) -> None:
        if self.number % TELL_EVERY == 0:
            self._operator.watch.tell(f"batch {self.number}: {counted(self.deleted, 'row')} so far")

    async def _tried(self, most: int) -> Moved | None:
        """A batch, tried again while its lock is not to be had; None where it was stopped meanwhile."""
        steps = list(rungs(self._limits.lock, self._limits.tries, self._chance))
        for place, step in enumerate(steps, start=1):
            try:
                return await self._one(most, step)
            except LockTimeout as error:
                self._operator.answered(self.number, "0")
                if place == len(steps):
                    raise
                self._operator.watch.tell(f"batch {self.number}: {error.message}; again")
                if await self._overseer.pause(step.pause):
                    return None
        return None

    async def _one(self, most: int, step: Rung) -> Moved:
        self.number += 1
        if self._server.flavor == POSTGRES:
            moved = await self._move(most, step)
        else:
            moved = await self._transaction(most, step)
        self.deleted += moved.deleted
        self.archived += moved.archived
        self._operator.answered(self.number, str(moved.deleted))
        return moved

    async def _move(self, most: int, step: Rung) -> Moved:
        statement = statements.move(self._lot, most, self.number)
        statement = msgspec.structs.replace(statement, lock_seconds=step.wait)
        rows = await self._operator.execute(statement, timeout=BATCH_SECONDS + _GRACE, subject=self.number)
        return Moved(deleted=_number(rows[0][0]), archived=_number(rows[0][1]))

    async def _transaction(self, most: int, step: Rung) -> Moved:
        """Raises ActionFailed, with everything rolled back, where the two counts differ."""
        one = statements.batch(self._lot, most, self.number, self._server.flavor)
        await self._operator.declare(one.all, subject=self.number)
        try:
            await self._send(one.begin, step)
            archived = _number((await self._send(one.keep, step))[0][0]) if one.keep is not None else 0
            deleted = _number((await self._send(one.delete, step))[0][0])
        except ActionFailed:
            await self._rolled_back(one, step)
            raise
        if one.keep is not None and archived != deleted:
            await self._rolled_back(one, step)
            raise ActionFailed(
                f"batch {self.number} would have archived {archived} rows and deleted {deleted}; "
                "it was rolled back"
            )
        await self._send(one.commit, step)
        return Moved(deleted=deleted, archived=archived)

    async def _send(self, statement: Any, step: Rung) -> list[tuple[object, ...]]:
        limited = msgspec.structs.replace(statement, lock_seconds=step.wait)
        return await self._operator.send(limited, timeout=BATCH_SECONDS + _GRACE)

    async def _rolled_back(self, one: statements.Batch, step: Rung) -> None:
        """A connection that is gone has rolled back by itself."""
        try:
            await self._send(one.back, step)
        except (ActionFailed, OutcomeUnknown):
            return

    @property
    def evidence(self) -> dict[str, Any]:
        return {"deleted": self.deleted, "archived": self.archived, "batches": self.number, "ended": self.end}


def _number(value: object) -> int:
    return int(str(value))


async def perform(plan: Plan, operator: Operator, args: BatchArgs, lot: Lot) -> Result:
    """Raises PartlyRefused where some rows went and others did not, what stopped it where none did."""
    run = Batches(lot, bounds(args), operator, plan.server)
    failure: DbdeckError | None = None
    try:
        if plan.subject["create"]:
            await operator.execute(statements.create_archive(plan.server, lot), subject=0)
            operator.answered(0, "0")
        await run.run(args.limit, seconds_between(args))
    except OutcomeUnknown:
        operator.evidence.update(
            run.evidence | {"ended": "nobody knows whether the last batch was committed"}
        )
        raise
    except ActionFailed as error:
        run.end = error.message
        failure = error
    operator.evidence.update(run.evidence)
    if run.end in ("all", "limit"):
        return Result(matched=run.deleted > 0 or bool(plan.subject["create"]))
    if run.deleted:
        raise PartlyRefused(f"{counted(run.deleted, 'row')} deleted, then it ended: {run.end}", _HINT)
    raise failure or Cancelled(f"no row was deleted: {run.end}", _HINT)


_HINT = "the same again goes on with what is left"
