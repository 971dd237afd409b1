"""What a failed concurrent build leaves is taken away again: only what this run made, never others'."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from actions import draft
from actions.index_selection import is_leftover
from actions.jobs import Job, jobs_of
from actions.names import show_name
from actions.table_statements import POSTGRES, drop_index
from actions.work import perform
from console.dispatch.action import Plan, Result
from console.dispatch.operator import Operator
from console.engine.port import Statement
from console.errors import ActionFailed, DbdeckError
from console.model.indexes import Index

TRIES = 3
LOCK_SECONDS = 15.0
PAUSE_SECONDS = 1.0


async def perform_and_clear(plan: Plan, operator: Operator) -> Result:
    """Runs the jobs; whatever their end, invalid indexes that came of them are dropped."""
    try:
        result = await perform(plan, operator)
    except DbdeckError as error:
        left = await _clear(plan, operator)
        if left:
            error.message = f"{error.message}; left behind: {', '.join(left)}"
            error.hint = error.hint or f"index.drop_invalid index={left[0]}"
        raise
    await _clear(plan, operator)
    return result


async def _clear(plan: Plan, operator: Operator) -> list[str]:
    """The names of what could not be dropped. A cancelled run still cleans up after itself."""
    if plan.server.flavor != POSTGRES:
        return []
    try:
        made = await ours(plan, operator)
    except DbdeckError:
        return []
    if not made:
        return []
    names = [show_name(index.schema, index.name) for index in made]
    operator.watch.tell(f"dropping what was left by what failed: {', '.join(names)}")
    try:
        async with operator.beside() as other:  # the first connection may have been lost
            gone = [await _drop(plan, other, index) for index in made]
    except DbdeckError:
        gone = [False] * len(made)
    left = [name for name, done in zip(names, gone, strict=True) if not done]
    dropped = [name for name, done in zip(names, gone, strict=True) if done]
    operator.evidence["leftovers"] = {"dropped": dropped, "left": left}
    return left


async def ours(plan: Plan, operator: Operator) -> list[Index]:
    """Invalid indexes of these tables that were not there before and bear the name of what was built."""
    jobs = [job for job in jobs_of(plan) if job.kind == "index"]
    before = set(plan.subject.get("before", ()))
    tables = tuple(dict.fromkeys((job.schema, job.table) for job in jobs))
    found = await operator.engine.indexes(draft.of_names(tables), ())
    return [one for one in found if one.number not in before and made_by(one, jobs)]


def made_by(index: Index, jobs: Sequence[Job]) -> bool:
    """Nobody builds it now, and its name is that of a created index, or of a rebuilt one's work."""
    if index.state != "invalid" or index.builder is not None:
        return False
    for job in jobs:
        if (job.schema, job.table) != (index.schema, index.table):
            continue
        if job.verb == "create index" and index.name == job.name:
            return True
        if job.verb == "reindex" and is_leftover(index.name) and index.name.startswith(job.name[:40]):
            return True
    return False


async def _drop(plan: Plan, operator: Operator, index: Index) -> bool:
    """DROP INDEX CONCURRENTLY waits for whoever uses the table: for a while, and then it is said."""
    statement = msgspec.structs.replace(
        drop_index(plan.server, index.schema, index.name, concurrently=True), lock_seconds=LOCK_SECONDS
    )
    try:
        await operator.declare([statement])
        for _ in range(TRIES):
            if await _dropped(operator, statement):
                return True
            await asyncio.sleep(PAUSE_SECONDS)
    except DbdeckError:
        return False
    return False


async def _dropped(operator: Operator, statement: Statement) -> bool:
    """False where the lock was not to be had, or the server refused for another reason."""
    try:
        await operator.send(statement)
    except ActionFailed:
        return False
    return True
