"""`backup.drill` from the command to the outcome, on dumps of a real server."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from tests.command import Command, Done
from tests.servers import places
from tests.servers.postgres import PostgresServer

_SCHEMA = """
    create table orders (
        id bigint generated always as identity primary key, note text, made timestamptz default now()
    );
    insert into orders (note) select 'order ' || g from generate_series(1, 2000) g;
    create table items (id int primary key, order_id bigint references orders);
    insert into items select g, g from generate_series(1, 500) g;
    create view daily as select date_trunc('day', made) as day, count(*) from orders group by 1;
    create function tax(numeric) returns numeric language sql immutable as 'select $1 * 0.19';
    create function stamp() returns trigger language plpgsql as 'begin return new; end';
    create trigger stamped before update on orders for each row execute function stamp();
"""


class Shop:
    """A database, a folder of its dumps, and the command that drills them."""

    def __init__(self, server: PostgresServer, database: str, folder: Path) -> None:
        self.server = server
        self.database = database
        self.folder = folder
        self.backups = folder / "backups"
        self.scratch = Path(tempfile.mkdtemp(prefix="drill-", dir="/tmp"))
        self.scratch.chmod(0o755)
        self.backups.mkdir()
        self.rule: dict[str, Any] = {
            "binaries": str(places.postgres_binaries(server.name)),
            "sources": {"nightly": {"method": "pg_dump", "path": str(self.backups)}},
        }
        target = server.target_dict(database=database)
        self.command = Command(folder, {"shop": target})

    def configure(self, **rule: Any) -> None:
        self.rule |= rule
        values = yaml.safe_load(self.command.config.read_text())
        values["drills"] = {
            "scratch": str(self.scratch),
            "reports": str(self.folder / "reports"),
            "targets": {"shop": self.rule},
        }
        self.command.write(values)

    async def dump(self, *words: str, name: str = "shop.dump") -> Path:
        """By the server's superuser, with globals beside it."""
        path = self.backups / name
        binaries = places.postgres_binaries(self.server.name)
        where = ["-h", self.server.host, "-p", str(self.server.port), "-U", "postgres"]
        await _done([str(binaries / "pg_dump"), *where, "-Fc", "-f", str(path), *words, self.database])
        everybody = path.with_suffix(".globals.sql")
        await _done([str(binaries / "pg_dumpall"), *where, "--globals-only", "-f", str(everybody)])
        return path

    async def sql(self, text: str) -> None:
        connection = await self.server.connect(database=self.database)
        try:
            await connection.execute(text)
        finally:
            await connection.close()

    async def others(self) -> list[str]:
        """Databases that earlier tests left on this server."""
        connection = await self.server.connect(database=self.database)
        try:
            rows = await connection.fetch("select datname from pg_database where datallowconn")
        finally:
            await connection.close()
        return [name for (name,) in rows if self.database not in name and name != "template1"]

    async def drill(self, *words: str) -> Done:
        given = words or ("source=nightly",)
        return await self.command.run(
            *("apply", "backup.drill", "-t", "shop", *given, "--yes", "--reason", "a test", "--json")
        )

    def report(self) -> dict[str, Any]:
        newest = max((self.folder / "reports" / "shop").glob("*.json"), key=os.path.getmtime)
        found: dict[str, Any] = json.loads(newest.read_text())
        return found

    def failed(self) -> str:
        """What the last report says is wrong, in one text."""
        return " | ".join(
            f"{one['name']}: {one.get('detail', '')} {' '.join(one.get('items', ()))}"
            for one in self.report()["checks"]
            if one["outcome"] == "failed"
        )

    def left(self) -> list[Path]:
        return list(self.scratch.iterdir())


async def _done(argv: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()


@pytest_asyncio.fixture
async def shop(postgres18: PostgresServer, tmp_path: Path) -> AsyncIterator[Shop]:
    await places.fence()
    database = await postgres18.new_database()
    made = Shop(postgres18, database, tmp_path)
    await made.sql(_SCHEMA)
    made.configure()
    yield made
    assert made.left() == []
    shutil.rmtree(made.scratch)


def verdict(done: Done) -> str:
    found: str = done.document["verify"]["evidence"]["drills"][0]["verdict"]
    return found


async def test_a_dump_of_the_database_that_every_server_has_passes(shop: Shop) -> None:
    shop.database = "postgres"
    await shop.dump()
    done = await shop.drill()
    assert (done.code, verdict(done)) == (0, "pass"), done.err + shop.failed()


async def test_a_dump_without_any_data_is_listed(shop: Shop) -> None:
    await shop.dump("--schema-only")
    done = await shop.command.run("show", "backups", "-t", "shop", "--json")
    assert (done.code, [one["faults"] for one in done.rows]) == (0, [[]]), done


async def test_a_target_without_an_operator_is_drilled(shop: Shop) -> None:
    """It is what it needs least: the server may be what was lost."""
    values = yaml.safe_load(shop.command.config.read_text())
    del values["targets"]["shop"]["operator"]
    shop.command.write(values)
    await shop.dump()
    done = await shop.drill()
    assert (done.code, verdict(done)) == (0, "pass"), done.err + shop.failed()


async def test_a_good_dump_passes_and_its_report_is_in_the_ledger(shop: Shop) -> None:
    await shop.dump()
    done = await shop.drill()
    assert (done.code, verdict(done)) == (0, "pass"), done.err + shop.failed()
    kept = done.document["verify"]["evidence"]["drills"][0]
    path = Path(kept["report"])
    assert hashlib.sha256(path.read_bytes()).hexdigest() == kept["sha256"]
    assert path.stat().st_mode & 0o077 == 0
    for ending in (".md", ".html"):
        assert path.with_suffix(ending).exists()
    assert kept["rto_seconds"] > 0


async def test_the_restored_server_ran_without_a_network_and_without_root(shop: Shop) -> None:
    await shop.dump()
    await shop.drill()
    checks = {one["name"]: one for one in shop.report()["checks"] if one["area"] == "fence"}
    assert checks
    assert {one["outcome"] for one in checks.values()} == {"passed"}


@pytest.mark.parametrize(
    ("drop", "named"),
    [
        ("drop view daily", "view public.daily"),
        ("drop function tax(numeric)", "function public.tax(numeric)"),
        ("drop trigger stamped on orders", "stamped"),
        ("alter table items drop constraint items_order_id_fkey", "items_order_id_fkey"),
    ],
)
async def test_what_a_dump_lacks_fails_it_and_is_named(shop: Shop, drop: str, named: str) -> None:
    """The live server has it; the dump was made before it was there."""
    await shop.sql(drop)
    await shop.dump()
    await shop.sql(_again(drop))
    done = await shop.drill()
    assert (done.code, done.document["error"]["kind"]) == (1, "backup_bad")
    assert named in shop.failed()
    assert named in done.document["error"]["message"] or len(done.document["error"]["message"]) > 100


def _again(drop: str) -> str:
    return {
        "drop view daily": "create view daily as select count(*) from orders",
        "drop function tax(numeric)": (
            "create function tax(numeric) returns numeric language sql as 'select 1'"
        ),
        "drop trigger stamped on orders": (
            "create trigger stamped before update on orders for each row execute function stamp()"
        ),
        "alter table items drop constraint items_order_id_fkey": (
            "alter table items add constraint items_order_id_fkey foreign key (order_id) references orders"
        ),
    }[drop]


async def test_a_dump_without_the_rows_of_a_table_fails(shop: Shop) -> None:
    await shop.dump("--exclude-table-data=items")
    done = await shop.drill()
    assert done.code == 1
    assert "items: 0 rows instead of 500" in shop.failed()


async def test_a_truncated_archive_fails(shop: Shop) -> None:
    path = await shop.dump()
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    done = await shop.drill()
    assert (done.code, done.document["error"]["kind"]) == (1, "backup_bad")


async def test_a_backup_beyond_its_rpo_is_degraded(shop: Shop) -> None:
    await shop.dump()
    shop.configure(rpo="1s")
    await asyncio.sleep(1.5)
    done = await shop.drill()
    assert (done.code, verdict(done)) == (8, "degraded")
    assert "age of the backup" in shop.failed()


async def test_no_backup_at_all_fails(shop: Shop) -> None:
    done = await shop.drill("overdue=true")
    assert (done.code, done.document["error"]["kind"]) == (1, "backup_bad")
    assert "there is no backup" in shop.failed()


async def test_an_assertion_of_the_config_decides(shop: Shop) -> None:
    await shop.dump()
    sql = "select count(*) > 5000 from orders"
    shop.configure(assertions=[{"name": "enough-orders", "sql": sql}])
    done = await shop.drill()
    assert done.code == 1
    assert "enough-orders: 'false', expected 'true'" in shop.failed()


async def test_an_assertion_is_asked_in_the_targets_database(shop: Shop) -> None:
    """Of several that a backup of the whole server holds."""
    path = shop.backups / "all.sql"
    binaries = places.postgres_binaries(shop.server.name)
    where = ["-h", shop.server.host, "-p", str(shop.server.port), "-U", "postgres"]
    await shop.sql(f"create database a_{shop.database}")
    try:
        others = [f"--exclude-database={name}" for name in await shop.others()]
        await _done([str(binaries / "pg_dumpall"), *where, *others, "-f", str(path)])
    finally:
        await shop.sql(f"drop database a_{shop.database}")
    shop.configure(assertions=[{"name": "enough", "sql": "select count(*) > 1 from orders"}])
    await shop.drill()
    (answer,) = (one for one in shop.report()["checks"] if one["name"] == "enough")
    assert answer["outcome"] == "passed"


async def test_an_assertion_may_only_read(shop: Shop) -> None:
    await shop.dump()
    shop.configure(assertions=[{"name": "hostile", "sql": "delete from orders returning true"}])
    done = await shop.drill()
    assert done.code == 1
    assert verdict(done) == "inconclusive"


async def test_the_newest_row_is_held_against_the_rpo(shop: Shop) -> None:
    await shop.sql("update orders set made = now() - interval '3 days'")
    await shop.dump()
    shop.configure(freshness={"sql": "select max(made) from orders"})
    assert verdict(await shop.drill()) == "degraded"
    assert "age of the newest row" in shop.failed()


async def test_it_needs_no_live_server_and_says_what_it_could_not_compare(shop: Shop) -> None:
    await shop.dump()
    values = yaml.safe_load(shop.command.config.read_text())
    values["targets"]["shop"]["port"] = 1
    shop.command.write(values)
    done = await shop.drill()
    assert (done.code, verdict(done)) == (0, "pass"), done.err
    skipped = [one for one in shop.report()["checks"] if one["outcome"] == "skipped"]
    assert any("does not answer" in one["detail"] for one in skipped)
    kept = done.document["verify"]["evidence"]["drills"][0]
    assert kept["made"] < kept["checks"]


async def test_what_was_proved_is_not_overdue(shop: Shop) -> None:
    await shop.dump()
    assert (await shop.drill("overdue=true")).code == 0
    page = next((shop.folder / "reports" / "shop").glob("*.html"))
    assert page.read_text().count("<circle") == 2
    again = await shop.drill("overdue=true")
    assert (again.code, again.document["effect"]) == (0, "no_op")
    rows = (await shop.command.run("show", "drills", "-t", "shop", "--json")).document
    assert [one["verdict"] for one in rows["rows"]] == ["pass"]
    assert rows["coverage"] == {"proved": 1, "targets": 1, "days": 30}
    assert [one["overdue"] for one in rows["sources"]] == [None]


async def test_doctor_tells_what_is_overdue_and_whether_a_drill_could_be_run(shop: Shop) -> None:
    await shop.dump()
    report = (await shop.command.run("doctor", "--json")).document
    checks = {one["name"]: one for row in report["rows"] for one in row["checks"]}
    assert [checks[name]["ok"] for name in ("drill fence", "drill scratch", "backups")] == [True] * 3
    assert (checks["drills"]["ok"], "overdue=true" in checks["drills"]["hint"]) == (False, True)


async def test_the_page_plots_all_drills_of_the_source(shop: Shop) -> None:
    await shop.dump()
    for _ in range(2):
        assert (await shop.drill()).code == 0
    pages = sorted((shop.folder / "reports" / "shop").glob("*.html"), key=os.path.getmtime)
    assert pages[-1].read_text().count("<circle") == 4


async def test_the_list_says_what_was_proved_of_which_backup(shop: Shop) -> None:
    await shop.dump(name="first.dump")
    await shop.drill()
    await shop.dump(name="second.dump")
    rows = (await shop.command.run("show", "backups", "-t", "shop", "--json")).rows
    proved = {one["id"]: one["proved"] for one in rows}
    assert proved == {"first.dump": "pass", "second.dump": None}
    assert [one["newest"] for one in rows] == [True, False]


async def test_two_drills_of_one_source_do_not_run_at_once(shop: Shop) -> None:
    await shop.dump()
    first, second = await asyncio.gather(shop.drill(), shop.drill())
    assert sorted((first.code, second.code)) == [0, 7], first.err + second.err


async def test_without_room_nothing_is_restored(shop: Shop, tmp_path: Path) -> None:
    await shop.dump()
    small = tmp_path / "small"
    small.mkdir()
    tmp_path.chmod(0o755)
    if os.geteuid() != 0:
        pytest.skip("only root can make a small disk")
    await _done(["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "tmpfs", str(small)])
    try:
        values = yaml.safe_load(shop.command.config.read_text())
        values["drills"]["scratch"] = str(small)
        shop.command.write(values)
        done = await shop.drill()
        assert (done.code, verdict(done)) == (1, "inconclusive")
        assert "free" in done.document["error"]["message"]
        assert list(small.iterdir()) == []
    finally:
        await _done(["umount", str(small)])


async def test_a_tool_that_is_missing_is_inconclusive_and_named(shop: Shop, tmp_path: Path) -> None:
    await shop.dump()
    shop.configure(binaries=str(tmp_path / "nothing"))
    done = await shop.drill()
    assert (done.code, verdict(done)) == (1, "inconclusive")
    assert "nothing" in done.document["error"]["message"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
async def test_a_signal_ends_it_and_nothing_is_left(shop: Shop, number: signal.Signals) -> None:
    await _large(shop)
    process = await shop.command.start(
        *("apply", "backup.drill", "-t", "shop", "source=nightly", "--yes", "--reason", "a test", "--json")
    )
    await _restoring(shop)
    process.send_signal(number)
    out, _ = await asyncio.wait_for(process.communicate(), 40)
    document = json.loads(out)
    assert document["verify"]["evidence"]["drills"][0]["verdict"] == "aborted"
    assert document["exit"] != 0
    assert shop.left() == []


async def test_killed_it_leaves_nothing_and_is_settled(shop: Shop) -> None:
    await _large(shop)
    process = await shop.command.start(
        *("apply", "backup.drill", "-t", "shop", "source=nightly", "--yes", "--reason", "a test")
    )
    await _restoring(shop)
    process.kill()
    await process.wait()
    for _ in range(200):
        if not shop.left():
            break
        await asyncio.sleep(0.1)
    assert shop.left() == []
    await shop.dump()
    assert (await shop.drill()).code == 0, "a drill that was killed keeps no later one from running"
    settled = await shop.command.run("audit", "reconcile", "--json")
    assert settled.code == 0, settled.err
    assert (await shop.command.run("audit", "open", "--json")).rows == []


async def _large(shop: Shop) -> None:
    """So much that a restore takes some seconds."""
    await shop.sql(
        "insert into orders (note) select repeat(md5(g::text), 8) from generate_series(1, 600000) g"
    )
    await shop.sql("create index on orders (note, made)")
    await shop.dump()


async def _restoring(shop: Shop) -> None:
    """Until the scratch server has files."""
    for _ in range(400):
        with contextlib.suppress(OSError):
            if any(shop.scratch.glob("*/data/base/*")):
                return
        await asyncio.sleep(0.05)
    raise AssertionError(f"no restore was seen by {datetime.now(UTC)}")
