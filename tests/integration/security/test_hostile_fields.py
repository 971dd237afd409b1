"""Nothing that a person or a script writes into any field of any action becomes SQL of its own.

The operator is a superuser here: what got through would be executed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import pytest_asyncio

import actions
from console.dispatch.action import Action
from console.engine.queries import quote_ident
from console.errors import DbdeckError
from tests.integration.actions.conftest import Desk, desk_on
from tests.running import on
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer

MADE = "create table injected (i int)"
PAYLOADS = (
    f'x"; {MADE}; --',
    f"x'; {MADE}; -- ",
    f"x\\'; {MADE}; -- ",
    f"x`; {MADE}; -- ",
    f"x$$); {MADE}; --$$",
    f"1\n; /*!50000 {MADE} */",
    "' or '1'='1",
    "%s %(a)s %% $1 {0} :x @x",
    "x\0y",
    "\x1b[31m\u202e\u2066",
    "\ud800",
    "x" * 5000,
)
ONCE = {"lock_timeout", "wait", "budget", "max_lag", "pause"}  # the same everywhere: tried with one action
KEY = {"id": 1, "started_at": "2026-01-01T00:00:00+00:00"}


class Place(NamedTuple):
    """A database with a table of three rows, its parent, and an account that may log in."""

    desk: Desk
    database: str
    script: Path

    @property
    def mysql(self) -> bool:
        return self.desk.mysql

    @property
    def schema(self) -> str:
        return self.database if self.mysql else "public"

    def given(self, action: Action[Any]) -> dict[str, Any]:
        """What the action takes, so that one hostile field is the only thing that is wrong."""
        things, account = f"{self.schema}.things", "hostile_victim@%" if self.mysql else "hostile_victim"
        family, _, _ = action.name.partition(".")
        by_name: dict[str, dict[str, Any]] = {
            "session.cancel": KEY,
            "session.terminate": KEY,
            "session.terminate_idle": {"older_than": "1h"},
            "chain.break": KEY,
            "transaction.rollback_prepared": {"gid": "no such gid"},
            "slot.drop": {"name": "no_such_slot"},
            "binlog.purge": {"keep": "30d"},
            "index.reindex": {"table": things},
            "index.create": {"table": things, "column": "n"},
            "index.drop_invalid": {"index": f"{self.schema}.no_such_index"},
            "rows.purge": {"table": things, "column": "at", "older_than": "9000d"},
            "rows.sweep_orphans": {
                "table": things,
                "column": "n",
                "parent": f"{self.schema}.parents",
                "parent_column": "id",
            },
            "setting.set": {"name": "sort_buffer_size" if self.mysql else "work_mem", "value": "1048576"},
            "setting.reset": {"name": "sort_buffer_size" if self.mysql else "work_mem"},
            "backup.take": {"source": "nightly"},
            "migration.rehearse": {"up": str(self.script)},
            "migration.apply": {"up": str(self.script)},
        }
        by_family = {
            "table": {"table": things},
            "credential": {"account": account},
            "account": {"account": account},
        }
        return by_name.get(action.name, by_family.get(family, {}))

    async def harm(self) -> list[str]:
        """What is not as it was."""
        if self.mysql:
            injected = "select table_schema from information_schema.tables where table_name = 'injected'"
            rights = "select user from mysql.user where user = 'hostile_victim' and select_priv = 'Y'"
        else:
            injected = "select relnamespace::regnamespace::text from pg_class where relname = 'injected'"
            rights = "select rolname from pg_roles where rolname = 'hostile_victim' and rolsuper"
        run = self.desk.as_superuser
        found = [f"injected in {one[0]}" for one in await run(injected, database=self.database)]
        found += [f"{one[0]} has rights" for one in await run(rights, database=self.database)]
        ((rows,),) = await run(f"select count(*) from {self.schema}.things", database=self.database)
        return found if rows == 3 else [*found, f"things has {rows} rows"]


@pytest_asyncio.fixture
async def place(any_server: Server, tmp_path: Path) -> AsyncIterator[Place]:
    database = await any_server.new_database()
    login = {"user": any_server.superuser}
    over: dict[str, Any] = {"database": database, "host": any_server.host, "tls": "off"}
    if isinstance(any_server, MysqlServer):
        over["host"] = str(any_server.socket)
    over |= {"monitor": dict(login), "operator": dict(login)}
    script = tmp_path / "up.sql"
    script.write_text("create table one (i int);")
    async with desk_on(any_server, tmp_path, **over) as desk:
        made = Place(desk, database, script)
        for_key = "int primary key"
        await desk.as_superuser(
            f"create table parents (id {for_key})",
            f"create table things (id {for_key}, n int, at timestamp null)",
            "insert into parents values (1), (2)",
            "insert into things values (1, 1, now()), (2, 2, now()), (3, 2, now())",
            "create user hostile_victim" + ("@'%' identified by 'x-Y-9-zzzzzz'" if made.mysql else ""),
            database=database,
        )
        yield made
        await desk.as_superuser(
            "drop user hostile_victim" + ("@'%'" if made.mysql else ""), database=database
        )


def texts(action: Action[Any]) -> Iterator[str]:
    """The arguments that take words."""
    for one in msgspec.structs.fields(action.Args):
        if "str" in str(one.type) and (action.name == "table.analyze" or one.encode_name not in ONCE):
            yield one.encode_name


async def tried(place: Place, action: Action[Any], field: str, payload: str) -> str:
    """What came out that is no answer for a person; empty where all is well."""
    given = {**place.given(action), field: payload}
    try:
        plan = await place.desk.plan(action.name, **given)
        # A search path is the operator's own word, and the script is run under it: it is only planned.
        if action.name != "migration.apply":
            await place.desk.apply(plan)
    except DbdeckError as error:
        return "" if error.message else "an error without words"
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return f"{action.name} {field}={payload[:40]!r}: {type(error).__name__}: {error}"
    return ""


@on("pg18", "mysql", "mariadb")
@pytest.mark.timeout(400)
async def test_a_hostile_value_in_any_field_of_any_action_is_a_value(place: Place) -> None:
    wrong = []
    for action in actions.ALL:
        for field in texts(action):
            wrong += [await tried(place, action, field, payload) for payload in PAYLOADS]
            if harm := await place.harm():
                wrong.append(f"{action.name} {field}: {harm}")
    assert [one for one in wrong if one] == []
    found = await place.desk.ledger.verify()
    assert found.faults == ()


HOSTILE_NAMES = (
    'a"b', "a'b", "a`b", "a;b--", "A B.c", "Ä\u202e", "\x1b[31m", "select", "%s$1{x}", "a\\b", "x\ny",
    '[red]"B"."C"[/]',
)  # fmt: skip


@on("pg18", "mysql", "mariadb")
async def test_an_object_with_a_hostile_name_is_that_object(place: Place) -> None:
    for number, word in enumerate(HOSTILE_NAMES):
        await worked_on(place, word, number)


async def worked_on(place: Place, word: str, number: int) -> None:
    """Table, index and column are called so."""
    run = place.desk.as_superuser
    flavor = "mysql" if place.mysql else "postgresql"
    quoted, size = quote_ident(word, flavor), "(20)" if place.mysql else ""
    await run(
        f"create table {quoted} (id int primary key, {quoted} varchar{size or '(20)'})",
        f"insert into {quoted} values (1, 'a'), (2, 'b')",
        f"create index {quote_ident('i' + word, flavor)} on {quoted} ({quoted})",
        database=place.database,
    )
    table = f"{quote_ident(place.schema, flavor)}.{quoted}"
    analyzed = await place.desk.run("table.analyze", table=table)
    assert (analyzed.effect, analyzed.error) == ("applied", None)
    if not place.mysql:
        vacuumed = await place.desk.run("table.vacuum", table=table)
        assert (vacuumed.effect, vacuumed.error) == ("applied", None)
        rebuilt = await place.desk.run("index.reindex", table=table)
        assert (rebuilt.effect, rebuilt.error) == ("applied", None)
    made = await place.desk.run("index.create", table=table, column=[word, "id"], name=f"made_{number}")
    assert (made.effect, made.error) == ("applied", None)
    assert await columns_of(place, word) == {word, "id"}
    assert await place.harm() == []


async def columns_of(place: Place, table: str) -> set[str]:
    if place.mysql:
        sql = (
            "select column_name, table_name from information_schema.statistics"
            " where index_name like 'made\\_%'"
        )
    else:
        sql = (
            "select a.attname, t.relname from pg_index i join pg_class c on c.oid = i.indexrelid"
            " join pg_class t on t.oid = i.indrelid"
            " join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)"
            " where c.relname like 'made\\_%'"
        )
    rows = await place.desk.as_superuser(sql, database=place.database)
    return {str(column) for column, name in rows if name == table}
