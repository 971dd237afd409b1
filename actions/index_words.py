"""What plans about indexes say: copies, older transactions, and what cannot be done beside others."""

from __future__ import annotations

from collections.abc import Sequence

from actions import draft
from actions.index_selection import IndexArgs, is_leftover
from actions.jobs import Job
from actions.names import show_name
from actions.words import largest_of, some
from console.engine.port import Engine
from console.model.indexes import Index
from console.model.tables import Table, TableQuery
from console.model.target import ServerIdentity
from console.present.units import size

LISTED = 5
# REINDEX and CREATE INDEX CONCURRENTLY of 14.0 to 14.3 could leave rows out (release notes of 14.4).
_CORRUPTING = range(140000, 140004)


async def around(engine: Engine, found: Sequence[Index]) -> tuple[Index, ...]:
    """All indexes of the tables concerned: what is new among them afterwards may be ours."""
    if not found:
        return ()
    names = tuple(dict.fromkeys((one.schema, one.table) for one in found))
    return await engine.indexes(draft.of_names(names), ())


async def revived(engine: Engine, tables: Sequence[Table]) -> tuple[str, ...]:
    """VACUUM FULL builds every index of its table anew, and an invalid one is valid afterwards, also what a
    failed REINDEX CONCURRENTLY left beside the index it was for. Those that check a constraint are not, as
    it is not checked then (reindex_index in index.c).
    """
    if not tables:
        return ()
    names = tuple((table.schema, table.name) for table in tables)
    found = await engine.indexes(draft.of_names(names), ())
    freely = [one for one in found if not (one.unique or one.constraint)]
    return _revived([one for one in freely if one.state == "invalid"], "VACUUM FULL")


def _revived(found: Sequence[Index], by: str) -> tuple[str, ...]:
    return tuple(
        f"{one.key} is invalid, and {by} makes it valid{_second(one)}: drop it first, where nobody wants it: "
        f"index.drop_invalid index={show_name(one.schema, one.name)}"
        for one in found[:LISTED]
    )


def _second(one: Index) -> str:
    return ", a second index beside the one it was to replace" if is_leftover(one.name) else ""


def definitions(found: Sequence[Index]) -> tuple[str, ...]:
    return tuple(f"{one.key} on {one.table}: {one.definition}" for one in found[:LISTED] if one.definition)


async def copies(engine: Engine, found: Sequence[Index]) -> tuple[str, ...]:
    if not found:
        return ()
    largest = largest_of([one.bytes for one in found])
    disk = await engine.disk(found[0].schema, found[0].table)
    free = size(disk.free) if disk.free is not None else f"unknown: {disk.why}"
    return (f"disk needed for the copy of the largest: {largest}; free: {free}",)


async def beside(engine: Engine, found: Sequence[Index], args: IndexArgs) -> tuple[str, ...]:
    """REINDEX TABLE takes the index of the TOAST table along; here each index is rebuilt that is named, and
    that one only who has USAGE on its schema may name. It is called by the number of the table (toasting.c).
    """
    if args.index or not found:
        return ()
    if not args.table:
        return (f"not rebuilt: indexes of TOAST tables, {_BY_NAME.format('pg_toast.…')}",)
    names = list(dict.fromkeys(("pg_toast", f"pg_toast_{one.table_number}_index") for one in found))
    there = [show_name(one.schema, one.name) for one in await engine.indexes(TableQuery(system=True), names)]
    return (f"not rebuilt, of TOAST: {some(there)}, {_BY_NAME.format(there[0])}",) if there else ()


_BY_NAME = "which takes index={} and USAGE ON SCHEMA pg_toast, or REINDEX TABLE by the owner"


def reindex_warnings(found: Sequence[Index], args: IndexArgs) -> tuple[str, ...]:
    said = [
        f"{one.key} cannot be rebuilt concurrently ({one.concurrent}): its table is locked meanwhile"
        for one in found
        if one.concurrent and args.concurrently
    ]
    return (*said, *_revived([one for one in found if one.state == "invalid"], "REINDEX"))


def reindex_refusals(server: ServerIdentity, found: Sequence[Index], jobs: Sequence[Job]) -> tuple[str, ...]:
    said = [f"{one.key} is being built by session {one.builder}" for one in found if one.builder is not None]
    if server.version_num in _CORRUPTING and any(job.patient for job in jobs):
        said.append(
            f"{server.label} can lose rows from indexes built CONCURRENTLY (mended in 14.4): upgrade first"
        )
    return tuple(said)
