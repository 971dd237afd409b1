"""A shop on a MySQL or MariaDB that writes binary logs, backups of it, and what a drill restores of them."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import warnings
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from actions.restorers import RESTORERS
from actions.restoring import Restored, Site
from console.backups.catalogue import catalogue
from console.dispatch.action import Watch
from console.dispatch.enclosure import MYSQL, Enclosure, enclosure
from console.model.backups import Backup, DrillRule, Method, Source
from console.model.drills import Check, Outcome
from tests.servers import accounts, places
from tests.servers.mysql import MysqlServer

LOGGED = {
    "mariadb": ("--log-bin=binlog", "--server-id=7", "--binlog-format=ROW", "--event-scheduler=ON"),
    "mysql": ("--log-bin=binlog", "--server-id=7", "--gtid-mode=ON", "--enforce-gtid-consistency=ON"),
}
# Each kind of object; a view over a function, and keys that point elsewhere.
SHOP = (
    "CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(60) NOT NULL, UNIQUE KEY (name))"
    " CHARACTER SET utf8mb4",
    "CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, customer INT NOT NULL, amount DECIMAL(10,2),"
    " twice DECIMAL(11,2) AS (amount * 2) STORED, note TEXT, at DATETIME(3), KEY (amount),"
    " CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customers (id),"
    " CONSTRAINT positive CHECK (amount >= 0)) CHARACTER SET utf8mb4",
    "CREATE TABLE keyless (v VARCHAR(20), n INT)",
    "INSERT INTO customers (name) VALUES ('Ada'), ('Zoë'), ('名前')",
    "INSERT INTO orders (customer, amount, note, at) VALUES (1, 10, 'first', '2026-01-01'),"
    " (2, 20.5, NULL, '2026-01-02 03:04:05.678'), (3, 0, '', NULL)",
    "INSERT INTO keyless VALUES ('a', 1), ('a', 1), (NULL, 2)",
    "CREATE FUNCTION tax(x DECIMAL(10,2)) RETURNS DECIMAL(10,2) DETERMINISTIC RETURN x * 0.2",
    "CREATE PROCEDURE tidy() DELETE FROM keyless WHERE n < 0",
    "CREATE VIEW large AS SELECT id, amount FROM orders WHERE amount > 15",
    "CREATE TRIGGER noted BEFORE INSERT ON orders FOR EACH ROW SET NEW.note = COALESCE(NEW.note, 'none')",
    "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM keyless WHERE n < -1",
)
VIEW_OVER_FUNCTION = "CREATE VIEW taxed AS SELECT id, tax(amount) AS tax FROM orders"


class Tools(NamedTuple):
    """Programs of one flavour; `binaries` is what a config would say."""

    binaries: str | None
    client: str
    dump: str


class Drilled(NamedTuple):
    site: Site
    enclosure: Enclosure
    restored: Restored | None
    told: list[str]

    @property
    def checks(self) -> list[Check]:
        return self.site.checks

    @property
    def failed(self) -> list[Check]:
        return [one for one in self.checks if one.outcome is Outcome.FAILED]

    async def ask(self, sql: str, database: str = "") -> list[tuple[object, ...]]:
        from actions.mysql_fence import told

        assert self.restored is not None, self.checks
        target = self.restored.target
        return await told(self.enclosure, target, sql)

    async def integrity(self) -> dict[str, Check]:
        assert self.restored is not None, self.checks
        found = await RESTORERS[self.site.backup.method].integrity(self.site, self.enclosure, self.restored)
        return {one.name: one for one in found}


class Shop:
    """The source of the backups, in a database of its own for each test."""

    def __init__(self, server: MysqlServer, tools: Tools, database: str, folder: Path) -> None:
        self.server = server
        self.tools = tools
        self.database = database
        self.folder = folder

    @property
    def mariadb(self) -> bool:
        return self.server.flavor == "mariadb"

    async def run(self, *statements: str) -> list[tuple[Any, ...]]:
        connection = await self.server.connect(database=self.database)
        rows: list[tuple[Any, ...]] = []
        try:
            async with connection.cursor() as cursor:
                for one in statements:
                    with warnings.catch_warnings(action="ignore"):
                        await cursor.execute(one)
                    rows = list(await cursor.fetchall())
        finally:
            connection.close()
        return rows

    def dump(self, *options: str, name: str = "shop.sql", login: Sequence[str] = ("-uroot",)) -> Path:
        """By mysqldump, as the flavour has it. Databases and --all-databases are options."""
        what = options if any(one.startswith(("--databases", "--all")) for one in options) else (
            *options, self.database)  # fmt: skip
        path = self.folder / name
        argv = [self.tools.dump, "--no-defaults", f"--socket={self.server.socket}", *login]
        with path.open("wb") as file:
            subprocess.run(
                [*argv, "--single-transaction", *what], stdout=file, stderr=subprocess.PIPE, check=True
            )
        return path

    def archive(self) -> Path:
        """The binary logs, as an archive has them."""
        folder = self.folder / "logs"
        folder.mkdir(exist_ok=True)
        for one in self.server.data.glob("binlog.0*"):
            shutil.copy(one, folder)
            (folder / one.name).chmod(0o600)
        return folder

    @asynccontextmanager
    async def drill(
        self,
        method: Method,
        name: str = "",
        *,
        to_time: datetime | None = None,
        archive: Path | None = None,
        folder: Path | None = None,
        binaries: str | None = None,
    ) -> AsyncIterator[Drilled]:
        """As a drill does: tools, media, restore."""
        source = Source(
            method=method, path=str(folder or self.folder), archive=str(archive) if archive else None
        )
        rule = DrillRule(sources={"nightly": source}, binaries=binaries or self.tools.binaries, budget="30s")
        site = Site(rule, source, await self.backup(source, name), Watch())
        site.to_time = to_time
        told: list[str] = []

        async def tell(shown: Sequence[str], _: float | None) -> None:
            told.extend(shown)

        restorer = RESTORERS[method]
        site.checks += await restorer.tools(site)
        if any(one.outcome is Outcome.BROKEN for one in site.checks):
            yield Drilled(site, None, None, told)  # type: ignore[arg-type]  # nothing was made
            return
        async with enclosure(MYSQL, Path("/tmp"), tell, closed=True) as made:
            site.checks += await restorer.media(site, made)
            restored = await restorer.restore(site, made)
            yield Drilled(site, made, restored, told)

    async def backup(self, source: Source, name: str = "") -> Backup:
        found = await catalogue(DrillRule(sources={"nightly": source}))
        assert not found.problems
        backup = found.find("nightly", name) if name else found.newest()
        assert backup is not None, [one.id for one in found.backups]
        return backup


@pytest.fixture(scope="session")
def shop_server(mysql_name: str) -> Iterator[MysqlServer]:
    accounts.publish()
    made = MysqlServer("mariadb" if mysql_name == "mariadb" else "mysql", LOGGED[mysql_name])
    yield made
    made.close()


@pytest.fixture(scope="session")
def tools(mysql_name: str, tmp_path_factory: pytest.TempPathFactory) -> Tools:
    if mysql_name == "mariadb":
        return Tools(None, "/usr/bin/mariadb", "/usr/bin/mariadb-dump")
    folder = places.mysql_tools(tmp_path_factory.mktemp("programs") / "mysql" / "bin")
    return Tools(str(folder), str(folder / "mysql"), str(folder / "mysqldump"))


@pytest.fixture
async def shop(shop_server: MysqlServer, tools: Tools, tmp_path: Path) -> AsyncIterator[Shop]:
    await places.fence()
    made = Shop(shop_server, tools, await shop_server.new_database(), tmp_path)
    await made.run(*SHOP)
    yield made
    await made.run(f"DROP DATABASE {made.database}")


async def after_a_second() -> None:
    """Binary logs tell whole seconds."""
    await asyncio.sleep(1.2)
