"""Jobs on indexes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from actions import table_statements as statements
from actions.in_the_way import ACCESS_EXCLUSIVE, EXCLUSIVE, SHARE, SHARE_UPDATE_EXCLUSIVE
from actions.jobs import Job
from actions.names import show_name
from actions.table_statements import POSTGRES, IndexPlan
from console.engine.port import Statement
from console.model.indexes import Index
from console.model.tables import Table
from console.model.target import ServerIdentity


def reindex_job(server: ServerIdentity, index: Index, *, concurrently: bool) -> Job:
    concurrently = concurrently and not index.concurrent
    lock = SHARE_UPDATE_EXCLUSIVE if concurrently else ACCESS_EXCLUSIVE
    return _index_job(
        index,
        "reindex",
        statements.reindex(server, index.schema, index.name, concurrently=concurrently),
        lock=lock,
        exclusive=not concurrently,
        patient=concurrently,
    )


def drop_job(server: ServerIdentity, index: Index, *, arg: str = "") -> Job:
    """Always CONCURRENTLY, so that it queues in nobody's way; a partitioned index is never given here."""
    statement = statements.drop_index(server, index.schema, index.name)
    return _index_job(index, "drop invalid", statement, lock=SHARE_UPDATE_EXCLUSIVE, patient=True, arg=arg)


def _index_job(index: Index, verb: str, statement: Statement, **more: Any) -> Job:
    return Job(
        subject=show_name(index.schema, index.name),
        kind="index",
        schema=index.schema,
        name=index.name,
        number=index.number,
        table=index.table,
        verb=verb,
        statement=statement,
        bytes=index.bytes,
        before={"filenode": index.filenode, "table": index.table_number},
        **more,
    )


def create_job(server: ServerIdentity, table: Table, name: str, what: IndexPlan) -> Job:
    postgres = server.flavor == POSTGRES
    blocking = postgres and not what.concurrently
    return Job(
        subject=show_name(table.schema, name),
        kind="index",
        schema=table.schema,
        name=name,
        table=table.name,
        verb="create index",
        statement=statements.create_index(server, (table.schema, table.name), name, what),
        lock=SHARE if blocking else SHARE_UPDATE_EXCLUSIVE if postgres else EXCLUSIVE,
        exclusive=blocking,
        patient=postgres and what.concurrently,
        bytes=table.bytes,
        before={"table": table.number},
    )


def made_name(table: str, columns: Sequence[str]) -> str:
    """As PostgreSQL would name it, within 63 bytes."""
    name = "_".join((table, *columns, "idx"))
    if len(name.encode()) <= 63:
        return name
    digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    return f"{name.encode()[:48].decode(errors='ignore')}_{digest}_idx"
