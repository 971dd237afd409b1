"""A table of old and new rows, and a login that may delete them, on every engine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.actions.conftest import superuser
from tests.integration.actions.rotors import FIRST, new_account
from tests.servers.accounts import APP, MAINTAINER, login
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer

OLD, NEW = 2500, 40
_DIGITS = "(select 0 as d " + " ".join(f"union all select {n}" for n in range(1, 10)) + ")"
_NUMBERS = (
    "(select a.d + 10 * b.d + 100 * c.d + 1000 * d.d as n from "
    + ", ".join(f"{_DIGITS} {name}" for name in "abcd")
    + ") x"
)
_MYSQL = (
    "create table events (id int auto_increment primary key, at datetime(6) not null, note text)",
    "create index by_time on events (at)",
    "insert into events (at, note) select now() - interval 90 day + interval n second, 'old' "
    f"from {_NUMBERS} where n < {OLD}",
    f"insert into events (at, note) select now(), 'new' from events limit {NEW}",
)
_POSTGRES = (
    f"set role {APP}",
    "create table events "
    "(id int generated always as identity primary key, at timestamptz not null, note text)",
    "create index by_time on events (at)",
    "insert into events (at, note) select now() - interval '90 days' + n * interval '1 s', 'old' "
    f"from generate_series(1, {OLD}) n",
    f"insert into events (at, note) select now(), 'new' from generate_series(1, {NEW})",
)


async def fill(server: Server, database: str) -> None:
    await superuser(server, *(_MYSQL if isinstance(server, MysqlServer) else _POSTGRES), database=database)


async def rows_logins(server: Server, database: str, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Monitor and operator that may see and delete the rows of a database, as the config has them."""
    if not isinstance(server, MysqlServer):
        return {"operator": login(MAINTAINER), "monitor": login(MAINTAINER)}
    name = await new_account(server, prefix="rows_")
    await superuser(
        server, f"grant process, references on *.* to {name}@'%'", f"grant all on {database}.* to {name}@'%'",
        f"grant select on performance_schema.* to {name}@'%'",
    )  # fmt: skip
    patch.setenv("DBDECK_TEST_ROWS", FIRST.reveal())
    who = {"user": name, "password": "env:DBDECK_TEST_ROWS"}
    return {"operator": dict(who), "monitor": dict(who)}
