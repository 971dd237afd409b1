"""Real damage: bytes of files that are flipped, rows that an index does not have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.integration.actions.conftest import superuser
from tests.servers.accounts import MAINTAINER, OPERATOR
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.situations import Scene, scene

# What the documentation names: the extension, and its functions for the operator.
AMCHECK: Final = (
    "create extension if not exists amcheck",
    f"grant execute on all functions in schema public to {OPERATOR}, {MAINTAINER}",
)


@asynccontextmanager
async def damageable(server: PostgresServer) -> AsyncIterator[Scene]:
    """The shop, with amcheck; its database, and with it what the server counted of its damage, is removed."""
    async with scene(server) as made:
        await superuser(server, *AMCHECK, database=made.database)
        yield made
    await superuser(server, f"drop database {made.database} with (force)")


async def lose_a_row(shop: Scene) -> None:
    """A row of `orders` that its primary key does not have."""
    index = "indexrelid = 'orders_pkey'::regclass"
    await superuser(
        shop.server,
        f"update pg_index set indisready = false where {index}",
        "insert into orders values (5001, 0)",
        f"update pg_index set indisready = true where {index}",
        database=shop.database,
    )


async def flip(server: PostgresServer, database: str, relation: str, offset: int, *, length: int = 1) -> None:
    """Bytes of its file, while the server is down."""
    ((where,),) = await superuser(
        server, "checkpoint", f"select pg_relation_filepath('{relation}'::regclass)", database=database
    )
    await asyncio.to_thread(server.stop)
    _flip(server.scratch.data / str(where), offset, length)
    await asyncio.to_thread(server.start)


async def break_myisam(server: MysqlServer, database: str) -> None:
    """A table `broken` whose rows are in disorder; what is InnoDB's would take the server along."""
    await superuser(
        server,
        "create table broken (id int primary key, v varchar(200)) engine = myisam",
        "insert into broken values " + ", ".join(f"({n}, repeat('x', {n % 150}))" for n in range(1, 400)),
        "flush tables broken",
        database=database,
    )
    _flip(server.data / database / "broken.MYD", 300, 400)


def _flip(path: Path, offset: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        found = file.read(length)
        file.seek(offset)
        file.write(bytes(one ^ 0xFF for one in found))
