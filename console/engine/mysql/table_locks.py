"""Who stands in the way of work on a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from console.engine.mysql import metadata
from console.engine.mysql.link import Link
from console.engine.mysql.look import Seen, look_at_all, records_metadata_locks
from console.errors import PrivilegeMissing
from console.model.sessions import Protection, by_id
from console.model.table_locks import TableLock

Record = Mapping[str, Any]
Pair = tuple[str, str]
_PLUGIN = "METADATA_LOCK_INFO"


async def table_locks(link: Link, tables: Sequence[Pair]) -> tuple[TableLock, ...]:
    """Raises PrivilegeMissing where locks or sessions are hidden: nobody in the way must be a fact."""
    if not tables:
        return ()
    seen = await look_at_all(link)
    rows = [metadata.owned(row, seen.prepared) for row in await _rows(link, seen, tuple(tables))]
    return tuple(_locks(rows, seen, tables))


async def _rows(link: Link, seen: Seen, tables: tuple[Pair, ...]) -> list[dict[str, Any]]:
    if await records_metadata_locks(link):
        return await link.fetch("table_metadata", "metadata locks", tables)
    if seen.identity.flavor == "mariadb" and await link.fetch("plugins", "plugins", (_PLUGIN,)):
        return await link.fetch("table_metadata_plugin", "metadata locks", tables)
    raise PrivilegeMissing(
        f"{link.target.name}: metadata locks are not recorded: nobody can see who holds one",
        hint="UPDATE performance_schema.setup_instruments SET ENABLED = 'YES' "
        "WHERE NAME = 'wait/lock/metadata/sql/mdl'; it sees locks taken from then on. Where "
        "performance_schema is off, it has to be on in the configuration; or, on MariaDB: "
        "INSTALL SONAME 'metadata_lock_info'; which shows holders only",
    )


# ---- pure --------------------------------------------------------------------------------------


def _locks(rows: Iterable[Record], seen: Seen, tables: Sequence[Pair]) -> Iterable[TableLock]:
    """A lock on everything (FLUSH TABLES WITH READ LOCK, a backup) is one on each of the tables."""
    rows = list(rows)
    sessions = by_id(seen.sessions) | metadata.threads(rows)
    for row in rows:
        session = sessions.get(row["session_id"])
        if session is None or session.protection is Protection.OWN:
            continue
        of_table = row["type"] == "TABLE"
        where = [(row["table_schema"], row["table_name"])] if of_table else tables
        for schema, name in where:
            yield TableLock(
                session=session,
                table=f"{schema}.{name}",
                mode=row["mode"] if of_table else f"{row['type']} {row['mode']}",
                granted=row["status"] != "PENDING",
            )
