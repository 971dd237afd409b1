"""The exact look at a table or an index, by the extension pgstattuple: said before, taken when asked for."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
import msgspec

from console.engine.postgres.driver import READ_LIMITS, close, connect
from console.engine.postgres.errors import FAILURES, on_read
from console.engine.postgres.index_rows import option
from console.engine.postgres.link import Link
from console.engine.postgres.remedies import INSTALL, role_in_sql
from console.engine.postgres.rows import Record
from console.engine.queries import query, quote_ident
from console.errors import LockTimeout, UsageError
from console.model.table_locks import TableLock
from console.model.tables import Bloat, Measurement

LARGE = 1 << 30  # bytes from which pages that are all visible are not read
# The free space map counts in steps of a block's 256th part (freespace/README).
STEPS = 256
LOCK = "ACCESS SHARE, as a SELECT takes: it waits for nobody but ACCESS EXCLUSIVE"
WAIT = "2s"
LIMITS = READ_LIMITS | {"statement_timeout": "6h", "lock_timeout": WAIT}
AGAINST = "AccessExclusiveLock"  # the only mode that ACCESS SHARE waits for
TABLE, TABLE_QUICKLY, INDEX = "pgstattuple", "pgstattuple_approx", "pgstatindex"
_READS = {TABLE: "measure_table", TABLE_QUICKLY: "measure_table_quickly", INDEX: "measure_index"}


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """By which function, or why not."""

    row: Record
    function: str
    subject: str = ""
    refusal: str = ""

    @property
    def table(self) -> tuple[str, str]:
        """The table itself, or that of the index."""
        return self.row["table_schema"], self.row["table_name"]


async def way(link: Link, schema: str, name: str) -> Way:
    """Raises UsageError when there is no such table or index."""
    rows = await link.fetch("measurement", "what can be measured", schema, name)
    if not rows:
        raise UsageError(f"there is no table or index {schema}.{name} in this database")
    row = rows[0]
    function = function_for(row)
    subject = f"{schema}.{name}"
    return Way(
        row=row, function=function, subject=subject, refusal=refusal(row, function, link.target.monitor.user)
    )


def function_for(row: Record) -> str:
    if row["kind"] in ("i", "I"):
        return INDEX
    return TABLE_QUICKLY if (row["bytes"] or 0) >= LARGE else TABLE


def refusal(row: Record, function: str, user: str) -> str:
    """Why it cannot be measured, with the command that would change that; empty where it can."""
    return _nothing_to_read(row, function) or _not_allowed(row, function, role_in_sql(user))


def _nothing_to_read(row: Record, function: str) -> str:
    if row["kind"] in ("p", "I"):
        return "it has no pages of its own: measure its partitions"
    if row["temporary"]:
        return "only its own session may read a temporary table"
    if function == INDEX and row["method"] != "btree":
        return f"only a B-tree can be measured, and it is {row['method']}"
    if function != INDEX and row["method"] not in ("heap", ""):
        return f"only a heap can be measured, and it is {row['method']}"
    return "" if row["valid"] else "it is not valid, and nobody reads it"


def _not_allowed(row: Record, function: str, role: str) -> str:
    if row["schema"] is None:
        return f"the extension pgstattuple is not in database {row['database']}: {INSTALL}"
    if not row["usable"]:
        return f"this login may not measure: GRANT USAGE ON SCHEMA {row['sql_schema']} TO {role};"
    if function not in row["functions"]:
        return f"this login may not measure: GRANT pg_stat_scan_tables TO {role};"
    return ""


async def measurement(link: Link, schema: str, name: str) -> Measurement:
    found = await way(link, schema, name)
    return Measurement(
        subject=f"{schema}.{name}",
        bytes=found.row["bytes"],
        how=f"{found.function}({schema}.{name})",
        lock=LOCK,
        refusal=found.refusal,
    )


async def measure(link: Link, found: Way) -> Bloat:
    """On a connection of its own, so that polls go on. The function is found by its exact type in the
    extension's schema: nobody else can put one of that type there.
    """
    if found.refusal:
        raise UsageError(found.refusal)
    _, identity = await link.connected()
    path = f"pg_catalog, {quote_ident(found.row['schema'], 'postgresql')}"
    limits = LIMITS | {"search_path": path}
    if identity.version_num >= 140000:  # it ends soon after we do, however long it would still read
        limits["client_connection_check_interval"] = "10s"
    sql = query("postgres", _READS[found.function], "postgresql", identity.version_num)
    connection = await connect(link.target, link.target.monitor, limits=limits, purpose="measure")
    try:
        rows = await connection.fetch(sql, found.row["oid"])
    except asyncpg.UndefinedTableError:
        raise UsageError("it was dropped meanwhile") from None
    except asyncpg.LockNotAvailableError:
        raise LockTimeout(
            f"{link.target.name}: {found.subject} was not measured: the lock ACCESS SHARE was not to be had "
            f"within {WAIT}",
            "`dbdeck show locks` has who waits for whom; look again when it is free",
        ) from None
    except FAILURES as error:
        raise on_read(error, link.target, "the measurement") from None
    finally:
        await close(connection)
    return bloat(found, rows[0])


def held(error: LockTimeout, locks: Sequence[TableLock]) -> LockTimeout:
    """With who is in the way: who holds the table or the index exclusively, or waits to do so."""
    inways = [one for one in locks if one.mode == AGAINST and not one.part]
    if not inways:
        return error
    return LockTimeout(f"{error.message}: {'; '.join(_holder(one) for one in inways[:3])}", error.hint)


def _holder(lock: TableLock) -> str:
    session, on = lock.session, lock.index or lock.table
    whose = ", ".join(part for part in (session.user, session.application) if part)
    does = "holds" if lock.granted else "waits for"
    return f"session {session.id}{f' ({whose})' if whose else ''} {does} {lock.mode} on {on}"


def bloat(found: Way, row: Record) -> Bloat:
    if found.function == INDEX:
        return of_index(row, found.row["block"], int(option(found.row, "fillfactor") or 90))
    wasted = row["dead"] + row["free"]
    doubt = row["bytes"] // STEPS if found.function == TABLE_QUICKLY else 0
    return Bloat(
        wasted=wasted, low=max(0, wasted - doubt), high=min(row["bytes"], wasted + doubt), exact=True
    )


def of_index(row: Record, block: int, fillfactor: int) -> Bloat:
    """What leaves lack to the fillfactor, and pages that hold nothing; a rebuild gives that back."""
    density = row["density"]
    lacking = 0.0 if density is None else row["leaves"] * block * max(0.0, 1 - density / fillfactor)
    wasted = round(lacking) + row["empty"] * block
    return Bloat(wasted=wasted, low=wasted, high=wasted, exact=True)
