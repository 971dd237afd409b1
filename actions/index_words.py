"""What plans about indexes say: copies, older transactions, and what cannot be done beside others."""

from __future__ import annotations

from collections.abc import Sequence

from actions import draft
from actions.index_selection import IndexArgs
from actions.jobs import Job
from actions.table_statements import POSTGRES
from console.engine.port import Engine
from console.model.indexes import Index
from console.model.sessions import State
from console.model.target import ServerIdentity
from console.model.transactions import OpenTransaction
from console.present.units import age, size

LISTED = 5
# REINDEX and CREATE INDEX CONCURRENTLY of 14.0 to 14.3 could leave rows out (release notes of 14.4).
_CORRUPTING = range(140000, 140004)


async def around(engine: Engine, found: Sequence[Index]) -> tuple[Index, ...]:
    """All indexes of the tables concerned: what is new among them afterwards may be ours."""
    if not found:
        return ()
    names = tuple(dict.fromkeys((one.schema, one.table) for one in found))
    return await engine.indexes(draft.of_names(names), ())


def definitions(found: Sequence[Index]) -> tuple[str, ...]:
    return tuple(f"{one.key} on {one.table}: {one.definition}" for one in found[:LISTED] if one.definition)


async def copies(engine: Engine, found: Sequence[Index]) -> tuple[str, ...]:
    known = [one.bytes for one in found if one.bytes is not None]
    if not known:
        return ()
    disk = await engine.disk(found[0].schema, found[0].table)
    free = size(disk.free) if disk.free is not None else f"unknown: {disk.why}"
    return (f"disk needed for the copy of the largest: up to {size(max(known))}; free: {free}",)


async def snapshots(engine: Engine, server: ServerIdentity, jobs: Sequence[Job]) -> tuple[str, ...]:
    """Building beside others waits for every snapshot of the database that is older (indexcmds.c,
    WaitForOlderSnapshots): running statements and repeatable reads, not who is merely idle after one.
    """
    builds = any(job.patient and not job.verb.startswith("drop") for job in jobs)
    if server.flavor != POSTGRES or not builds:
        return ()
    opened = [
        one
        for one in await engine.transactions()
        if one.session.database in (server.database, None) and _old(one)
    ]
    return tuple(
        f"it will wait for session {one.session.id} ({one.session.application or one.session.user or '?'}), "
        f"{one.session.state} since {age(one.session.transaction_seconds)}"
        for one in opened[:LISTED]
    )


def _old(one: OpenTransaction) -> bool:
    session = one.session
    keeps = session.state is State.ACTIVE or (one.isolation or "").startswith(("repeatable", "serializable"))
    lasting = (session.transaction_seconds or 0.0) > 1.0 and session.protection is None
    return lasting and (keeps or one.isolation is None)


def reindex_warnings(found: Sequence[Index], args: IndexArgs) -> tuple[str, ...]:
    said = [
        f"{one.key} cannot be rebuilt concurrently ({one.concurrent}): its table is locked meanwhile"
        for one in found
        if one.concurrent and args.concurrently
    ]
    return tuple(said)


def reindex_refusals(server: ServerIdentity, found: Sequence[Index], jobs: Sequence[Job]) -> tuple[str, ...]:
    said = [f"{one.key} is being built by session {one.builder}" for one in found if one.builder is not None]
    if server.version_num in _CORRUPTING and any(job.patient for job in jobs):
        said.append(
            f"{server.label} can lose rows from indexes built CONCURRENTLY (mended in 14.4): upgrade first"
        )
    return tuple(said)
