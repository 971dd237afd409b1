"""Which indexes an action is about."""

from __future__ import annotations

from typing import Annotated

import msgspec

from actions.limits import WorkArgs
from actions.names import parse_name, show_name
from actions.selection import MOST, WAYS, TableArgs, leaves, one_way, select, ways_of
from console.engine.port import MaintenanceReads
from console.errors import UsageError
from console.model.indexes import Finding, Index
from console.model.tables import Table, TableKind, TableQuery

Names = str | tuple[str, ...]


class IndexArgs(WorkArgs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`index` or `table` (all its indexes), repeated for several; or `schema`, `pattern`, `all`, or the
    `worst` so many by bloat. `leftover` are indexes that an interrupted run of ours left: they go first.
    """

    index: Names = ()
    table: Names = ()
    schema: str = ""
    pattern: str = ""
    worst: Annotated[int, msgspec.Meta(ge=0, le=MOST)] = 0
    all: bool = False
    leftover: Names = ()
    concurrently: bool = True


class LeftoverArgs(WorkArgs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`index`, repeated for several, or `all` invalid ones that nobody is building."""

    index: Names = ()
    all: bool = False


def several(given: Names) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given


async def choose(engine: MaintenanceReads, args: IndexArgs) -> tuple[Index, ...]:
    """Raises UsageError when nothing, or more than one way of choosing, is given."""
    used = [*(["index"] if args.index else []), *ways_of(args)]
    if args.leftover and not used:
        return ()
    one_way(used, "which indexes?", f"index=…, or of tables: {WAYS}")
    if args.index:
        return await named(engine, several(args.index))
    if args.worst:
        return await _most_bloated(engine, args.worst)
    tables = await select(
        engine,
        TableArgs(table=args.table, schema=args.schema, pattern=args.pattern, all=args.all),
    )
    if not tables:
        return ()
    names = tuple((table.schema, table.name) for table in tables)
    found = await engine.indexes(TableQuery(names=names, limit=MOST, system=True))
    return _rebuildable(found)


async def named(
    engine: MaintenanceReads, given: tuple[str, ...], *, dropping: bool = False
) -> tuple[Index, ...]:
    """Raises UsageError for a name that no index has, or several have, and for what stands for others."""
    names = [parse_name(one) for one in given if one]
    found: list[Index] = []
    for schema, name in names:
        meant = await engine.indexes(TableQuery(limit=MOST, system=True), [(schema, name)])
        if not meant and (other := await _no_index(engine, schema, name)):
            raise other
        if len(meant) != 1:
            where = ", ".join(show_name(one.schema, one.name) for one in meant[:5])
            raise UsageError(
                f"{show_name(schema, name)} is {'more than one index' if meant else 'no index'}; "
                "nothing was executed",
                f"say which: {where}" if meant else "`dbdeck show indexes` lists what is wrong with them",
            )
        if meant[0].partitioned:
            raise _stands_for_others(meant[0], dropping=dropping)
        found += meant
    return tuple({one.key: one for one in found}.values())


def _stands_for_others(one: Index, *, dropping: bool) -> UsageError:
    shown = show_name(one.schema, one.name)
    if dropping:
        return UsageError(
            f"{shown} stands for indexes of partitions: its DROP drops the indexes of its partitions too; "
            "nothing was executed",
            "build the one that is missing on its partition, and attach it: then this one is valid",
        )
    return UsageError(
        f"{shown} only stands for indexes of partitions; nothing was executed",
        f"table={show_name(one.schema, one.table)} rebuilds those of each partition",
    )


async def _no_index(engine: MaintenanceReads, schema: str, name: str) -> UsageError | None:
    found = await engine.relations(schema, name)
    if not found:
        return None
    one, shown = found[0], show_name(found[0].schema, found[0].name)
    article = "an" if one.kind[0] in "aeiou" else "a"
    table = one.kind in ("table", "partitioned table", "materialized view")
    return UsageError(
        f"{shown} is {article} {one.kind}, not an index; nothing was executed",
        f"table={shown} rebuilds all its indexes" if table else "`dbdeck show indexes` lists what is wrong",
    )


def _rebuildable(found: tuple[Index, ...]) -> tuple[Index, ...]:
    """Without parents of partitioned indexes, and without leftovers of failed builds, which are dropped."""
    return tuple(one for one in found if not one.partitioned and not is_leftover(one.name))


def is_leftover(name: str) -> bool:
    """REINDEX CONCURRENTLY names its work in progress so (indexcmds.c)."""
    base = name.rstrip("0123456789")
    return base.endswith(("_ccnew", "_ccold"))


async def _most_bloated(engine: MaintenanceReads, number: int) -> tuple[Index, ...]:
    health = await engine.index_health()
    bloated = [one for one in health.findings if one.finding is Finding.BLOATED]
    bloated.sort(key=lambda one: -(one.bloat.wasted if one.bloat else 0))
    names = [(one.schema, one.name) for one in bloated[:number]]
    if not names:
        return ()
    return _rebuildable(await engine.indexes(TableQuery(limit=MOST), names))


async def leftovers(engine: MaintenanceReads, args: LeftoverArgs) -> tuple[Index, ...]:
    if bool(args.index) == args.all:
        used = ["index", "all"] if args.all else []
        one_way(used, "which indexes?", "index=…, or all=true")
    if args.index:
        return await named(engine, several(args.index), dropping=True)
    health = await engine.index_health()
    names = [(one.schema, one.name) for one in health.findings if one.action == "index.drop_invalid"]
    found = await engine.indexes(TableQuery(limit=MOST), names) if names else ()
    return tuple(one for one in found if one.state == "invalid")


async def one_table(engine: MaintenanceReads, given: str) -> Table:
    """Raises UsageError for no table, and for the parent of partitions."""
    found = await select(engine, TableArgs(table=given))
    schema, name = parse_name(given)
    meant = [table for table in leaves(found) if table.name == name and schema in ("", table.schema)]
    if len(meant) != 1 or meant[0].kind is TableKind.PARTITIONED:
        raise UsageError(
            f"{given} is a partitioned table, which takes no index CONCURRENTLY; nothing was executed",
            "create it ON ONLY the parent, then on each partition, and attach them",
        )
    return meant[0]
