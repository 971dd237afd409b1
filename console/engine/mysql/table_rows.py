"""Rows about tables -> the model. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import msgspec

from console.engine.mysql.numbers import NO_TABLE, Pair
from console.engine.mysql.rows import account_literal
from console.model.horizon import Horizon
from console.model.tables import Exhaustion, Table, TableKind, TableOrder, TableQuery

Record = Mapping[str, Any]
LONG_HISTORY = 100_000  # undo logs; a busy server that keeps up has some thousands
MUCH_FREE = 32 << 20  # InnoDB makes files grow by 4 MiB: some free space is always there
_FREE_PART = 0.2
_STALE_PART = 0.2  # InnoDB collects statistics anew after changes to a tenth of the rows
_FEW_ROWS = 1000
_NEARLY_USED = 0.8


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the chosen tables beyond their names. `statistics` is None where they may not be
    read; tables in `locked` could not be opened.
    """

    figures: Mapping[Pair, Record] = {}
    statistics: Mapping[Pair, Record] | None = None
    numbers: Mapping[Pair, Exhaustion] = {}
    locked: frozenset[Pair] = frozenset()


def by_table(rows: Iterable[Record]) -> dict[Pair, Record]:
    return {(row["table_schema"], row["table_name"]): row for row in rows}


def visibility(user: str) -> str:
    """The least that shows tables, columns and indexes: it reads no row of them."""
    return f"GRANT REFERENCES ON *.* TO {account_literal(user)};"


def conditions(wanted: TableQuery) -> list[object]:
    """The arguments of `tables.sql` up to its order."""
    pattern = like(wanted.pattern)
    on_name = "" if "." in pattern else pattern
    on_key = pattern if "." in pattern else ""
    return [
        wanted.system,
        *(wanted.schema, wanted.schema),
        *(on_name, on_name),
        *(on_key, on_key),
        *(not wanted.names, wanted.names or NO_TABLE),
    ]


def like(pattern: str) -> str:
    """A shell pattern as LIKE has it, with | as its escape."""
    special = {"*": "%", "?": "_", "%": "|%", "_": "|_", "|": "||"}
    return "".join(special.get(char, char) for char in pattern)


def order(asked: TableOrder, flavor: str) -> str:
    size = "size of the files"
    match asked:
        case TableOrder.NEED:
            return f"automatic numbers running out, then {size}"
        case TableOrder.NAME:
            return "name"
        case TableOrder.AGE if flavor == "mysql":
            return "made or rebuilt longest ago"
        case TableOrder.DEAD:
            return f"{size} (InnoDB does not count dead rows by table)"
        case _:
            return size


def table(row: Record, about: About) -> Table:
    """Without its figures a table has the size of its files, and says why there is no more."""
    pair = row["table_schema"], row["table_name"]
    figures = _readable(about.figures.get(pair))
    statistics = (about.statistics or {}).get(pair)
    files = _number(row["file_bytes"])
    partitions = int(row["partitions"] or 0)
    options = _options(figures)
    created = _first(figures.get("created"), row["created"])
    made = Table(
        schema=pair[0],
        name=pair[1],
        kind=TableKind.PARTITIONED if partitions or "partitioned" in options else TableKind.TABLE,
        partitions=partitions,
        storage="SEQUENCE" if row["kind"] == "SEQUENCE" else figures.get("engine") or row["engine"] or "",
        bytes=_number(figures.get("data_bytes")) if figures else files,
        index_bytes=_number(figures.get("index_bytes")),
        free_bytes=None if shared(figures, files) else _number(figures.get("free_bytes")),
        rows=_number(figures.get("row_count")),
        analyzed_at=_instant(statistics["updated"]) if statistics else None,
        filenode=_number(row["space"]),
        created_at=_instant(created),
        settings={name: value for name, value in options.items() if name != "partitioned"},
        exhaustion=about.numbers.get(pair),
        stale_statistics=is_stale(figures, statistics),
    )
    return msgspec.structs.replace(made, why=why(made, figures, about))


def _readable(figures: Record | None) -> Record:
    """MariaDB shows a table that it could not open without an engine, and the error as its comment."""
    return figures if figures is not None and figures["engine"] is not None else {}


def _options(figures: Record) -> dict[str, str]:
    words = str(figures.get("create_options") or "").split()
    return {name.strip('"`'): value for name, _, value in (word.partition("=") for word in words)}


def shared(figures: Record, files: object) -> bool:
    """Whether the table lies in a tablespace with others, whose free space is no part of it."""
    return figures.get("engine") == "InnoDB" and files is None


def is_stale(figures: Record, statistics: Record | None) -> bool:
    """The rows InnoDB counted on against those the statistics were collected from."""
    if not statistics or figures.get("row_count") is None:
        return False
    now, then = int(figures["row_count"]), int(statistics["row_count"])
    return abs(now - then) > max(_FEW_ROWS, _STALE_PART * then)


def why(made: Table, figures: Record, about: About) -> str:
    """The weightiest of what there is to say about a table."""
    if not figures:
        return _unread(made, about)
    return next(chain(_dangers(made), _cares(made, about)), "")


def _unread(made: Table, about: About) -> str:
    pair = made.schema, made.name
    if pair in about.locked:
        return "somebody holds an exclusive lock on it: its rows and free space are unknown until then"
    if pair in about.figures:
        remark = about.figures[pair]["remark"]
        return f"it cannot be opened: somebody holds an exclusive lock, or it is damaged ({remark})"
    return "its rows and free space could not be read"


def _dangers(made: Table) -> Iterator[str]:
    if made.exhaustion and made.exhaustion.used >= _NEARLY_USED:
        yield _exhausted(made.exhaustion)
    if made.storage == "MyISAM":
        yield "MyISAM: a crash may damage it or lose rows, and a writer locks the whole table"


def _cares(made: Table, about: About) -> Iterator[str]:
    key = f"table={made.key}"
    if wasteful(made):
        free = (made.free_bytes or 0) >> 20
        yield f"{free} MiB of its files are free: table.optimize {key} gives them back"
    if made.storage != "InnoDB" or about.statistics is None:
        return
    if made.settings.get("stats_persistent") == "0":
        yield "persistent statistics are off for it: plans may change after a restart"
    if (made.schema, made.name) not in about.statistics:
        yield f"statistics were never collected or are not kept: table.analyze {key}"
    if made.stale_statistics:
        yield f"its rows changed much since statistics were collected: table.analyze {key}"


def _exhausted(used: Exhaustion) -> str:
    left = used.limit - used.last
    at = f"is at {used.last:,} of {used.limit:,}"
    if used.sequence == "AUTO_INCREMENT":
        then = f"after {left:,} more row{'' if left == 1 else 's'} INSERT fails"
        if not left:
            then = "the next INSERT fails, or the one after it"
        return f"AUTO_INCREMENT of column {used.column} {at}: {then}"
    column = f" of column {used.column}" if used.column else ""
    then = f"after {left:,} more" if left else "soon"
    return f"sequence {used.sequence}{column} {at}, numbers that lie in a cache included: it ends {then}"


def wasteful(made: Table) -> bool:
    free, total = made.free_bytes or 0, made.total_bytes or 0
    return free >= MUCH_FREE and free >= _FREE_PART * (free + total)


def notes_on(rows: Iterable[Record], about: About) -> tuple[str, ...]:
    """Free space that belongs to no single table, told once."""
    free = {
        int(figures["free_bytes"] or 0)
        for row in rows
        if shared(
            figures := _readable(about.figures.get((row["table_schema"], row["table_name"]))),
            row["file_bytes"],
        )
    }
    if not free:
        return ()
    return (
        f"tables in a shared tablespace (innodb_file_per_table = OFF, or a general one) show no free space "
        f"of their own; {max(free) >> 20} MiB are free in theirs, for all of them",
    )


def backlog(horizon: Horizon) -> str:
    """Why purge does not keep up; empty where it does."""
    if (horizon.history_length or 0) < LONG_HISTORY:
        return ""
    length = f"purge is {horizon.history_length} undo logs behind (history list length)"
    if not horizon.holders:
        return f"{length}; nobody holds it back, it is slower than the writers"
    oldest = horizon.holders[0]
    age = "" if oldest.seconds is None else f", {oldest.seconds:.0f} s old"
    return f"{length}: {oldest.name} ({oldest.kind}{age}) holds {oldest.scope}"


def _number(value: object) -> int | None:
    return None if value is None else int(str(value))


def _first(*values: object) -> object:
    return next((value for value in values if value is not None), None)


def _instant(epoch: object) -> datetime | None:
    return None if epoch is None else datetime.fromtimestamp(float(str(epoch)), UTC)
