"""What is sound in a restored MySQL or MariaDB: pages and indexes, foreign keys, automatic numbers, views."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from actions.damage import is_wrong
from actions.mysql_fence import log_end
from actions.restoring import Restored, Site
from console.dispatch.enclosure import Enclosure
from console.engine.port import Row, Statement
from console.engine.queries import quote_ident
from console.errors import DbdeckError
from console.model.backups import seconds_of
from console.model.drills import Area, Check, Outcome

_RATE = 50e6  # bytes a second that CHECK TABLE … EXTENDED reads; 2.4 s for 361 MB in research 3.2 of drills
_SHARE = 0.5  # of the budget for CHECK TABLE, as for foreign keys
_MOST = 1000  # rows without their other side that are counted
_NEAR = 0.9
_NO_DEFINER = 1449
_LARGEST = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}  # bits


class Column(NamedTuple):
    """A column numbered by the server; `sequence` is where from (MariaDB), as database.name."""

    database: str
    table: str
    name: str
    type: str
    following: int | None
    sequence: str


class _Copy:
    """What is asked of the copy: each statement recorded, and ended by the server where it takes too long."""

    def __init__(self, site: Site, enclosure: Enclosure, restored: Restored, *, mariadb: bool) -> None:
        self.site = site
        self.enclosure = enclosure
        self.restored = restored
        self.mariadb = mariadb
        self.budget = seconds_of(site.rule.budget)

    async def ask(self, sql: str, *args: object) -> list[Row]:
        shown = sql if not args else f"{sql} with {', '.join(map(repr, args))}"
        statement = Statement(sql=sql, args=args, shown=shown)
        return await self.site.unless_stopped(
            self.enclosure.execute(self.restored.target, statement, timeout=None)
        )

    async def limited(self, select: str, seconds: float) -> list[Row]:
        """A statement that begins with SELECT."""
        if self.mariadb:
            return await self.ask(f"SET STATEMENT max_statement_time = {seconds:.1f} FOR {select}")
        hint = f"SELECT /*+ MAX_EXECUTION_TIME({int(seconds * 1000)}) */"
        return await self.ask(f"{hint}{select.removeprefix('SELECT')}")


async def soundness(site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:
    """A server that dies of what it reads is a finding, too."""
    engine = await enclosure.reading(restored.target)
    mariadb = (await engine.identity()).flavor == "mariadb"
    copy = _Copy(site, enclosure, restored, mariadb=mariadb)
    if not mariadb:
        await copy.ask("SET SESSION information_schema_stats_expiry = 0")
    checks: list[Check] = []
    looks: Sequence[Callable[[_Copy], Awaitable[list[Check]]]] = (
        tables_checked, keys_hold, numbers_fit, views_compile, definers_exist,
    )  # fmt: skip
    for look in looks:
        try:
            checks += await look(copy)
        except DbdeckError as error:
            if not enclosure.serving:
                why = f"the server died: {log_end(enclosure)[-600:]}"
                return [*checks, _check(Area.INTEGRITY, look.__name__.replace("_", " "), [why], why)]
            checks.append(
                Check(area=Area.INTEGRITY, name=look.__name__.replace("_", " "), outcome=Outcome.BROKEN,
                      detail=error.message)
            )  # fmt: skip
    return checks


def _check(area: Area, name: str, bad: Sequence[str], said: str, passed: str = "") -> Check:
    """Failed where anything is bad."""
    outcome = Outcome.FAILED if bad else Outcome.PASSED
    return Check(area=area, name=name, outcome=outcome, detail=said if bad else passed, items=tuple(bad))


def _named(database: str, name: str) -> str:
    return f"{quote_ident(database, 'mysql')}.{quote_ident(name, 'mysql')}"


# ---- pages and indexes --------------------------------------------------------------------------------

_TABLES = (
    "SELECT table_name, coalesce(data_length, 0) + coalesce(index_length, 0) FROM information_schema.tables"
    " WHERE table_schema = %s AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY 2"
)


async def tables_checked(copy: _Copy) -> list[Check]:
    """CHECK TABLE … EXTENDED walks every index and compares it with the rows."""
    end = time.monotonic() + copy.budget * _SHARE
    bad: list[str] = []
    left: list[str] = []
    done = 0
    for database in copy.restored.databases:
        for name, size in await copy.ask(_TABLES, database):
            table = f"{database}.{name}"
            if time.monotonic() + int(str(size)) / _RATE > end:
                left.append(table)
                continue
            try:
                rows = await copy.ask(f"CHECK TABLE {_named(database, str(name))} EXTENDED")
            except DbdeckError as error:
                bad.append(f"{table}: {_died(copy, error)}")
                if not copy.enclosure.serving:
                    return [_check(Area.INTEGRITY, "CHECK TABLE", bad, bad[-1])]
                continue
            done += 1
            wrong = [str(row[3]) for row in rows if is_wrong(row)]
            if wrong:
                bad.append(f"{table}: {wrong[0]}")
    checks = [_check(Area.INTEGRITY, "CHECK TABLE", bad, "; ".join(bad[:5]), f"{done} tables")]
    if left:
        said = f"{len(left)} tables do not fit in the budget"
        checks.append(
            Check(area=Area.INTEGRITY, name="CHECK TABLE: all tables", outcome=Outcome.SKIPPED, detail=said,
                  items=tuple(left))
        )  # fmt: skip
    return checks


def _died(copy: _Copy, error: DbdeckError) -> str:
    return error.message if copy.enclosure.serving else "the server died of reading it"


# ---- foreign keys -------------------------------------------------------------------------------------

_KEYS = (
    "SELECT k.table_name, k.constraint_name, k.column_name, k.referenced_table_schema,"
    " k.referenced_table_name, k.referenced_column_name FROM information_schema.key_column_usage k"
    " WHERE k.table_schema = %s AND k.referenced_table_name IS NOT NULL"
    " ORDER BY k.table_name, k.constraint_name, k.ordinal_position"
)


async def keys_hold(copy: _Copy) -> list[Check]:
    """InnoDB believes what is loaded with foreign_key_checks = 0, as every dump is: each key is proved."""
    bad: list[str] = []
    unknown: list[str] = []
    done = 0
    end = time.monotonic() + copy.budget * _SHARE
    for database in copy.restored.databases:
        keys: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in await copy.ask(_KEYS, database):
            keys[(str(row[0]), str(row[1]))].append(row)
        for (table, name), parts in keys.items():
            shown = f"{database}.{table}.{name}"
            left = end - time.monotonic()
            if left <= 0:
                unknown.append(shown)
                continue
            try:
                rows = await copy.limited(orphans(database, table, parts), left)
            except DbdeckError as error:
                gone = "doesn't exist" in error.message
                (bad if gone else unknown).append(
                    f"{shown}: what it refers to is not there" if gone else shown
                )
                continue
            done += 1
            found = int(str(rows[0][0]))
            if found:
                more = " or more" if found == _MOST else ""
                bad.append(f"{shown}: {found}{more} rows refer to nothing in {parts[0][3]}.{parts[0][4]}")
    checks = [_check(Area.KEYS, "foreign keys hold", bad, "; ".join(bad[:5]), f"{done} keys")]
    if unknown:
        said = f"{len(unknown)} could not be proved within the budget"
        checks.append(
            Check(area=Area.KEYS, name="foreign keys hold: all of them", outcome=Outcome.SKIPPED, detail=said,
                  items=tuple(unknown))
        )  # fmt: skip
    return checks


def orphans(database: str, table: str, parts: Sequence[Row]) -> str:
    """Rows whose other side is not there, up to a number. A key with a NULL in it refers to nothing."""
    mine = [quote_ident(str(row[2]), "mysql") for row in parts]
    theirs = [quote_ident(str(row[5]), "mysql") for row in parts]
    other = _named(str(parts[0][3]), str(parts[0][4]))
    on = " AND ".join(f"c.{a} = p.{b}" for a, b in zip(mine, theirs, strict=True))
    there = " AND ".join(f"c.{a} IS NOT NULL" for a in mine)
    child = _named(database, table)
    return (
        f"SELECT count(*) FROM (SELECT 1 FROM {child} c LEFT JOIN {other} p ON {on}"  # noqa: S608
        f" WHERE {there} AND p.{theirs[0]} IS NULL LIMIT {_MOST}) found"
    )


# ---- automatic numbers --------------------------------------------------------------------------------

_NUMBERS = (
    "SELECT c.table_name, c.column_name, c.column_type, t.auto_increment, c.column_default"
    " FROM information_schema.columns c JOIN information_schema.tables t"
    " ON t.table_schema = c.table_schema AND t.table_name = c.table_name"
    " WHERE c.table_schema = %s AND t.table_type <> 'VIEW'"
    " AND (c.extra LIKE %s OR c.column_default LIKE %s)"
)
_NEXTVAL = re.compile(r"nextval\(`((?:[^`]|``)+)`\.`((?:[^`]|``)+)`\)")


async def numbers_fit(copy: _Copy) -> list[Check]:
    """The next number is beyond the column's largest, and within its type."""
    bad: list[str] = []
    near: list[str] = []
    done = 0
    for database in copy.restored.databases:
        rows = await copy.ask(_NUMBERS, database, "%auto_increment%", "nextval(%")
        for one in (_column(database, row) for row in rows):
            following = await _next_of(copy, one)
            if following is None:
                continue
            done += 1
            named = f"{one.database}.{one.table}.{one.name}"
            sql = f"SELECT max({quote_ident(one.name, 'mysql')}) FROM {_named(one.database, one.table)}"  # noqa: S608
            largest = (await copy.ask(sql))[0][0]
            if largest is not None and int(str(largest)) >= following:
                where = f"{one.sequence or 'AUTO_INCREMENT'} is at {following}"
                bad.append(f"{named}: {where}, behind the column's {largest}")
            elif following > limit_of(one.type):
                bad.append(f"{named}: {following} does not fit in {one.type}")
            elif following > _NEAR * limit_of(one.type):
                near.append(f"{named} is at {following / limit_of(one.type):.0%} of {one.type}")
    passed = f"{done} columns{'; ' if near else ''}{'; '.join(near[:5])}"
    return [_check(Area.SEQUENCES, "the next numbers are free", bad, "; ".join(bad[:5]), passed)]


def _column(database: str, row: Row) -> Column:
    table, name, kind, following, default = row
    found = _NEXTVAL.search(str(default or ""))
    sequence = f"{found[1]}.{found[2]}" if found else ""
    known = int(str(following)) if following is not None and not sequence else None
    return Column(database, str(table), str(name), str(kind), known, sequence)


async def _next_of(copy: _Copy, column: Column) -> int | None:
    if not column.sequence:
        return column.following
    schema, _, name = column.sequence.partition(".")
    rows = await copy.ask(f"SELECT next_not_cached_value FROM {_named(schema, name)}")  # noqa: S608
    return int(str(rows[0][0]))


def limit_of(column_type: str) -> int:
    """The largest number of a type such as `int(10) unsigned`; of others that of a bigint."""
    words = column_type.lower()
    bits = _LARGEST.get(re.split(r"[( ]", words)[0], 64)
    return (1 << (bits if "unsigned" in words else bits - 1)) - 1


# ---- views and definers -------------------------------------------------------------------------------


async def views_compile(copy: _Copy) -> list[Check]:
    """Each is selected from, without reading a row."""
    bad: list[str] = []
    done = 0
    for database in copy.restored.databases:
        sql = "SELECT table_name FROM information_schema.views WHERE table_schema = %s"
        for (name,) in await copy.ask(sql, database):
            try:
                await copy.limited(f"SELECT 1 FROM {_named(database, str(name))} LIMIT 0", 30.0)  # noqa: S608
            except DbdeckError as error:
                if not copy.enclosure.serving:
                    raise
                # Without the accounts nobody is its definer: that is looked at by itself.
                if f"({_NO_DEFINER})" not in error.message:
                    bad.append(f"view {database}.{name}: {error.message.partition(': ')[2]}")
            done += 1
    return [_check(Area.INTEGRITY, "views can be read", bad, "; ".join(bad[:5]), f"{done} views")]


_DEFINERS = (
    "SELECT 'view', table_schema, table_name, definer FROM information_schema.views"
    " UNION ALL SELECT lower(routine_type), routine_schema, routine_name, definer"
    " FROM information_schema.routines"
    " UNION ALL SELECT 'trigger', trigger_schema, trigger_name, definer FROM information_schema.triggers"
    " UNION ALL SELECT 'event', event_schema, event_name, definer FROM information_schema.events"
)


async def definers_exist(copy: _Copy) -> list[Check]:
    """Without its definer a view or procedure is refused to everybody."""
    name = "definers exist"
    accounts = {f"{row[0]}@{row[1]}" for row in await copy.ask("SELECT user, host FROM mysql.user")}
    accounts |= {f"{row[0]}" for row in await copy.ask("SELECT user FROM mysql.user")}
    found = [
        f"{kind} {schema}.{thing}: {definer}"
        for kind, schema, thing, definer in await copy.ask(_DEFINERS)
        if str(schema) in copy.restored.databases and str(definer) not in accounts
    ]
    if found and not copy.restored.whole_cluster:
        said = f"this backup holds no accounts: {len(found)} objects need theirs from elsewhere"
        return [
            Check(area=Area.INTEGRITY, name=name, outcome=Outcome.SKIPPED, detail=said, items=tuple(found))
        ]
    return [_check(Area.INTEGRITY, name, found, "; ".join(found[:5]))]
