"""What maintenance does, one object at a time: the jobs of a plan, and what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from console.dispatch.action import Piece, Plan
from console.engine.port import Statement

KEPT = 5000  # results kept in an outcome row
UNSETTLED = "unsettled"  # evidence: why nobody knows whether what was done is on the server's disk


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One statement on one object, with what was seen of the object before.

    `number` is its oid (PostgreSQL). `arg` is the argument that names the object when the plan is made
    again, its kind unless given. `verb` is what is done to it, `lock` the strongest lock it takes;
    `exclusive`: readers wait for it. `patient`: the lock's queue stops nobody, so that it is not taken
    in short tries. `before` is what `verify` compares.
    """

    subject: str
    kind: str  # table | index
    schema: str
    name: str
    number: int = 0
    table: str = ""  # the table of an index; the object itself otherwise
    verb: str
    statement: Statement
    lock: str
    exclusive: bool = False
    patient: bool = False
    bytes: int | None = None
    before: dict[str, Any] = {}
    arg: str = ""

    @property
    def on(self) -> str:
        """The key of the table whose locks matter."""
        return f"{self.schema}.{self.table or self.name}"

    @property
    def id(self) -> str:
        return f"{self.verb} {self.subject}"


class End(StrEnum):
    """What became of a job, in the server's word."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    NOT_BEGUN = "not begun"


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """`seconds` is the time of the try that ended it, `tries` how many there were."""

    subject: str
    end: End
    verb: str = ""
    seconds: float = 0.0
    tries: int = 0
    bytes: int | None = None
    note: str = ""
    hint: str = ""

    @classmethod
    def of(cls, job: Job, end: End, *, note: str = "", hint: str = "") -> Done:
        return cls(subject=job.subject, end=end, verb=job.verb, bytes=job.bytes, note=note, hint=hint)

    @property
    def id(self) -> str:
        return f"{self.verb} {self.subject}"


def frozen(jobs: Iterable[Job]) -> list[dict[str, Any]]:
    """As a plan's subject keeps them."""
    return [msgspec.to_builtins(job) for job in jobs]


def jobs_of(plan: Plan) -> list[Job]:
    return msgspec.convert(plan.subject["jobs"], list[Job])


def finish_of(plan: Plan) -> Statement | None:
    """What is sent once, after all jobs."""
    found = plan.subject.get("finish")
    return None if found is None else msgspec.convert(found, Statement)


def settle_of(plan: Plan) -> Statement | None:
    """What makes sure that the disk has all of it, where the jobs did not wait for the disk."""
    found = plan.subject.get("settle")
    return None if found is None else msgspec.convert(found, Statement)


def pieces(jobs: Iterable[Job]) -> tuple[Piece, ...]:
    return tuple(Piece(subject=job.subject, action=job.verb, bytes=job.bytes) for job in jobs)


def observed(jobs: Iterable[Job]) -> dict[str, Any]:
    """The identity of each object: a table made anew under the same name is another one."""
    return {f"{job.kind} {job.subject}": job.number for job in jobs}


def results(done: Sequence[Done]) -> dict[str, Any]:
    """As the outcome row keeps them: what did not end well first."""
    ranked = sorted(done, key=lambda one: one.end is End.DONE)
    kept = [msgspec.to_builtins(one) for one in ranked[:KEPT]]
    counts = {str(end).replace(" ", "_"): sum(one.end is end for one in done) for end in End}
    return {"objects": kept, "counts": {name: count for name, count in counts.items() if count}}


def results_of(evidence: Mapping[str, Any]) -> dict[str, Done]:
    """What the run itself noted, by `Job.id`; empty after a crash.

    That the server said done is no proof where its disk may not have it: then only what it shows is.
    """
    found = msgspec.convert(evidence.get("objects", []), list[Done])
    sure = UNSETTLED not in evidence
    return {one.id: one for one in found if sure or one.end is not End.DONE}
