"""Which rows are to go and where to: from what was asked for and what the server tells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from actions import row_statements as statements
from actions.batches import BatchArgs
from actions.limits import Duration
from actions.names import parse_name, show_name
from actions.row_statements import POSTGRES, Lot
from actions.words import duration, moment
from console.engine.port import Engine
from console.engine.row_sites import now_there, row_site
from console.errors import UsageError
from console.model.row_sites import RowSite
from console.model.target import ServerIdentity

LISTED = 5


class RowArgs(BatchArgs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`archive` is a table with the same columns that gets the rows first, in the same transaction; without
    it they are gone for good, and the target's name has to be typed. `create_archive` makes it where there
    is none. `unindexed` goes on without an index that finds the rows, `cascade` where foreign keys change
    rows elsewhere.
    """

    table: str
    archive: str = ""
    create_archive: bool = False
    unindexed: bool = False
    cascade: bool = False


class PurgeArgs(RowArgs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows whose `column`, a time, is more than `older_than` ago by the server's clock; as RowArgs. `before`
    is the moment that this came to: a plan has it, and does not go further when it is applied.
    """

    column: str
    older_than: Duration
    before: str = ""


class SweepArgs(RowArgs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows of `table` whose `column` (repeated for several) is not null and equals no `parent_column` of
    `parent`; as RowArgs.
    """

    column: str | tuple[str, ...]
    parent: str
    parent_column: str | tuple[str, ...]


class Wanted(NamedTuple):
    """Which rows: `where` over the table, in words, and how they are found and ordered. `all_seen`: rows that
    row security hides would be taken for missing ones. `cut`: the moment that ages are counted to.
    """

    where: str
    words: str
    led_by: tuple[str, ...]
    order: tuple[str, ...]
    title: str
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    all_seen: bool = False
    cut: datetime | None = None


async def table_of(engine: Engine, text: str) -> RowSite:
    """Raises UsageError for what is no table whose rows can be deleted in transactions."""
    site = await row_site(engine, *parse_name(text))
    if site is None:
        raise UsageError(
            f"there is no table {text!r} (that this login may see); nothing was executed",
            "`dbdeck show tables` lists them; name it with its schema",
        )
    if site.kind != "table":
        hint = "name its partitions, or drop whole ones" if site.kind.startswith("partitioned") else ""
        raise UsageError(f"{text} is a {site.kind}; nothing was executed", hint)
    if site.storage not in ("", "innodb", "unlogged"):
        raise UsageError(
            f"{text} is of the engine {site.storage}, which has no transactions; nothing was executed"
        )
    return site


def _column(site: RowSite, name: str) -> str:
    """Its type. Raises UsageError."""
    found = site.column(name)
    if found is None:
        has = ", ".join(one.name for one in site.columns[:20])
        raise UsageError(f"{site.name} has no column {name!r} (it has: {has}); nothing was executed")
    return found.type


async def old_rows(engine: Engine, args: PurgeArgs, site: RowSite, server: ServerIdentity) -> Wanted:
    kind = _column(site, args.column).lower()
    cut = moment(args.before, (await now_there(engine)) - timedelta(seconds=duration(args.older_than)))
    column = statements.column((site.schema, site.name), args.column, server.flavor)
    zoned = _is_zoned(kind, server.flavor)
    said = f"{args.column} before {cut:%Y-%m-%d %H:%M:%S} UTC"
    warning = f"{args.column} ({kind}) has no time zone: it is compared with the time in UTC"
    return Wanted(
        where=f"{column} < {_moment(cut, kind, server.flavor)} and {column} > {_never(kind, server.flavor)}",
        words=said,
        led_by=(args.column,),
        order=(column, *_key(site, server)),
        title=f"purge {show_name(site.schema, site.name)} of {said}",
        warnings=() if zoned else (warning,),
        cut=cut,
    )


def _is_zoned(kind: str, flavor: str) -> bool:
    if flavor == POSTGRES:
        return kind.startswith("timestamp") and kind.endswith("with time zone")
    return kind.startswith("timestamp")


def _never(kind: str, flavor: str) -> str:
    """Before every time, and often what stands for none: such a row is not old."""
    if flavor == POSTGRES:
        return f"'-infinity'::{kind}"
    return "'0000-00-00'" if kind == "date" else "'0000-00-00 00:00:00'"


def _moment(cut: datetime, kind: str, flavor: str) -> str:
    """As the column has it. Raises UsageError for one that is no time."""
    text = f"{cut:%Y-%m-%d %H:%M:%S.%f}"
    if kind == "date":
        return f"date '{cut:%Y-%m-%d}'"
    if flavor == POSTGRES and kind.startswith("timestamp"):
        zoned = kind.endswith("with time zone")
        return f"timestamptz '{text}+00'" if zoned else f"timestamp '{text}'"
    if flavor != POSTGRES and kind.startswith("timestamp"):
        return f"from_unixtime({cut.timestamp():.6f})"
    if flavor != POSTGRES and kind.startswith("datetime"):
        return f"'{text}'"
    raise UsageError(
        f"a column of type {kind} is no date or time; nothing was executed",
        "rows.purge wants a date, a datetime or a timestamp",
    )


def orphans(args: SweepArgs, site: RowSite, parent: RowSite, server: ServerIdentity) -> Wanted:
    columns, keys = _several(args.column), _several(args.parent_column)
    if not columns or len(columns) != len(keys):
        raise UsageError("column= and parent_column= are as many; nothing was executed")
    for name in columns:
        _column(site, name)
    for name in keys:
        _column(parent, name)
    mine, theirs = (site.schema, site.name), (parent.schema, parent.name)
    flavor = server.flavor
    if mine == theirs and flavor != POSTGRES:
        raise UsageError("a table that refers to itself is not swept on this engine; nothing was executed")
    pairs = list(zip(columns, keys, strict=True))
    full = [f"{statements.column(mine, one, flavor)} is not null" for one in columns]
    same = " and ".join(
        f"parent_row.{statements.listed([key], flavor)} = {statements.column(mine, one, flavor)}"
        for one, key in pairs
    )
    exists = f"exists (select 1 from {statements.place(theirs, flavor)} parent_row where {same})"  # noqa: S608
    said = f"{', '.join(columns)} without a row of {show_name(*theirs)}"
    lost = () if parent.led_by(keys) or args.unindexed else (
        f"no index of {show_name(*theirs)} begins with {', '.join(keys)}: each row would read all of it; "
        "unindexed=true goes on",
    )  # fmt: skip
    return Wanted(
        where=" and ".join([*full, f"not {exists}"]),
        words=said,
        led_by=(),
        order=_key(site, server),
        title=f"sweep {show_name(*mine)} of {said}",
        warnings=(
            "a parent that is inserted while its row is deleted comes too late",
            *([_HIDDEN] if site.secured or parent.secured else []),
        ),
        refusals=lost,
        all_seen=True,
    )


_HIDDEN = "row security may hide parents: the operator that it would hide any from is refused by the server"


def _several(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _key(site: RowSite, server: ServerIdentity) -> tuple[str, ...]:
    """MySQL and MariaDB pick the same rows twice, so that they need an order without ties."""
    if server.flavor == POSTGRES:
        return ()
    if not site.primary:
        raise UsageError(
            f"{site.name} has no primary key, and its rows cannot be told apart; nothing was executed"
        )
    return tuple(statements.column((site.schema, site.name), one, server.flavor) for one in site.primary)


async def archive_of(
    engine: Engine, args: RowArgs, site: RowSite, server: ServerIdentity
) -> tuple[RowSite | None, bool]:
    """The archive, and whether it has to be made first. Raises UsageError for one that does not fit."""
    if not args.archive:
        return None, False
    schema, name = parse_name(args.archive)
    schema = schema or site.schema
    if (schema, name) == (site.schema, site.name):
        raise UsageError(f"{args.archive} is the table itself; nothing was executed")
    found = await row_site(engine, schema, name)
    if found is None and args.create_archive:
        generated = () if server.flavor == POSTGRES else tuple(one for one in site.columns if one.generated)
        columns = tuple(one for one in site.columns if one not in generated)
        return RowSite(schema=schema, name=name, columns=columns), True
    if found is None:
        raise UsageError(
            f"there is no table {show_name(schema, name)} (that this login may see); nothing was executed",
            "create_archive=true makes it like the table",
        )
    if found.storage == "unlogged":
        raise UsageError(
            f"{args.archive} is unlogged: a crash would empty it; nothing was executed",
            "ALTER TABLE … SET LOGGED",
        )
    if found.kind != "table" or found.storage not in ("", "innodb"):
        raise UsageError(f"{args.archive} is no table that takes part in transactions; nothing was executed")
    types = {one.name: one.type for one in found.columns}
    computed = {one.name for one in found.columns if one.generated}
    unlike = [
        f"{one.name} {one.type}"
        for one in site.columns
        if types.get(one.name) != one.type or (one.name in computed and not one.generated)
    ]
    if unlike:
        raise UsageError(
            f"{args.archive} has not the same columns: {', '.join(unlike[:LISTED])}; nothing was executed",
            "add them, or name another archive",
        )
    return found, False


def lot_for(
    args: RowArgs, site: RowSite, wanted: Wanted, archive: RowSite | None, server: ServerIdentity
) -> Lot:
    columns: tuple[str, ...] = ()
    if archive is not None:
        written = {one.name for one in archive.columns if not one.generated}
        columns = tuple(one.name for one in site.columns if one.name in written)
    order = wanted.order if server.flavor != POSTGRES or wanted.led_by else ()
    return Lot(
        table=(site.schema, site.name),
        where=wanted.where,
        order=order,
        archive=None if archive is None else (archive.schema, archive.name),
        columns=columns,
        batch=args.batch,
        all_seen=wanted.all_seen,
    )


def shown(server: ServerIdentity, lot: Lot, create: bool) -> list[str]:
    """The first batch; the others are the same."""
    made = [statements.create_archive(server, lot).shown] if create else []
    if server.flavor == POSTGRES:
        return [*made, statements.move(lot, lot.batch, 1).shown]
    one = statements.batch(lot, lot.batch, 1, server.flavor)
    return [*made, *(each.shown for each in one.all[:-1])]


def columns_of(site: RowSite) -> str:
    return ", ".join(f"{one.name} {one.type}" for one in site.columns)
