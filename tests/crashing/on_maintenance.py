"""Scenarios of tables, indexes, rows, settings, slots and logs."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.crashing.situation import Fresh, Ground, Made, Scenario, Situation, Truth, of_many, yes
from tests.integration.actions.attics import OLD, fill
from tests.integration.actions.conftest import superuser
from tests.integration.actions.rotors import FIRST
from tests.servers import accounts
from tests.servers.accounts import APP, MAINTAINER, login
from tests.servers.fleet import Server
from tests.servers.logged import logged_server, names, write_files
from tests.servers.mysql import MysqlServer

POSTGRES, MYSQLS = ("postgresql",), ("mysql", "mariadb")
TABLES = ("orders", "parts")
Count = Callable[[], Awaitable[int]]


class Shop:
    """A database with two tables, and whoever may do everything."""

    def __init__(self, server: Server, database: str) -> None:
        self.server = server
        self.database = database
        self.mysql = isinstance(server, MysqlServer)

    async def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        return await superuser(self.server, *statements, database=self.database)

    async def one(self, statement: str) -> Any:
        return (await self.sql(statement))[0][0]

    def named(self, table: str) -> str:
        return f"{self.database}.{table}" if self.mysql else f"public.{table}"

    @property
    def over(self) -> dict[str, Any]:
        return {"database": self.database, "operator": login(MAINTAINER)}


async def shop_on(server: Server) -> Shop:
    shop = Shop(server, await server.new_database())
    if shop.mysql:
        for table in TABLES:
            await shop.sql(
                f"create table {table} (id int primary key, n int not null) stats_auto_recalc=0",
                f"insert into {table} values (1, 1), (2, 2), (3, 3)",
            )
        return shop
    for table in TABLES:
        await shop.sql(
            f"set role {APP}",
            f"create table {table} (id int primary key, n int not null)",
            f"insert into {table} select n, 0 from generate_series(1, 30) n",
        )
    return shop


async def analyzed(shop: Shop) -> int:
    """Tables whose statistics are newer than the old date that a situation begins with."""
    if shop.mysql:
        return int(
            await shop.one(
                "select count(*) from mysql.innodb_table_stats where last_update > '2001-01-01'"
                f" and database_name = '{shop.database}' and table_name in {TABLES}"
            )
        )
    counted = f"analyze_count > 0 and relname in {TABLES}"
    return int(await shop.one(f"select count(*) from pg_stat_user_tables where {counted}"))


async def vacuumed(shop: Shop) -> int:
    where = f"vacuum_count > 0 and relname in {TABLES}"
    return int(await shop.one(f"select count(*) from pg_stat_user_tables where {where}"))


async def forget(shop: Shop) -> None:
    """As if neither had ever been done."""
    if shop.mysql:
        old = "update mysql.innodb_table_stats set last_update = '2000-01-01 00:00:00'"
        await shop.sql(f"{old} where database_name = '{shop.database}'", "flush tables")
    else:
        await shop.sql("select pg_stat_reset()")


def on_tables(count: Callable[[Shop], Awaitable[int]], **args: Any) -> Any:
    @asynccontextmanager
    async def ground(server: Server, _: Path) -> Made:
        shop = await shop_on(server)

        @asynccontextmanager
        async def fresh() -> Fresh:
            await forget(shop)

            async def truth() -> Truth:
                return of_many(await count(shop), len(TABLES))

            yield Situation({"table": [shop.named(one) for one in TABLES], **args}, truth)

        yield Ground(fresh, over=shop.over)

    return ground


@asynccontextmanager
async def optimize(server: Server, _: Path) -> Made:
    """A table that was rebuilt has another number in InnoDB."""
    shop = await shop_on(server)
    where = "innodb_tables" if server.name == "mysql" else "innodb_sys_tables"

    async def numbers() -> set[int]:
        like = f"name like '{shop.database}/%'"
        return {
            int(one)
            for (one,) in await shop.sql(f"select table_id from information_schema.{where} where {like}")
        }

    @asynccontextmanager
    async def fresh() -> Fresh:
        before = await numbers()

        async def truth() -> Truth:
            return of_many(len(before - await numbers()), len(TABLES))

        yield Situation({"table": [shop.named(one) for one in TABLES]}, truth)

    yield Ground(fresh, over=shop.over)


@asynccontextmanager
async def check(server: Server, _: Path) -> Made:
    """It changes nothing: what was seen is in its outcome or nowhere."""
    shop = await shop_on(server)
    if not shop.mysql:
        await shop.sql(
            "create extension amcheck",
            f"grant execute on all functions in schema public to {MAINTAINER}",
        )

    @asynccontextmanager
    async def fresh() -> Fresh:
        async def truth() -> Truth:
            return "not_applied"

        yield Situation({"table": [shop.named(one) for one in TABLES]}, truth)

    yield Ground(fresh, over=shop.over)


@asynccontextmanager
async def maintain(server: Server, _: Path) -> Made:
    shop = await shop_on(server)

    @asynccontextmanager
    async def fresh() -> Fresh:
        await forget(shop)

        async def truth() -> Truth:
            return of_many(await analyzed(shop), len(TABLES))

        yield Situation({"step": [f"analyze {shop.named(one)}" for one in TABLES]}, truth)

    yield Ground(fresh, over=shop.over)


@asynccontextmanager
async def create_index(server: Server, _: Path) -> Made:
    shop = await shop_on(server)
    drop = "drop index by_n on orders" if shop.mysql else "drop index if exists by_n"

    async def made() -> bool:
        if shop.mysql:
            where = f"table_schema = '{shop.database}' and index_name = 'by_n'"
            return bool(await shop.one(f"select count(*) from information_schema.statistics where {where}"))
        found = "from pg_index where indexrelid = to_regclass('by_n') and indisvalid"
        return bool(await shop.one(f"select count(*) {found}"))

    @asynccontextmanager
    async def fresh() -> Fresh:
        async def truth() -> Truth:
            return yes(await made())

        yield Situation({"table": shop.named("orders"), "column": "n", "name": "by_n"}, truth)
        if await made() or not shop.mysql:
            await shop.sql(drop)

    yield Ground(fresh, over=shop.over)


@asynccontextmanager
async def reindex(server: Server, _: Path) -> Made:
    shop = await shop_on(server)
    indexes = tuple(f"{one}_pkey" for one in TABLES)

    async def files() -> set[tuple[Any, ...]]:
        valid = f"relname in {indexes} and indisvalid"
        rows = await shop.sql(
            f"select oid, relfilenode from pg_class join pg_index on indexrelid = oid where {valid}"
        )
        return set(rows)

    @asynccontextmanager
    async def fresh() -> Fresh:
        before = await files()

        async def truth() -> Truth:
            return of_many(len(await files() - before), len(indexes))

        yield Situation({"index": [f"public.{one}" for one in indexes]}, truth)

    yield Ground(fresh, over=shop.over)


@asynccontextmanager
async def drop_invalid(server: Server, _: Path) -> Made:
    shop = await shop_on(server)

    async def there() -> int:
        return int(await shop.one("select count(*) from pg_class where relname in ('broken1', 'broken2')"))

    @asynccontextmanager
    async def fresh() -> Fresh:
        for number, table in enumerate(TABLES, start=1):
            await shop.sql(
                f"drop index if exists broken{number}",
                f"set role {APP}",
                f"create index broken{number} on {table} (n)",
                "reset role",
                f"update pg_index set indisvalid = false where indexrelid = 'broken{number}'::regclass",
            )

        async def truth() -> Truth:
            return of_many(2 - await there(), 2)

        yield Situation({"index": ["public.broken1", "public.broken2"]}, truth)

    yield Ground(fresh, over=shop.over)


# ---- rows ----------------------------------------------------------------------------------------


async def rows_over(server: Server, database: str) -> dict[str, Any]:
    """A login that may see and delete the rows of this database."""
    if not isinstance(server, MysqlServer):
        return {"database": database, "operator": login(MAINTAINER), "monitor": login(MAINTAINER)}
    name = f"rows_{uuid.uuid4().hex[:8]}"
    await superuser(
        server, f"create user {name}@'%' identified by '{FIRST.reveal()}'",
        f"grant process, references on *.* to {name}@'%'", f"grant all on {database}.* to {name}@'%'",
        f"grant select on performance_schema.* to {name}@'%'",
    )  # fmt: skip
    who = {"user": name, "password": "env:DBDECK_TEST_ROWS"}
    return {"database": database, "operator": dict(who), "monitor": dict(who)}


@asynccontextmanager
async def purge(server: Server, _: Path) -> Made:
    shop = Shop(server, await server.new_database())

    @asynccontextmanager
    async def fresh() -> Fresh:
        await fill(server, shop.database)

        async def truth() -> Truth:
            left = int(await shop.one("select count(*) from events where note = 'old'"))
            return "applied" if not left else "not_applied" if left == OLD else "partial"

        yield Situation(
            {"table": "events", "column": "at", "older_than": "30d", "batch": 1000, "pause": "1ms"}, truth
        )
        await shop.sql("drop table events")

    yield Ground(fresh, over=await rows_over(server, shop.database))


@asynccontextmanager
async def sweep(server: Server, _: Path) -> Made:
    """Archived in the same transaction: a row is in one of the two tables, never in both or in neither."""
    shop = Shop(server, await server.new_database())
    role = () if shop.mysql else (f"set role {APP}",)
    await shop.sql(
        *role, "create table parents (id int primary key)", "insert into parents values (1), (2)",
        "create table children (id int primary key, parent_id int, note varchar(20))",
        "create table attic (id int primary key, parent_id int, note varchar(20))",
    )  # fmt: skip
    orphans = {"table": "children", "column": "parent_id", "parent": "parents", "parent_column": "id"}

    @asynccontextmanager
    async def fresh() -> Fresh:
        await shop.sql(
            *role, "delete from children", "delete from attic",
            "insert into children values (1,1,'a'), (2,2,'b'), (3,7,'lost'), (4,8,'lost'), (5,9,'lost')",
        )  # fmt: skip

        async def truth() -> Truth:
            lost = int(await shop.one("select count(*) from children where note = 'lost'"))
            kept = int(await shop.one("select count(*) from attic"))
            assert lost + kept == 3, "a row was lost, or is there twice"
            return of_many(kept, 3)

        yield Situation({**orphans, "archive": "attic", "batch": 2, "pause": "1ms"}, truth)

    yield Ground(fresh, over=await rows_over(server, shop.database))


# ---- settings -------------------------------------------------------------------------------------

_RIGHT = {"mysql": "SYSTEM_VARIABLES_ADMIN", "mariadb": "SUPER"}


@asynccontextmanager
async def operator_of_settings(server: Server) -> Any:
    if isinstance(server, MysqlServer):
        right = f"{_RIGHT[server.flavor]} on *.*"
        await superuser(server, f"grant {right} to {accounts.OPERATOR}@'%'")
        yield
        await superuser(
            server, f"revoke {right} from {accounts.OPERATOR}@'%'",
            "set global lock_wait_timeout = default",
        )  # fmt: skip
        return
    new = server.major >= 16
    await superuser(
        server,
        f"alter role {accounts.OPERATOR} createrole",
        *([f"grant {APP} to {accounts.OPERATOR} with admin option"] if new else []),
    )
    yield
    await superuser(
        server,
        f"alter role {APP} reset all",
        *([f"revoke {APP} from {accounts.OPERATOR}"] if new else []),
        f"alter role {accounts.OPERATOR} nocreaterole",
    )


async def setting(server: Server) -> str:
    if isinstance(server, MysqlServer):
        return str((await superuser(server, "select @@global.lock_wait_timeout"))[0][0])
    rows = await superuser(
        server,
        "select unnest(setconfig) from pg_db_role_setting s join pg_roles r on r.oid = setrole"
        f" where rolname = '{APP}' and setdatabase = 0",
    )
    return next((str(one).partition("=")[2] for (one,) in rows if str(one).startswith("work_mem=")), "")


async def put_setting(server: Server, value: str) -> None:
    if isinstance(server, MysqlServer):
        await superuser(server, f"set global lock_wait_timeout = {value}")
    else:
        await superuser(server, f"alter role {APP} set work_mem = '{value}'")


@asynccontextmanager
async def held_role(server: Server) -> Any:
    """Another's open transaction on the settings of the role: ours waits for it. Gives what ends it."""
    assert not isinstance(server, MysqlServer)
    other = await server.connect()
    transaction = other.transaction()
    await transaction.start()
    await other.execute(f"select from pg_authid where rolname = '{APP}' for update")
    await other.execute(f"alter role {APP} set statement_timeout = 0")

    async def release() -> None:
        if not other.is_closed():
            await transaction.rollback()
            await other.close()

    try:
        yield release
    finally:
        await release()


def change(*, back: bool, held: bool = False) -> Any:
    @asynccontextmanager
    async def ground(server: Server, _: Path) -> Made:
        mysql = isinstance(server, MysqlServer)
        old, new = ("70", "71") if mysql else ("4MB", "5MB")
        aim = new if not back else "86400" if mysql else ""
        where = {"name": "lock_wait_timeout"} if mysql else {"name": "work_mem", "role": APP}
        if mysql and back:
            aim = str((await superuser(server, "select @@global.lock_wait_timeout"))[0][0])

        async def truth() -> Truth:
            return yes(await setting(server) == aim)

        async with operator_of_settings(server):

            @asynccontextmanager
            async def fresh() -> Fresh:
                await put_setting(server, old)
                args = where if back else {**where, "value": new}
                if not held:
                    yield Situation(args, truth)
                    return
                async with held_role(server) as release:
                    yield Situation(args, truth, release)

            yield Ground(fresh)

    return ground


# ---- slots and logs -------------------------------------------------------------------------------


@asynccontextmanager
async def drop_slot(server: Server, _: Path) -> Made:
    await superuser(server, f"alter role {accounts.OPERATOR} replication")

    @asynccontextmanager
    async def fresh() -> Fresh:
        name = f"slot_{uuid.uuid4().hex[:8]}"
        await superuser(server, f"select pg_create_physical_replication_slot('{name}', true)")
        where = f"from pg_replication_slots where slot_name = '{name}'"

        async def truth() -> Truth:
            return yes((await superuser(server, f"select count(*) {where}"))[0][0] == 0)

        yield Situation({"name": name}, truth)
        await superuser(server, f"select pg_drop_replication_slot(slot_name) {where}")

    yield Ground(fresh)
    await superuser(server, f"alter role {accounts.OPERATOR} noreplication")


@asynccontextmanager
async def purge_logs(server: Server, _: Path) -> Made:
    """On a server of its own, which writes a binary log."""
    made = logged_server("mariadb" if server.name == "mariadb" else "mysql")

    @asynccontextmanager
    async def fresh() -> Fresh:
        first, *_, last = write_files(made, 2)

        async def truth() -> Truth:
            return yes(first not in names(made))

        yield Situation({"to": last, "replicas": 0}, truth)

    try:
        yield Ground(fresh, server=made)
    finally:
        made.close()


SCENARIOS = (
    Scenario("table.vacuum", on_tables(vacuumed), POSTGRES),
    Scenario("table.analyze", on_tables(analyzed)),
    Scenario("table.optimize", optimize, MYSQLS),
    Scenario("table.check", check, looks=True),
    Scenario("index.reindex", reindex, POSTGRES),
    Scenario("index.create", create_index),
    Scenario("index.drop_invalid", drop_invalid, POSTGRES),
    Scenario("database.maintain", maintain),
    Scenario("rows.purge", purge),
    Scenario("rows.sweep_orphans", sweep),
    Scenario("setting.set", change(back=False)),
    Scenario("setting.set", change(back=False, held=True), POSTGRES, variant="held up"),
    Scenario("setting.reset", change(back=True)),
    Scenario("slot.drop", drop_slot, POSTGRES),
    Scenario("binlog.purge", purge_logs, MYSQLS),
)
