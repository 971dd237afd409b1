"""Which tables an action is about: named ones, a schema, a pattern, the worst, or all."""

from __future__ import annotations

from typing import Annotated, Protocol

import msgspec

from actions.limits import WorkArgs
from actions.names import Name, parse_name, show_name
from console.engine.port import MaintenanceReads
from console.errors import UsageError
from console.model.tables import Table, TableKind, TableOrder, TableQuery, Tables

MOST = 10_000  # objects of one plan: more would make a ledger row of many megabytes


class TableArgs(WorkArgs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`table`: `orders`, `shop.orders`, repeated for several. Or `schema`, `pattern` (shell pattern on the
    name), `worst` (so many, by need), or `all`. Partitions stand for their table.
    """

    table: str | tuple[str, ...] = ()
    schema: str = ""
    pattern: str = ""
    worst: Annotated[int, msgspec.Meta(ge=0, le=MOST)] = 0
    all: bool = False


async def select(engine: MaintenanceReads, args: TableArgs, *, whole: bool = False) -> tuple[Table, ...]:
    """Leaves of partition trees, and tables; in the server's order of need. `whole`: a partitioned table
    that is named stands for itself, and its partitions go with it.

    Raises UsageError when nothing, or not exactly one way of choosing, is given, and for an unknown name.
    """
    names = (args.table,) if isinstance(args.table, str) else args.table
    one_way(ways_of(args), "which tables?", WAYS)
    if names:
        return await _named(engine, [parse_name(one) for one in names], whole=whole)
    limit = args.worst or MOST + 1
    found = await engine.tables(
        TableQuery(schema=args.schema, pattern=args.pattern, limit=limit, brief=not _few_enough(args))
    )
    _few(found)
    chosen = leaves(found.tables)
    if not chosen and (args.schema or args.pattern):
        raise UsageError(
            "no table fits; nothing was executed", "`dbdeck show tables` lists them; check schema and pattern"
        )
    return chosen


WAYS = "table=…, or schema=… and pattern=…, or worst=10, or all=true"


class Choosing(Protocol):
    """Arguments that choose tables."""

    @property
    def table(self) -> str | tuple[str, ...]: ...
    @property
    def schema(self) -> str: ...
    @property
    def pattern(self) -> str: ...
    @property
    def worst(self) -> int: ...
    @property
    def all(self) -> bool: ...


def ways_of(args: Choosing) -> list[str]:
    """The ways of choosing that were used, by their arguments."""
    named = " and ".join(name for name in ("schema", "pattern") if getattr(args, name))
    return [
        *(["table"] if args.table else []),
        *([named] if named else []),
        *(["worst"] if args.worst else []),
        *(["all"] if args.all else []),
    ]


def one_way(used: list[str], question: str, ways: str) -> None:
    """Raises UsageError where there is none, and where there is more than one."""
    if not used:
        raise UsageError(f"{question} nothing was executed", f"give {ways}")
    if len(used) > 1:
        raise UsageError(
            f"{' and '.join(used)} choose in different ways; nothing was executed", f"give one of {ways}"
        )


async def what_it_is(engine: MaintenanceReads, schema: str, name: str) -> UsageError | None:
    """Why a name is not that of a table: it is something else. None where nothing is called so."""
    found = await engine.relations(schema, name)
    others = [one for one in found if one.kind not in _TABLES]
    if not others or len(others) < len(found):
        return None
    one = others[0]
    article = "an" if one.kind[0] in "aeiou" else "a"
    hint = (
        f"index={show_name(one.schema, one.name)} names an index" if one.kind == "index" else "name a table"
    )
    return UsageError(
        f"{show_name(one.schema, one.name)} is {article} {one.kind}, not a table; nothing was executed", hint
    )


_TABLES = ("table", "partitioned table", "materialized view")


async def _named(engine: MaintenanceReads, names: list[Name], *, whole: bool = False) -> tuple[Table, ...]:
    for one in names:
        if one[0].startswith(("pg_temp", "pg_toast_temp")):
            raise UsageError(
                f"{show_name(*one)} is a temporary table: only its own session can work on it; "
                "nothing was executed"
            )
    full = [name for name in names if name[0]]
    found: list[Table] = []
    if full:
        query = TableQuery(names=tuple(full), order=TableOrder.NAME, limit=MOST + 1, system=True, brief=True)
        found += _few(await engine.tables(query)).tables
    for _, bare in (name for name in names if not name[0]):
        found += await _anywhere(engine, bare)
    known = {(table.schema, table.name) for table in found}
    for name in full:
        if name not in known:
            raise await what_it_is(engine, *name) or UsageError(
                f"there is no table {show_name(*name)} (that this login may see); nothing was executed",
                '`dbdeck show tables` lists them; a name with capitals or points is written in "quotes"',
            )
    chosen = trees(tuple(found)) if whole else leaves(tuple(found))
    unique = {table.key: table for table in chosen}
    place = {name: number for number, name in enumerate(names)}
    # As they were given: a plan that was saved with its tables by name is planned again in its order.
    return tuple(sorted(unique.values(), key=lambda one: place.get((one.schema, one.name), len(place))))


async def _anywhere(engine: MaintenanceReads, name: str) -> tuple[Table, ...]:
    """A name without its schema must mean one table."""
    query = TableQuery(pattern=_like(name), order=TableOrder.NAME, limit=MOST + 1, brief=True)
    tables = (await engine.tables(query)).tables
    meant = [table for table in tables if table.name == name]
    if len(meant) == 1:
        parts = [table for table in tables if table.parent == meant[0].key]
        if meant[0].kind is TableKind.PARTITIONED and not parts:
            return await _named(engine, [(meant[0].schema, meant[0].name)])
        return (*meant, *parts)
    if not meant and (other := await what_it_is(engine, "", name)):
        raise other
    where = ", ".join(show_name(table.schema, table.name) for table in meant[:5])
    raise UsageError(
        f"{name!r} is {'more than one table' if meant else 'no table that this login may see'}; "
        "nothing was executed",
        f"say which: {where}" if meant else "`dbdeck show tables` lists them",
    )


def _like(name: str) -> str:
    """A shell pattern that fits this name, and few others; a point would make it one of schema.name."""
    safe = name.replace("*", "?")
    return f"*.{safe}" if "." in name else safe


def _few_enough(args: TableArgs) -> bool:
    """Reasons and bloat are worth their time where somebody reads them."""
    return 0 < args.worst <= _READ


_READ = 50


def _few(found: Tables) -> Tables:
    if len(found.tables) > MOST:
        raise UsageError(
            f"more than {MOST:,} tables are too many for one plan; nothing was executed",
            "choose by schema=…, pattern=… or worst=…",
        )
    return found


def leaves(tables: tuple[Table, ...]) -> tuple[Table, ...]:
    """Without PostgreSQL's parents of partitions, which hold no rows themselves.

    In MySQL and MariaDB (where tables have no number) partitions belong to one table.
    """
    return tuple(one for one in tables if one.kind is not TableKind.PARTITIONED or not one.number)


def trees(tables: tuple[Table, ...]) -> tuple[Table, ...]:
    """Roots of partition trees without their partitions, and tables."""
    roots = {one.key for one in tables if one.kind is TableKind.PARTITIONED and not one.parent}
    rest = leaves(tuple(one for one in tables if one.key not in roots and one.parent not in roots))
    return tuple(one for one in tables if one.key in roots or one in rest)
