"""Whether maintenance was done, by what the server shows of each object; never by what was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from actions import draft
from actions.draft import table_state
from actions.jobs import Done, End, Job, jobs_of, results_of
from actions.table_statements import POSTGRES
from console.dispatch.action import Plan, Verdict
from console.engine.port import Engine
from console.model.indexes import Index
from console.model.sessions import State
from console.model.tables import TableQuery

LOOK_EVERY = 0.5
LISTED = 20


class Seen(StrEnum):
    """What the server shows of one job."""

    DONE = "done"
    NOT_DONE = "not done"
    RUNNING = "still running"
    UNKNOWN = "unknown"


async def verify(plan: Plan, engine: Engine, *, patience: float) -> Verdict:
    """Looks until everything is settled or `patience` (seconds) is over."""
    jobs = jobs_of(plan)
    end = asyncio.get_running_loop().time() + patience
    while True:
        seen = await look(plan, jobs, engine)
        unsettled = any(one is Seen.RUNNING for one in seen) or _contradicted(plan, jobs, seen)
        if not unsettled or asyncio.get_running_loop().time() >= end:
            return verdict(jobs, seen)
        await asyncio.sleep(LOOK_EVERY)


def _contradicted(plan: Plan, jobs: Sequence[Job], seen: Sequence[Seen]) -> bool:
    """The server said done and does not show it yet: its statistics may lag."""
    words = results_of(plan.evidence)
    return any(
        one is Seen.NOT_DONE and (word := words.get(job.id)) is not None and word.end is End.DONE
        for job, one in zip(jobs, seen, strict=True)
    )


async def look(plan: Plan, jobs: Sequence[Job], engine: Engine) -> list[Seen]:
    words = results_of(plan.evidence)
    tables = await _tables([job for job in jobs if job.kind == "table"], engine)
    indexes = await _indexes([job for job in jobs if job.kind == "index"], engine)
    found = []
    for job in jobs:
        if job.kind == "table":
            now, word = tables.get((job.schema, job.name)), words.get(job.id)
            seen = of_table(job, now, plan.made_at, word, plan.evidence.get("ended_at"))
        else:
            seen = of_index(job, indexes.get((job.schema, job.table, job.name)))
        found.append(seen)
    unsure = [
        job
        for job, seen in zip(jobs, found, strict=True)
        if seen is Seen.NOT_DONE and _may_run(words.get(job.id))
    ]
    running = await _running(plan, unsure, engine) if unsure else set()
    return [Seen.RUNNING if job.id in running else seen for job, seen in zip(jobs, found, strict=True)]


def _may_run(word: Done | None) -> bool:
    """Nobody knows of a run that died, or of an answer that was lost."""
    return word is None or word.end is End.UNKNOWN


async def _running(plan: Plan, jobs: Sequence[Job], engine: Engine) -> set[str]:
    """Whose statement a session still runs: it goes on in the server when its client died.

    PostgreSQL's names are those of one database; MySQL and MariaDB write it into the name.
    """
    here = plan.server.database if plan.server.flavor == POSTGRES else None
    at_work = [
        one.query
        for one in await engine.sessions()
        if one.state is State.ACTIVE and one.query and here in (None, one.database)
    ]
    return {job.id for job in jobs if any(job.statement.sql.startswith(query) for query in at_work)}


async def _tables(jobs: Sequence[Job], engine: Engine) -> Mapping[tuple[str, str], dict[str, Any]]:
    """What is there now, by name; with the number, so that another table of that name is not taken for it."""
    found = await draft.marks(engine, tuple((job.schema, job.name) for job in jobs))
    return {(one.schema, one.name): {**table_state(one), "number": one.number} for one in found}


async def _indexes(jobs: Sequence[Job], engine: Engine) -> Mapping[tuple[str, str, str], Index]:
    if not jobs:
        return {}
    names = tuple((job.schema, job.name) for job in jobs)
    found = await engine.indexes(TableQuery(system=True), names)
    return {(one.schema, one.table, one.name): one for one in found}


def of_table(
    job: Job, now: Mapping[str, Any] | None, since: datetime, word: Done | None, ended: str | None = None
) -> Seen:
    """By the counter, time or file that this kind of work moves; else by the server's own answer.

    `ended` is when the run ended whose `word` it is, where it did.
    """
    if now is None or now.get("number", job.number) != job.number:
        return Seen.UNKNOWN
    marks = _MARKS[job.verb]
    if word is not None and word.end in (End.CANCELLED, End.FAILED):
        # A cancelled VACUUM may be counted already, with its TOAST table left out: only a later one counts.
        return Seen.DONE if ended and _later(job, now, ended) else Seen.NOT_DONE
    if any(_moved(job.before.get(mark), now.get(mark), since) for mark in marks):
        return Seen.DONE
    if word is not None and word.end is End.DONE:
        return Seen.DONE if not any(mark in now for mark in marks) or _SPOKEN[job.verb] else Seen.NOT_DONE
    return Seen.NOT_DONE if any(mark in now for mark in marks) else Seen.UNKNOWN


# What a kind of work leaves behind, and whether the server's answer alone is proof: MySQL and MariaDB
# answer each table with its own row; PostgreSQL's VACUUM skips with a warning, which is an objection.
_MARKS = {
    "vacuum": ("vacuums", "vacuumed_at"),
    "vacuum freeze": ("vacuums", "vacuumed_at"),
    "analyze": ("analyzes", "analyzed_at"),
    "vacuum full": ("filenode",),
    "optimize": ("filenode", "created_at"),
}
_SPOKEN = {"vacuum": True, "vacuum freeze": True, "analyze": True, "vacuum full": False, "optimize": True}


def _later(job: Job, now: Mapping[str, Any], ended: str) -> bool:
    """Done by a later run, or by somebody else."""
    times = [now[mark] for mark in _MARKS[job.verb] if mark.endswith("_at") and mark in now]
    return any(datetime.fromisoformat(at) > datetime.fromisoformat(ended) for at in times)


def _moved(before: Any, now: Any, since: datetime) -> bool:
    """Another count or file than before; for times, one after the plan was made."""
    if now is None:
        return False
    if isinstance(now, str):
        return now != before and datetime.fromisoformat(now) >= since.replace(microsecond=0)
    return bool(now) and now != before


def of_index(job: Job, now: Index | None) -> Seen:
    """Dropped: gone. Created: there and valid. Rebuilt: valid, under another number or in another file."""
    if job.verb.startswith("drop"):
        return Seen.DONE if now is None or now.number != job.number else Seen.NOT_DONE
    if now is None or now.state != "valid":
        return Seen.NOT_DONE
    if job.verb == "create index":
        return Seen.DONE
    rebuilt = now.number != job.number or now.filenode != job.before.get("filenode")
    return Seen.DONE if rebuilt else Seen.NOT_DONE


def verdict(jobs: Sequence[Job], seen: Sequence[Seen]) -> Verdict:
    if not jobs:
        return Verdict(state="applied", summary="there was nothing to do", certain=True)
    by = {one: [job.id for job, found in zip(jobs, seen, strict=True) if found is one] for one in Seen}
    evidence: dict[str, Any] = {
        str(one).replace(" ", "_"): ids[:LISTED] for one, ids in by.items() if ids and one is not Seen.DONE
    }
    said = ", ".join(f"{len(ids)} {one}" for one, ids in by.items() if ids)
    summary = f"of {len(jobs)}: {said}" if len(jobs) > 1 else f"{jobs[0].id}: {seen[0]}"
    evidence = {"done": len(by[Seen.DONE]), **evidence}
    return Verdict(state=_state(by, len(jobs)), summary=summary, evidence=evidence, certain=True)


def _state(
    by: Mapping[Seen, Sequence[str]], total: int
) -> Literal["applied", "partial", "not_applied", "undecidable"]:
    if by[Seen.RUNNING] or by[Seen.UNKNOWN]:
        return "undecidable"
    if len(by[Seen.DONE]) == total:
        return "applied"
    return "partial" if by[Seen.DONE] else "not_applied"


async def left(plan: Plan, engine: Engine) -> list[Job]:
    """The jobs of a plan that the server does not show as done."""
    jobs = jobs_of(plan)
    seen = await look(plan, jobs, engine)
    return [job for job, one in zip(jobs, seen, strict=True) if one is not Seen.DONE]
