"""`migration.rehearse` from the command to the outcome, on dumps of a real server."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from tests.command import Command, Done
from tests.integration.postgres.kitchen import fill, tool
from tests.servers import places
from tests.servers.postgres import PostgresServer

SHOP = (
    "create table customers (id int generated always as identity primary key, mail text unique)",
    "create table orders (id serial primary key, customer_id int references customers, note text)",
    "create view recent as select id, note from orders",
    "insert into customers (mail) select 'm' || g from generate_series(1, 1000) g",
    "insert into orders (customer_id, note) select 1 + g % 1000, 'n' || g from generate_series(1, 50000) g",
)


class Shop:
    def __init__(self, server: PostgresServer, database: str, folder: Path) -> None:
        self.server = server
        self.database = database
        self.folder = folder
        self.scratch = Path(tempfile.mkdtemp(prefix="drill-", dir="/tmp"))
        self.scratch.chmod(0o755)
        self.backups = folder / "backups"
        self.backups.mkdir()
        self.command = Command(folder, {"shop": server.target_dict(database=database)})
        values = yaml.safe_load(self.command.config.read_text())
        values["drills"] = {
            "scratch": str(self.scratch),
            "reports": str(folder / "reports"),
            "targets": {
                "shop": {
                    "binaries": str(places.postgres_binaries(server.name)),
                    "sources": {"nightly": {"method": "pg_dump", "path": str(self.backups)}},
                }
            },
        }
        self.command.write(values)

    async def dump(self) -> None:
        await fill(self.server, self.database, SHOP)
        await tool(self.server, "pg_dump", "-Fc", "-d", self.database, "-f", str(self.backups / "shop.dump"))
        await tool(self.server, "pg_dumpall", "--globals-only", "-f", str(self.backups / "shop.globals.sql"))

    def script(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return str(path)

    async def rehearse(self, up: str, down: str = "", *words: str) -> Done:
        given = [f"up={self.script('up.sql', up)}"]
        given += [f"down={self.script('down.sql', down)}"] if down else []
        return await self.command.run(
            *("apply", "migration.rehearse", "-t", "shop", *given, *words),
            *("--yes", "--reason", "a test", "--json"),
        )

    def report(self) -> dict[str, Any]:
        (path,) = (self.folder / "reports" / "shop" / "migrations").glob("*.json")
        found: dict[str, Any] = json.loads(path.read_text())
        return found


@pytest_asyncio.fixture
async def shop(postgres18: PostgresServer, tmp_path: Path) -> AsyncIterator[Shop]:
    await places.fence()
    made = Shop(postgres18, await postgres18.new_database(), tmp_path)
    await made.dump()
    yield made
    left = list(await asyncio.to_thread(lambda: list(made.scratch.iterdir())))
    assert left == []
    shutil.rmtree(made.scratch)


def kept(done: Done) -> dict[str, Any]:
    found: dict[str, Any] = done.document["verify"]["evidence"]["rehearsal"]
    return found


UP = """
alter table orders add column total numeric not null default 0;
create index orders_by_note on orders (note);
alter table customers alter column mail type varchar;
"""
DOWN = """
alter table customers alter column mail type text;
drop index orders_by_note;
alter table orders drop column total;
"""


async def test_a_migration_that_leads_back_passes_with_its_locks_and_changes(shop: Shop) -> None:
    done = await shop.rehearse(UP, DOWN)
    assert done.code == 0, done.err
    report = shop.report()
    assert report["verdict"] == "pass"
    locks = {one["relation"]: one for one in report["up"]["locks"]}
    assert report["up"]["one_transaction"]
    assert locks["public.orders"]["mode"] == "AccessExclusiveLock"
    assert locks["public.orders"]["keeps"] == "reads and writes"
    assert locks["public.customers"]["mode"] == "AccessExclusiveLock"
    assert "public.orders_by_note" not in locks
    assert report["up"]["changed"]["more"] == [["index", "public.orders_by_note"]]
    assert ["table", "public.orders"] in report["up"]["changed"]["changed"]
    assert report["up"]["rewritten"] == []
    assert report["data_seen"] == [2, 2]


async def test_the_report_is_in_the_ledger_by_its_hash_and_readable(shop: Shop) -> None:
    done = await shop.rehearse(UP, DOWN)
    path = Path(kept(done)["report"])
    assert hashlib.sha256(path.read_bytes()).hexdigest() == kept(done)["sha256"]
    text = path.with_suffix(".md").read_text()
    assert "# Migration rehearsed on shop: PASS" in text
    assert "| public.orders | AccessExclusiveLock |" in text
    assert "The inventory is as it was before up." in text


async def test_a_down_that_does_not_lead_back_fails_and_names_what_is_astray(shop: Shop) -> None:
    done = await shop.rehearse(UP, "alter table orders drop column total;")
    assert done.code == 1
    assert done.document["error"]["kind"] == "migration_bad"
    report = shop.report()
    assert report["astray"]["more"] == [["index", "public.orders_by_note"]]
    assert ["table", "public.customers"] in report["astray"]["changed"]
    assert "index public.orders_by_note" in report["reasons"][0]
    assert kept(done)["verdict"] == "fail"


async def test_a_down_that_brings_the_column_but_not_its_rows_back_fails(shop: Shop) -> None:
    done = await shop.rehearse(
        "drop view recent; alter table orders drop column note;",
        "alter table orders add column note text; create view recent as select id, note from orders;",
    )
    assert done.code == 1
    report = shop.report()
    assert report["data"] == ["public.orders"]
    assert "down does not bring the rows back of public.orders" in report["reasons"]


async def test_the_first_error_is_told_with_its_line_and_the_rest_is_not_run(shop: Shop) -> None:
    done = await shop.rehearse(
        "alter table orders add column a int;\n\nalter table missing add column b int;\nselect 1/0;",
        "select 1;",
    )
    assert (done.code, done.document["error"]["kind"]) == (1, "migration_bad")
    report = shop.report()
    assert report["up"]["line"] == 3
    assert report["up"]["error"] == 'relation "missing" does not exist'
    assert "down" not in report or report["down"] is None
    assert not any(report["up"]["changed"].values())


async def test_a_script_that_commits_itself_is_run_as_it_stands(shop: Shop) -> None:
    done = await shop.rehearse(
        "begin; alter table orders add column a int; select pg_sleep(0.6); commit;\n"
        "create index concurrently c on orders (note);",
        "drop index concurrently c; alter table orders drop column a;",
    )
    assert done.code == 0, done.err
    report = shop.report()
    assert not report["up"]["one_transaction"]
    (lock,) = [one for one in report["up"]["locks"] if one["relation"] == "public.orders"]
    assert lock["mode"] == "AccessExclusiveLock"
    assert 0.3 < lock["seconds"] < 3


async def test_a_script_can_be_run_as_it_stands_where_it_could_be_one_transaction(shop: Shop) -> None:
    done = await shop.rehearse(
        "alter table orders add column a int;\nalter table missing add column b int;",
        "select 1;",
        "apart=true",
    )
    assert done.code == 1
    report = shop.report()
    assert not report["up"]["one_transaction"]
    assert report["up"]["changed"]["changed"] == [["table", "public.orders"]]
    assert report["astray"]["changed"] == [["table", "public.orders"]]


async def test_what_is_rewritten_is_named(shop: Shop) -> None:
    done = await shop.rehearse("alter table orders alter column customer_id type bigint;")
    assert done.code == 0, done.err
    report = shop.report()
    assert set(report["up"]["rewritten"]) == {"public.orders", "public.orders (orders_pkey)"}
    assert "there is no down" in report["notes"][0]


async def test_a_script_that_reaches_out_reaches_nobody(shop: Shop) -> None:
    done = await shop.rehearse(
        "copy customers from program 'exec 3<>/dev/tcp/127.0.0.1/22 && cat <&3';", "select 1;"
    )
    assert done.code == 1
    assert shop.report()["up"]["error"]


async def test_a_script_that_changed_after_the_plan_is_not_run(shop: Shop) -> None:
    up = shop.script("up.sql", UP)
    plan = str(shop.folder / "plan.json")
    made = await shop.command.run("plan", "migration.rehearse", "-t", "shop", f"up={up}", "--out", plan)
    assert made.code == 0, made.err
    shop.script("up.sql", "drop table orders;")
    done = await shop.command.run("apply", plan, "--yes", "--reason", "a test", "--json")
    assert done.code == 6, done.err


async def test_without_a_backup_nothing_is_rehearsed_and_it_says_so(shop: Shop) -> None:
    (shop.backups / "shop.dump").unlink()
    done = await shop.rehearse(UP, DOWN)
    assert (done.code, done.document["error"]["kind"]) == (1, "inconclusive")
    assert "no backup" in done.document["error"]["message"]


async def test_a_missing_script_is_an_error_of_usage(shop: Shop) -> None:
    done = await shop.command.run(
        "apply", "migration.rehearse", "-t", "shop", "up=/nowhere/up.sql", "--yes", "--reason", "r"
    )
    assert done.code == 2
    assert "/nowhere/up.sql cannot be read" in done.err


async def running(shop: Shop) -> asyncio.subprocess.Process:
    """A rehearsal in the midst of its script."""
    up = shop.script("up.sql", "alter table orders add column a int; select pg_sleep(60);")
    process = await shop.command.start(
        *("apply", "migration.rehearse", "-t", "shop", f"up={up}", "--yes", "--reason", "a test", "--json")
    )
    async with asyncio.timeout(40):
        while not list(shop.scratch.glob("*/migration/probe-1.sql")):
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
async def test_a_signal_ends_it_and_nothing_is_left(shop: Shop, number: signal.Signals) -> None:
    process = await running(shop)
    process.send_signal(number)
    out, _ = await asyncio.wait_for(process.communicate(), 40)
    document = json.loads(out)
    assert document["exit"] != 0
    assert document["verify"]["evidence"]["rehearsal"]["verdict"] == "aborted"
    assert list(shop.scratch.iterdir()) == []


async def test_killed_it_leaves_nothing_and_is_settled(shop: Shop) -> None:
    process = await running(shop)
    process.kill()
    await process.wait()
    for _ in range(200):
        if not list(shop.scratch.iterdir()):
            break
        await asyncio.sleep(0.1)
    settled = await shop.command.run("audit", "reconcile", "--json")
    assert settled.code == 0, settled.err


async def test_a_file_of_psql_commands_cannot_read_what_is_ours(shop: Shop) -> None:
    """It runs as the restored server's user, who is nobody here."""
    secret = shop.script("secret.txt", "hidden")
    look = "select 1 / (case when :'told' = 'hidden' then 0 else 1 end);"
    done = await shop.rehearse(f"\\set told `cat {secret}`\n{look}")
    assert done.code == (0 if os.geteuid() == 0 else 1), done.err
