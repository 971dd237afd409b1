"""Scenarios of backups, drills and migrations: what lies on the disk, and what is left there."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

import actions
from console.audit.ledger import open_ledger
from console.config import parse
from console.dispatch.action import Approval
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.registry import Registry
from console.engine.open import open_engine
from console.errors import Exit
from console.model.policy import Policy
from tests.crashing.on_maintenance import POSTGRES, Shop, rows_over
from tests.crashing.situation import Fresh, Ground, Made, Scenario, Situation, Truth, of_many, yes
from tests.integration.actions.conftest import superuser, until
from tests.integration.runbooks.backed_up import PASSWORD, TAKER
from tests.servers import places
from tests.servers.accounts import APP
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer

GONE_SECONDS = 20.0


class Depot:
    """A database with a source `nightly`, which a login of its own takes."""

    def __init__(self, server: Server, folder: Path, database: str) -> None:
        self.server = server
        self.folder = folder
        self.backups = folder / "backups"
        self.backups.mkdir()
        self.scratch = Path(tempfile.mkdtemp(prefix="drill-", dir="/tmp"))
        self.scratch.chmod(0o755)
        self.mysql = isinstance(server, MysqlServer)
        logins = {"monitor": dict(TAKER), "operator": dict(TAKER)} if self.mysql else {}
        self.over: dict[str, Any] = {"database": database, **logins}
        method = "mysqldump" if self.mysql else "pg_dump"
        source = {"method": method, "path": str(self.backups), "login": dict(TAKER)}
        rule = {"binaries": self._binaries(), "sources": {"nightly": source}}
        self.beside: dict[str, Any] = {
            "drills": {
                "scratch": str(self.scratch),
                "reports": str(folder / "reports"),
                "targets": {"t": rule},
            }
        }

    def _binaries(self) -> str | None:
        if self.server.name == "mysql":
            return str(places.mysql_tools(self.folder / "programs" / "mysql" / "bin"))
        return None if self.mysql else str(places.postgres_binaries(self.server.name))

    async def take(self, name: str) -> None:
        """By a run of its own, over a ledger of its own."""
        config = {"targets": {"t": self.server.target_dict(**self.over)}, **self.beside}
        here = self.folder / f"before-{name}"
        here.mkdir()
        async with (
            open_ledger(f"sqlite:///{here}/audit.db", here / "journal") as ledger,
            open_engine(parse(yaml.safe_dump(config)).target("t")) as engine,
        ):
            dispatcher = Dispatcher(Registry(actions.ALL), ledger, Policy())
            try:
                plan = await dispatcher.plan("backup.take", engine, {"source": "nightly", "name": name})
                run = await dispatcher.apply(plan, engine, Approval(reason="before"))
            finally:
                await dispatcher.close()
            assert run.exit is Exit.OK, run

    async def nothing_left(self) -> Truth:
        """What ended a dead one's scratch server comes a moment after it."""

        async def empty() -> bool:
            return not list(self.scratch.iterdir())

        try:
            await until(empty, GONE_SECONDS)
        except TimeoutError:
            return "partial"
        return "not_applied"

    def ground(self, fresh: Any) -> Ground:
        return Ground(fresh, over=self.over, beside=self.beside)


@asynccontextmanager
async def depot_on(server: Server, folder: Path) -> Any:
    database = await server.new_database()
    taker = "dbdeck_backup"
    if isinstance(server, MysqlServer):
        there = f"select count(*) from mysql.user where user = '{taker}'"
        if not (await superuser(server, there))[0][0]:
            await superuser(server, f"create user {taker}@'%' identified by '{PASSWORD}'")
        await superuser(server, f"grant all privileges on *.* to {taker}@'%' with grant option")
    else:
        made = f"create role {taker} superuser login; exception when duplicate_object then null"
        await superuser(server, f"do $$ begin {made}; end $$", f"alter role {taker} password '{PASSWORD}'")
    rows = ("create table things (id int primary key, note text)", "insert into things values (1, 'a')")
    await superuser(server, *rows, database=database)
    depot = Depot(server, folder, database)
    try:
        yield depot
    finally:
        shutil.rmtree(depot.scratch, ignore_errors=True)


@asynccontextmanager
async def take(server: Server, folder: Path) -> Made:
    """It is there under its name as a whole, or not at all."""
    async with depot_on(server, folder) as depot:

        @asynccontextmanager
        async def fresh() -> Fresh:
            name = f"b{uuid.uuid4().hex[:8]}"

            async def truth() -> Truth:
                """And what a dead run left of one that is not whole is removed, as the next one says."""
                shutil.rmtree(depot.backups / f".{name}.partial", ignore_errors=True)
                return yes((depot.backups / name).exists())

            yield Situation({"source": "nightly", "name": name}, truth)

        yield depot.ground(fresh)


@asynccontextmanager
async def drill(server: Server, folder: Path) -> Made:
    async with depot_on(server, folder) as depot:
        await depot.take("one")

        @asynccontextmanager
        async def fresh() -> Fresh:
            yield Situation({"source": "nightly", "backup": "one"}, depot.nothing_left)

        yield depot.ground(fresh)


@asynccontextmanager
async def rehearse(server: Server, folder: Path) -> Made:
    async with depot_on(server, folder) as depot:
        await depot.take("one")
        up, down = folder / "up.sql", folder / "down.sql"
        up.write_text("create table made (id int primary key);\n")
        down.write_text("drop table made;\n")

        @asynccontextmanager
        async def fresh() -> Fresh:
            yield Situation({"up": str(up), "down": str(down)}, depot.nothing_left)

        yield depot.ground(fresh)


def apply(*, apart: bool = False) -> Any:
    """Of PostgreSQL one transaction, unless apart; of the others each statement by itself."""

    @asynccontextmanager
    async def ground(server: Server, folder: Path) -> Made:
        shop = Shop(server, await server.new_database())
        over = await rows_over(server, shop.database)
        if not shop.mysql:
            await shop.sql(f"grant create on schema public to {APP}")
        script = folder / "up.sql"
        made = ("first", "second", "third")
        script.write_text("".join(f"create table {one}_made (id int primary key);\n" for one in made))

        @asynccontextmanager
        async def fresh() -> Fresh:
            for one in await tables():
                await shop.sql(f"drop table {one}")

            async def truth() -> Truth:
                return of_many(len(await tables()), len(made))

            yield Situation({"up": str(script), "unrehearsed": True, "apart": apart}, truth)

        async def tables() -> list[str]:
            schema = shop.database if shop.mysql else "public"
            where = f"table_schema = '{schema}' and table_name like '%made'"
            return [
                str(one)
                for (one,) in await shop.sql(
                    f"select table_name from information_schema.tables where {where}"
                )
            ]

        yield Ground(fresh, over=over)

    return ground


SCENARIOS = (
    Scenario("backup.take", take),
    Scenario("backup.drill", drill, few=4, looks=True),
    Scenario("migration.rehearse", rehearse, few=4, looks=True),
    Scenario("migration.apply", apply()),
    Scenario("migration.apply", apply(apart=True), POSTGRES, variant="statement by statement"),
)
