"""The statements of deleting rows in batches, with or without an archive.

PostgreSQL: one statement a batch, which deletes by the places (ctid) of rows that it has locked, and puts
what it deleted into the archive. MySQL and MariaDB: INSERT … SELECT and DELETE of the same rows in one
transaction (manual 15.7.2.4: a locking read keeps both what it read and the gaps between). Names are quoted,
and the only values are ones that dbdeck made.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from console.engine.port import Statement
from console.engine.queries import quote_ident
from console.model.target import ServerIdentity

POSTGRES = "postgresql"
BATCH_SECONDS = 60.0  # a batch that takes longer is cancelled by the server


class Lot(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows go where. `where` is over the table by its own name; `order` are quoted columns.

    `archive` None: they are deleted for good. `columns` are those that are copied. `search_path` is that of
    who counted them (PostgreSQL). `all_seen`: row security that would hide rows makes it fail.
    """

    table: tuple[str, str]
    where: str
    order: tuple[str, ...] = ()
    archive: tuple[str, str] | None = None
    columns: tuple[str, ...] = ()
    batch: int = 1000
    search_path: str = ""
    all_seen: bool = False


def place(name: tuple[str, str], flavor: str) -> str:
    return ".".join(quote_ident(part, flavor) for part in name)


def counted_place(table: tuple[str, str], flavor: str) -> str:
    """What is counted is what a batch deletes: not the rows of tables that inherit from it."""
    return f"{'only ' if flavor == POSTGRES else ''}{place(table, flavor)}"


def column(table: tuple[str, str], name: str, flavor: str) -> str:
    """With its table, so that no other name can be meant."""
    return f"{place(table, flavor)}.{quote_ident(name, flavor)}"


def listed(names: Sequence[str], flavor: str) -> str:
    return ", ".join(quote_ident(one, flavor) for one in names)


def create_archive(server: ServerIdentity, lot: Lot) -> Statement:
    """Empty, with the same columns; no foreign keys come along."""
    if lot.archive is None:
        raise ValueError("there is no archive")
    table, archive = place(lot.table, server.flavor), place(lot.archive, server.flavor)
    like = f"(like {table})" if server.flavor == POSTGRES else f"like {table}"
    sql = f"create table {archive} {like}"
    return Statement(sql=sql, shown=sql)


def move(lot: Lot, most: int, number: int) -> Statement:
    """One batch of PostgreSQL: its row is (deleted, archived). What others have locked is left for later."""
    table = place(lot.table, POSTGRES)
    order = f" order by {', '.join(lot.order)}" if lot.order else ""
    rows = f"where {lot.where}{order} limit {most:d} for update skip locked"
    picked = f"select ctid from only {table} {rows}"  # noqa: S608 - quoted names
    names = listed(lot.columns, POSTGRES)
    deleted = f"delete from only {table} where ctid = any(array({picked})) returning {names or 'true'}"  # noqa: S608
    if lot.archive is None:
        sql = f"with gone as ({deleted}) select count(*), 0 from gone"  # noqa: S608
    else:
        into = f"insert into {place(lot.archive, POSTGRES)} ({names})"
        kept = f"{into} select {names} from gone returning true"  # noqa: S608
        # A trigger of the archive may drop rows in silence: where the counts differ the cast fails, and with
        # it the whole statement.
        told = (
            "pg_catalog.format('the archive got %s of %s rows, and the batch was taken back', kept.n, gone.n)"
        )
        sides = ", ".join(f"(select count(*) as n from {one}) {one}" for one in ("gone", "kept"))  # noqa: S608
        counts = f"select gone.n, case when kept.n = gone.n then kept.n else {told}::bigint end from {sides}"  # noqa: S608
        sql = f"with gone as ({deleted}), kept as ({kept}) {counts}"
    limits = (
        ("statement_timeout", f"{int(BATCH_SECONDS * 1000)}"),
        ("search_path", lot.search_path),
        *((("row_security", "off"),) if lot.all_seen else ()),
    )
    return Statement(sql=sql, shown=f"{sql} -- batch {number}", limits=limits)


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """One of MySQL and MariaDB; `keep` None: nothing is archived. The counts are compared before `commit`."""

    begin: Statement
    keep: Statement | None
    delete: Statement
    commit: Statement
    back: Statement

    @property
    def all(self) -> list[Statement]:
        kept = [self.keep] if self.keep is not None else []
        return [self.begin, *kept, self.delete, self.commit, self.back]


def batch(lot: Lot, most: int, number: int, flavor: str) -> Batch:
    table = place(lot.table, flavor)
    order = f" order by {', '.join(lot.order)}" if lot.order else ""
    rows = f"where {lot.where}{order} limit {most:d}"
    keep = None
    if lot.archive is not None:
        names = listed(lot.columns, flavor)
        into = f"insert into {place(lot.archive, flavor)} ({names})"
        keep = _counting(f"{into} select {names} from {table} {rows} for update", number)  # noqa: S608
    return Batch(
        begin=_said(_BEGIN, number),
        keep=keep,
        delete=_counting(f"delete from {table} {rows}", number),  # noqa: S608
        commit=_said("commit", number),
        back=_said("rollback", number),
    )


# A row whose number is 0 keeps it in the archive.
_BEGIN = (
    "set session sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO'; "
    "set transaction isolation level repeatable read; start transaction"
)


def _counting(sql: str, number: int) -> Statement:
    return _said(f"{sql}; select row_count()", number)


def _said(sql: str, number: int) -> Statement:
    return Statement(sql=sql, shown=f"{sql} -- batch {number}")
