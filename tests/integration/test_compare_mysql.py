"""`audit compare` on MySQL and MariaDB: what dbdeck did is declared, and the same by hand is listed, once."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from pymysql.err import MySQLError

from console.model.effects import Standing
from console.model.target import Target
from tests.integration.actions.conftest import superuser
from tests.integration.comparing import Bench, bench_on, keep, names, undeclared
from tests.servers.mysql import MysqlServer
from tests.targets import target_of

DECK, WORD = "dbdeck_deck", "d3ck-Passw0rd"
FIRST = "f1rst-Passw0rd"


class Place:
    """A database and accounts of one test."""

    def __init__(self, server: MysqlServer) -> None:
        self.server = server
        self.mariadb = server.flavor == "mariadb"
        mark = uuid4().hex[:6]
        self.database = f"dbdeck_cmp_{mark}"
        self.app, self.leaver, self.locked = f"app_{mark}", f"leaver_{mark}", f"locked_{mark}"
        self.readers, self.spy = f"readers_{mark}", f"spy_{mark}"

    async def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        return await superuser(self.server, *statements)

    async def make(self) -> None:
        await self.sql(
            f"create database {self.database}",
            f"create table {self.database}.orders (id int primary key, n int, note varchar(40))",
            f"create index orders_n on {self.database}.orders (n)",
            *(
                f"create user {one}@'%' identified by '{FIRST}'"
                for one in (self.app, self.leaver, self.locked)
            ),
            f"create role {self.readers}",
            f"grant {self.readers} to {self.leaver}@'%'",
            f"create user {DECK}@'%' identified by '{WORD}'",
            f"grant all on *.* to {DECK}@'%' with grant option",
            *([f"grant {self.readers} to {DECK}@'%' with admin option"] if self.mariadb else []),
            *(["set global log_warnings = 4"] if self.mariadb else []),
        )

    async def clear(self) -> None:
        await self.sql(
            f"drop database if exists {self.database}",
            *(
                f"drop user if exists {one}@'%'"
                for one in (self.app, self.leaver, self.locked, self.spy, DECK)
            ),
            f"drop role if exists {self.readers}",
            "set global max_connect_errors = default",
            "set global long_query_time = default",
            "set global binlog_cache_size = default",
            *(["reset persist"] if not self.mariadb else ["set global log_warnings = default"]),
        )

    def target(self) -> Target:
        def login() -> dict[str, str]:
            return {"user": DECK, "password": "env:DBDECK_TEST_DECK"}

        return target_of(self.server, monitor=login(), operator=login(), log=str(self.server.log))


@pytest_asyncio.fixture
async def place(mysql: MysqlServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setenv("DBDECK_TEST_DECK", WORD)
    made = Place(mysql)
    await made.make()
    try:
        yield made
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MySQL warns of what is not there
            await made.clear()


@pytest_asyncio.fixture
async def bench(place: Place, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench_on(place.target(), tmp_path) as made:
        await keep(made, place.app, FIRST)
        yield made


async def test_nothing_that_dbdeck_did_is_undeclared(bench: Bench, place: Place, tmp_path: Path) -> None:
    assert (await bench.compare()).since is None
    table = f"{place.database}.orders"
    await bench.run("setting.set", name="max_connect_errors", value="77", scope="server")
    await bench.run("setting.set", name="long_query_time", value="5", scope="server")
    await bench.run("setting.reset", name="long_query_time", scope="server")
    if not place.mariadb:
        await bench.run("setting.set", name="max_connections", value="155", scope="server", persist=True)
        await bench.run("setting.reset", name="max_connections", scope="server", persist=True)
        await bench.run("setting.set", name="binlog_cache_size", value="65536", scope="server", persist=True)
    await bench.run("index.create", table=table, column=["note"], name="orders_note")
    await bench.run("table.optimize", table=table)
    await bench.run("table.analyze", table=table)
    await bench.run("credential.rotate", account=place.app)
    await bench.run("credential.lock", account=place.locked)
    await bench.run("account.revoke", account=place.leaver)
    script = tmp_path / "up.sql"
    script.write_text(
        f"create table {place.database}.made (id int primary key, n int);\n"
        f"create index made_n on {place.database}.made (n);"
    )
    await bench.run("migration.apply", up=str(script), unrehearsed=True)
    client = await place.server.connect()
    await bench.run("session.terminate", **await bench.key(client.thread_id()))
    await asyncio.sleep(0.3)
    client.close()
    found = await bench.compare()
    assert names(undeclared(found)) == []
    assert names(found.of(Standing.UNCLEAR)) == []
    declared = {(one.kind, one.name): one.action for one in found.of(Standing.DECLARED)}
    assert declared["server setting", "max_connect_errors"] == "setting.set"
    assert declared["password", f"{place.app}@%"] == "credential.rotate"
    assert declared["user", f"{place.locked}@%"] == "credential.lock"
    assert declared["index", f"{place.database}.orders.orders_note"] == "index.create"
    if place.mariadb:
        assert "session.terminate" in declared.values()
    else:
        assert "MySQL writes nothing of a KILL" in found.unseen["log"]
    assert (await bench.compare()).findings == ()


async def test_the_same_by_hand_is_listed_each_once(bench: Bench, place: Place) -> None:
    await bench.run("credential.rotate", account=place.app)
    await bench.compare()
    client = await place.server.connect()
    number = client.thread_id()
    await place.sql(
        f"create user {place.spy}@'%' identified by 'secret-w0rd'",
        f"grant all on *.* to {place.spy}@'%'",
        f"alter user {place.locked}@'%' account lock",
        f"alter user {place.app}@'%' identified by 'an0ther-Word'",
        f"revoke {place.readers} from {place.leaver}@'%'",
        f"grant select on {place.database}.* to {place.leaver}@'%'",
        "set global max_connect_errors = 88",
        f"create index by_hand on {place.database}.orders (note)",
        f"drop index orders_n on {place.database}.orders",
        f"kill {number}",
        *([] if place.mariadb else ["set persist binlog_cache_size = 65536"]),
    )
    await asyncio.sleep(0.5)
    client.close()
    found = await bench.compare()
    role = f"`{place.readers}`" if place.mariadb else f"`{place.readers}`@`%`"
    expected = [
        ("grant", f"privileges on `{place.database}`.* to {place.leaver}@%", "made"),
        ("index", f"{place.database}.orders.by_hand", "made"),
        ("index", f"{place.database}.orders.orders_n", "dropped"),
        ("password", f"{place.app}@%", "changed"),
        ("server setting", "max_connect_errors", "changed"),
        ("user", f"{place.locked}@%", "changed"),
        ("user", f"{place.spy}@%", "made"),
    ]
    told = [one for one in names(undeclared(found)) if one[1] != f"{role} to {place.leaver}@%"]
    assert ("grant", f"{role} to {place.leaver}@%", "dropped") in names(undeclared(found)) or [
        one for one in names(undeclared(found)) if place.readers in one[1]
    ]
    more = (
        [("session", f"{number} (user root)", "ended")]
        if place.mariadb
        else [
            ("persisted setting", "binlog_cache_size", "made"),
            ("server setting", "binlog_cache_size", "changed"),
        ]
    )
    assert told == sorted(expected + more)
    if not place.mariadb:
        [one] = [one for one in found.findings if one.name == "max_connect_errors"]
        assert one.who == "root@localhost"
        assert one.at is not None
    for secret in ("secret-w0rd", "an0ther-Word"):
        assert all(secret not in (one.body or "") for one in await bench.ledger.entries())
    with contextlib.suppress(MySQLError):
        client.close()
    assert (await bench.compare()).findings == ()
