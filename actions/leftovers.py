"""What a failed concurrent build leaves is taken away again: only what this run made, never others'."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from actions import draft
from actions.index_selection import is_leftover
from actions.jobs import Done, End, Job, jobs_of, results_of
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
    before = await _there(plan, operator)
    try:
        result = await perform(plan, operator)
    except DbdeckError as error:
        left = await _clear(plan, operator, before)
        if left:
            error.message = f"{error.message}; left behind: {', '.join(left)}"
            error.hint = error.hint or f"index.drop_invalid index={left[0]}"
        raise
    await _clear(plan, operator, before)
    return result


async def _there(plan: Plan, operator: Operator) -> frozenset[int]:
    """The indexes there were when it was planned, and those that came since: somebody else's."""
    planned = frozenset(plan.subject.get("before", ()))
    if plan.server.flavor != POSTGRES:
        return planned
    try:
        return planned | {one.number for one in await _around(plan, operator)}
    except DbdeckError:
        return planned


async def _around(plan: Plan, operator: Operator) -> tuple[Index, ...]:
    jobs = [job for job in jobs_of(plan) if job.kind == "index"]
    tables = tuple(dict.fromkeys((job.schema, job.table) for job in jobs))
    return await operator.engine.indexes(draft.of_names(tables), ()) if tables else ()


async def _clear(plan: Plan, operator: Operator, before: frozenset[int]) -> list[str]:
    """The names of what could not be dropped. A cancelled run still cleans up after itself."""
    if plan.server.flavor != POSTGRES:
        return []
    try:
        made = await ours(plan, operator, before)
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


async def ours(plan: Plan, operator: Operator, before: frozenset[int]) -> list[Index]:
    """Invalid indexes that were not there before and bear the name of what was built and did not end well."""
    words = results_of(operator.evidence)
    broken = [job for job in jobs_of(plan) if job.kind == "index" and _broke(words.get(job.id))]
    if not broken:
        return []
    found = await _around(plan, operator)
    return made_by(broken, [one for one in found if one.number not in before])


def _broke(word: Done | None) -> bool:
    """What is done, or was not begun, left nothing: what bears its name is somebody else's."""
    return word is None or word.end not in (End.DONE, End.NOT_BEGUN)


def made_by(jobs: Sequence[Job], found: Sequence[Index]) -> list[Index]:
    """What these jobs may have left of what was found. A job leaves one index at most: of two that could be
    its own nobody can tell which is another's, and neither is taken for it.
    """
    made: dict[int, Index] = {}
    for job in jobs:
        alike = [one for one in found if _named_by(job, one)]
        if len(alike) == 1:
            made[alike[0].number] = alike[0]
    return list(made.values())


def _named_by(job: Job, index: Index) -> bool:
    """Nobody builds it now, and its name is that of a created index, or of a rebuilt one's work."""
    if index.state != "invalid" or index.builder is not None:
        return False
    if (job.schema, job.table) != (index.schema, index.table):
        return False
    if job.verb == "create index":
        return index.name == job.name
    return job.verb == "reindex" and is_leftover(index.name) and _work_of(job.name, index.name)


def _work_of(name: str, work: str) -> bool:
    """Whether REINDEX CONCURRENTLY of `name` calls its work so: of a long name it keeps what fits with the
    ending, in whole characters (makeObjectName in indexcmds.c).
    """
    base, _, ending = work.rpartition("_")
    if base == name:
        return True
    return name.startswith(base) and len(f"{name[: len(base) + 1]}_{ending}".encode()) > _LONGEST


_LONGEST = 63  # bytes: NAMEDATALEN


async def _drop(plan: Plan, operator: Operator, index: Index) -> bool:
    """DROP INDEX CONCURRENTLY waits for whoever uses the table: for a while, and then it is said."""
    statement = msgspec.structs.replace(
        drop_index(plan.server, index.schema, index.name), lock_seconds=LOCK_SECONDS
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
