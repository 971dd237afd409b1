"""backup.take on PostgreSQL: complete with its manifest, or not there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from console.backups import manifest
from console.dispatch.action import Stop, Watch
from console.errors import Refused, UsageError
from console.model.backups import Method, Source
from tests.integration.actions.conftest import superuser
from tests.integration.drills.drilling import drilled, found
from tests.integration.drills.taking import taking_desk
from tests.integration.runbooks.backed_up import PASSWORD, TAKER
from tests.servers.postgres import PostgresServer

FORMATS = ("directory", "custom", "tar", "plain")


@pytest.fixture
async def shop(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with two thousand rows, and a superuser with a password who takes backups."""
    monkeypatch.setenv("DBDECK_TEST_BACKUP", PASSWORD)
    await postgres.forget_databases()
    return await filled(postgres)


async def filled(server: PostgresServer) -> str:
    name = await server.new_database()
    plain = await server.connect(database=name)
    try:
        await plain.execute(
            f"do $$ begin if not exists (select from pg_roles where rolname = 'dbdeck_backup') then "
            f"create role dbdeck_backup superuser login password '{PASSWORD}'; end if; end $$"
        )
        await plain.execute(
            "create schema s; create table s.t(id int primary key, v text);"
            "insert into s.t select g, md5(g::text) from generate_series(1, 2000) g;"
            "create view s.w as select * from s.t; grant select on s.t to app_user"
        )
    finally:
        await plain.close()
    return name


def source_in(folder: Path, method: Method = Method.PG_DUMP) -> Source:
    return Source(method=method, path=str(folder / "backups"))


@pytest.mark.parametrize("form", FORMATS)
async def test_a_dump_restores_to_what_its_manifest_says(
    postgres: PostgresServer, shop: str, form: str, tmp_path: Path
) -> None:
    source = {"method": "pg_dump", "format": form, "login": TAKER}
    async with taking_desk(postgres, tmp_path, source, database=shop) as desk:
        run = await desk.run("backup.take", source="s", name="one")
    assert (run.effect, run.error) == ("applied", None)
    ((name, backup),) = (await found(source_in(tmp_path))).items()
    described = manifest.read(Path(backup.path))
    assert described is not None
    assert described.baseline.exact
    (contents,) = described.baseline.contents
    assert [(one.name, one.rows) for one in contents.tables] == [("s.t", 2000)]
    async with drilled(source_in(tmp_path), name, postgres.binaries) as drill:
        assert drill.failed() == []
        assert drill.broken() == []
        assert await drill.ask("select count(*) from s.t", shop) == [(2000,)]
        assert await drill.ask("select has_table_privilege('app_user', 's.t', 'select')", shop) == [(True,)]


async def test_the_dump_is_of_the_moment_of_its_manifest(
    postgres: PostgresServer, shop: str, tmp_path: Path
) -> None:
    """Rows come and go all the time it takes."""
    source = {"method": "pg_dump", "format": "directory", "login": TAKER}
    stop = asyncio.Event()

    async def write() -> None:
        plain = await postgres.connect(database=shop)
        try:
            number = 10_000
            while not stop.is_set():
                number += 1
                await plain.execute("insert into s.t values ($1, 'new')", number)
        finally:
            await plain.close()

    writer = asyncio.create_task(write())
    try:
        async with taking_desk(postgres, tmp_path, source, database=shop) as desk:
            await desk.run("backup.take", source="s", name="one")
    finally:
        stop.set()
        await writer
    described = manifest.read(tmp_path / "backups" / "one")
    assert described is not None
    rows = described.baseline.contents[0].tables[0].rows
    async with drilled(source_in(tmp_path), "one", postgres.binaries) as drill:
        assert await drill.ask("select count(*) from s.t", shop) == [(rows,)]


@pytest.mark.parametrize("form", ["plain", "tar"])
async def test_a_base_backup_is_taken_and_restores(
    postgres: PostgresServer, shop: str, form: str, tmp_path: Path
) -> None:
    source = {"method": "pg_basebackup", "format": form, "login": {"user": "postgres"}}
    over: dict[str, Any] = {"host": postgres.host, "tls": "off", "operator": {"user": "postgres"}}
    async with taking_desk(postgres, tmp_path, source, **over) as desk:
        run = await desk.run("backup.take", source="s", name="base")
    assert (run.effect, run.error) == ("applied", None)
    async with drilled(source_in(tmp_path, Method.PG_BASEBACKUP), "base", postgres.binaries) as drill:
        assert drill.failed() == []
        assert drill.broken() == []
        assert await drill.ask("select count(*) from s.t", shop) == [(2000,)]


async def test_the_password_is_in_no_argument_and_no_row(
    postgres: PostgresServer, shop: str, tmp_path: Path
) -> None:
    source = {"method": "pg_dump", "format": "custom", "login": TAKER}
    seen: list[str] = []

    async def look() -> None:
        while True:
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    words = (process / "cmdline").read_bytes()
                    if b"pg_dump" in words and b"/bin/pg_dump" in words.split(b"\0")[0]:
                        seen.append((words + (process / "environ").read_bytes()).decode("utf-8", "replace"))
                except OSError:
                    continue
            await asyncio.sleep(0.005)

    looking = asyncio.create_task(look())
    async with taking_desk(postgres, tmp_path, source, database=shop) as desk:
        await desk.run("backup.take", source="s", name="one")
        rows = str(await desk.ledger.entries(newest_first=False))
    looking.cancel()
    assert seen
    assert [one for one in (*seen, rows) if PASSWORD in one] == []


async def test_nothing_is_left_of_a_backup_that_failed(postgres18: PostgresServer, tmp_path: Path) -> None:
    """The operator of the tests may not read the tables."""
    database = await filled(postgres18)
    async with taking_desk(postgres18, tmp_path, {"method": "pg_dump"}, database=database) as desk:
        run = await desk.run("backup.take", source="s", name="one")
    assert run.effect == "none"
    assert run.error is not None
    assert "permission denied" in run.error.message
    assert "GRANT pg_read_all_data TO dbdeck_operator;" in run.error.hint
    assert list((tmp_path / "backups").iterdir()) == []


async def test_rows_that_a_policy_hides_are_told_with_the_right_rather_than_the_death_of_a_worker(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    database = await filled(postgres18)
    await superuser(
        postgres18,
        "alter table s.t enable row level security",
        "grant pg_read_all_data to dbdeck_operator",
        database=database,
    )
    try:
        async with taking_desk(postgres18, tmp_path, {"method": "pg_dump"}, database=database) as desk:
            run = await desk.run("backup.take", source="s", name="one")
    finally:
        await superuser(postgres18, "revoke pg_read_all_data from dbdeck_operator")
    assert run.error is not None
    assert "row-level security" in run.error.message
    assert "ALTER ROLE dbdeck_operator BYPASSRLS" in run.error.hint


async def test_a_login_without_replication_takes_no_base_backup_and_is_told_so_by_the_plan(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    """The server told it after the intent, and nobody told the right."""
    async with taking_desk(postgres18, tmp_path, {"method": "pg_basebackup"}) as desk:
        with pytest.raises(Refused, match="dbdeck_operator may not take a base backup") as told:
            await desk.plan("backup.take", source="s", name="one")
    assert "ALTER ROLE dbdeck_operator REPLICATION;" in told.value.hint


async def test_nothing_is_left_of_a_backup_that_was_stopped(
    postgres18: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBDECK_TEST_BACKUP", PASSWORD)
    database = await filled(postgres18)
    holder = await postgres18.connect(database=database)
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("lock table s.t in access exclusive mode")
    watch = Watch(seconds=1.0, stop=Stop())
    try:
        source = {"method": "pg_dump", "login": TAKER}
        async with taking_desk(postgres18, tmp_path, source, database=database) as desk:
            plan = await desk.plan("backup.take", source="s", name="one")
            running = asyncio.create_task(desk.apply(plan, watch=watch))
            await asyncio.sleep(1.5)
            watch.stop.ask("a test")
            run = await running
    finally:
        await transaction.rollback()
        await holder.close()
    assert run.effect == "none"
    assert list((tmp_path / "backups").iterdir()) == []


async def test_a_name_that_is_there_is_refused(postgres18: PostgresServer, tmp_path: Path) -> None:
    async with taking_desk(postgres18, tmp_path, {"method": "pg_dump"}) as desk:
        (tmp_path / "backups" / "one").mkdir()
        with pytest.raises(UsageError, match="is there already; nothing was executed"):
            await desk.plan("backup.take", source="s", name="one")


async def test_an_unknown_source_is_told_with_those_there_are(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    async with taking_desk(postgres18, tmp_path, {"method": "pg_dump"}) as desk:
        with pytest.raises(UsageError, match=r"has no source 'x' \(it has: s\)"):
            await desk.plan("backup.take", source="x")


async def test_a_folder_that_is_not_there_is_refused(postgres18: PostgresServer, tmp_path: Path) -> None:
    async with taking_desk(postgres18, tmp_path, {"method": "pg_dump"}) as desk:
        (tmp_path / "backups").rmdir()
        with pytest.raises(Refused, match="is no folder that may be written in"):
            await desk.plan("backup.take", source="s")


async def test_a_file_that_changed_afterwards_is_noticed(
    postgres18: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBDECK_TEST_BACKUP", PASSWORD)
    database = await filled(postgres18)
    source = {"method": "pg_dump", "format": "custom", "login": TAKER}
    async with taking_desk(postgres18, tmp_path, source, database=database) as desk:
        plan = await desk.plan("backup.take", source="s", name="one")
        await desk.apply(plan)
        path = tmp_path / "backups" / "one.dump"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        action = desk.dispatcher.registry.get("backup.take")
        verdict = await action.verify(plan, desk.engine, patience=0)
    assert verdict.state == "not_applied"
    assert "one.dump has another SHA-256" in verdict.summary
