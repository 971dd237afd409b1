"""What a failed concurrent build leaves is taken away again: only what this run made, never others'."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from actions import draft
from actions.index_selection import is_leftover
from actions.jobs import Job, jobs_of
from actions.names import show_name
from actions.table_statements import POSTGRES, drop_index
from actions.work import perform
from console.dispatch.action import Plan, Result
from console.dispatch.operator import Operator
from console.errors import ActionFailed, DbdeckError
from console.model.indexes import Index

TRIES = 3
SECONDS = 60.0


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
    dropped: list[str] = []
    left: list[str] = []
    for index in made:
        gone = await _drop(plan, operator, index)
        (dropped if gone else left).append(show_name(index.schema, index.name))
    if made:
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
    statement = drop_index(plan.server, index.schema, index.name, concurrently=True)
    try:
        await operator.declare([statement])
        for _ in range(TRIES):
            try:
                await operator.send(statement, timeout=SECONDS)
            except ActionFailed:
                await asyncio.sleep(1.0)
            else:
                return True
    except DbdeckError:
        return False
    return False
