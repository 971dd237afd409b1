"""backup.take on MySQL and MariaDB: complete with its manifest, or not there."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actions.drill_checks import inventory_check, rows_checks
from console.backups import manifest
from console.dispatch.action import Stop, Watch
from console.model.backups import Method, Source
from console.model.drills import Check, Outcome
from console.model.inventory import Contents, Inventory, Manifest, TableContent, Wanted
from tests.integration.actions.conftest import Desk
from tests.integration.drills.mysql.conftest import VIEW_OVER_FUNCTION, Drilled, Shop
from tests.integration.drills.taking import taking_desk

PASSWORD = "backup-pw-C4N4RY'\"\\"
LOGIN = {"user": "dbdeck_backup", "password": "env:DBDECK_TEST_BACKUP"}


@pytest.fixture(autouse=True)
async def _taker(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes backups, with a password that no option file takes as it is."""
    monkeypatch.setenv("DBDECK_TEST_BACKUP", PASSWORD)
    word = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
    await shop.run(
        f"CREATE USER IF NOT EXISTS dbdeck_backup@'%' IDENTIFIED BY '{word}'",
        "GRANT ALL PRIVILEGES ON *.* TO dbdeck_backup@'%' WITH GRANT OPTION",
    )


@asynccontextmanager
async def desk_of(shop: Shop, method: str = "mysqldump", **more: Any) -> AsyncIterator[Desk]:
    source = {"method": method, "login": LOGIN, **more}
    async with taking_desk(shop.server, shop.folder, source, shop.tools.binaries) as desk:
        yield desk


def order(shop: Shop) -> dict[str, str]:
    return {"source": "s", "name": "one", "database": shop.database}


def taken(shop: Shop, name: str = "one") -> Manifest:
    found = manifest.read(shop.folder / "backups" / name)
    assert found is not None
    return found


async def compared(drilled: Drilled, known: Manifest, *, physical: bool = False) -> list[Check]:
    """As the drill does it."""
    assert drilled.restored is not None, drilled.checks
    engine = await drilled.enclosure.reading(drilled.restored.target)
    found: list[Check] = []
    for database in ("", *drilled.restored.databases):
        expected = known.baseline.inventory(database)
        found += inventory_check(expected, await engine.inventory(database), known.baseline)
    for one in known.baseline.contents:
        contents = await engine.contents(one.database, Wanted(seconds=30, like=one.tables))
        found += rows_checks(known.baseline, contents, drift=0.0, physical=physical)
    return found


def not_passed(checks: list[Check]) -> list[Check]:
    return [one for one in checks if one.outcome is not Outcome.PASSED and ", added" not in one.name]


@pytest.mark.parametrize("form", [None, "plain"])
async def test_a_dump_restores_to_what_its_manifest_says(shop: Shop, form: str | None) -> None:
    await shop.run(VIEW_OVER_FUNCTION)
    async with desk_of(shop, **({"format": form} if form else {})) as desk:
        run = await desk.run("backup.take", **order(shop))
    assert (run.effect, run.error) == ("applied", None)
    assert (shop.folder / "backups" / "one" / f"dump.sql{'' if form else '.gz'}").is_file()
    known = taken(shop)
    assert known.position.startswith("binlog.0")
    assert known.baseline.exact
    assert all(one.checksum for one in known.baseline.contents[0].tables)
    async with shop.drill(Method.MYSQLDUMP, folder=shop.folder / "backups") as drilled:
        assert drilled.failed == []
        assert drilled.restored is not None
        assert drilled.restored.whole_cluster
        assert not_passed(await compared(drilled, known)) == []


async def test_accounts_beside_the_dump_are_not_called_missing(shop: Shop) -> None:
    """Each drill of it warned that it has no users and grants."""
    async with desk_of(shop) as desk:
        await desk.run("backup.take", **order(shop))
    folder = shop.folder / "backups"
    source = Source(method=Method.MYSQLDUMP, path=str(folder))
    assert (folder / "one" / "users.sql").is_file()
    assert "no users and grants" not in (await shop.backup(source)).notes
    (folder / "one" / "users.sql").unlink()
    assert "no users and grants" in (await shop.backup(source)).notes


async def test_the_password_is_nowhere(shop: Shop) -> None:
    async with desk_of(shop) as desk:
        plan = await desk.plan("backup.take", **order(shop))
        await desk.apply(plan)
        rows = [one.body for one in await desk.ledger.entries(newest_first=False)]
    text = "\n".join(map(str, rows)) + str(plan)
    assert "C4N4RY" not in text
    kept = [one for one in (shop.folder / "backups").rglob("*") if one.is_file()]
    assert kept
    assert not [one for one in kept if b"C4N4RY" in one.read_bytes()]


async def test_only_its_owner_may_read_it(shop: Shop) -> None:
    """It holds everything, and the verifiers of accounts."""
    async with desk_of(shop) as desk:
        await desk.run("backup.take", **order(shop))
    files = [one for one in (shop.folder / "backups" / "one").rglob("*") if one.is_file()]
    assert {stat.S_IMODE(one.stat().st_mode) for one in files} == {0o600}


async def test_a_table_that_moves_meanwhile_has_no_exact_expectation(shop: Shop) -> None:
    """The others have one; nobody says of it what nobody knows."""
    busy = asyncio.Event()

    async def write() -> None:
        while not busy.is_set():
            await shop.run("INSERT INTO keyless VALUES ('x', 1)")

    writing = asyncio.create_task(write())
    try:
        async with desk_of(shop) as desk:
            run = await desk.run("backup.take", **order(shop))
    finally:
        busy.set()
        await writing
    assert run.effect == "applied"
    tables = taken(shop).baseline.contents[0].by_name()
    assert tables["keyless"].rows is None
    assert "changed" in tables["keyless"].why
    assert tables["orders"].rows == 3
    assert tables["orders"].checksum
    async with shop.drill(Method.MYSQLDUMP, folder=shop.folder / "backups") as drilled:
        checks = await compared(drilled, taken(shop))
    assert [one for one in checks if one.outcome is Outcome.FAILED and "added" not in one.name] == []


async def test_a_changed_byte_is_found_by_the_manifest(shop: Shop) -> None:
    async with desk_of(shop, format="plain") as desk:
        await desk.run("backup.take", **order(shop))
    path = shop.folder / "backups" / "one" / "dump.sql"
    path.write_bytes(path.read_bytes().replace(b"'Ada'", b"'Eda'").replace(b"0x416461", b"0x456461"))
    async with shop.drill(Method.MYSQLDUMP, folder=shop.folder / "backups") as drilled:
        assert drilled.failed[0].name == "checksums of its files"
        assert "dump.sql" in drilled.failed[0].items[0]


async def test_its_age_counts_from_its_snapshot(shop: Shop) -> None:
    async with desk_of(shop) as desk:
        await desk.run("backup.take", **order(shop))
    source = Source(method=Method.MYSQLDUMP, path=str(shop.folder / "backups"))
    found = await shop.backup(source, "one")
    assert found.started_at == taken(shop).started_at
    assert not any("age counts" in one for one in found.notes)


@asynccontextmanager
async def low(shop: Shop, *grants: str) -> AsyncIterator[dict[str, str]]:
    """A login that may do just this."""
    name = f"low_{shop.database[-8:]}"
    await shop.run(
        f"CREATE USER {name}@'%' IDENTIFIED BY 'monitor-pw'",
        *(f"GRANT {one} TO {name}@'%'" for one in grants),
    )
    try:
        yield {"user": name, "password": "env:DBDECK_TEST_MONITOR"}
    finally:
        await shop.run(f"DROP USER {name}@'%'")


READS = "SELECT, LOCK TABLES, SHOW VIEW"


async def test_a_login_that_sees_no_accounts_is_told_so(shop: Shop) -> None:
    routines = "SELECT ON mysql.proc" if shop.mariadb else "SHOW_ROUTINE ON *.*"
    position = "BINLOG MONITOR" if shop.mariadb else "REPLICATION CLIENT"
    rights = (f"{READS}, TRIGGER, EVENT ON {shop.database}.*", routines, f"RELOAD, {position} ON *.*")
    async with low(shop, *rights) as login, desk_of(shop, login=login) as desk:
        run = await desk.run("backup.take", **order(shop))
        again = await desk.plan("backup.take", **{**order(shop), "name": "two"})
    assert not [one for one in again.forecast if "come back" in one], "a backup is no session that may return"
    assert (run.effect, run.error) == ("applied", None)
    assert "accounts and grants are not in it" in taken(shop).baseline.notes[0]
    assert run.verify is not None
    assert "accounts and grants are not in it" in run.verify.evidence["notes"][0], "whoever took it is told"
    assert not (shop.folder / "backups" / "one" / "users.sql").exists()


async def test_a_login_that_does_not_see_everything_takes_no_backup(shop: Shop) -> None:
    """Its dump would lack what is hidden from it, and nobody would say so."""
    async with low(shop, f"{READS} ON {shop.database}.*") as login, desk_of(shop, login=login) as desk:
        run = await desk.run("backup.take", **order(shop))
    assert run.error is not None
    assert "function" in run.error.message
    assert "trigger" in run.error.message
    assert "GRANT EVENT ON" in run.error.hint
    assert list((shop.folder / "backups").iterdir()) == []


async def test_what_was_stopped_leaves_nothing(shop: Shop) -> None:
    await shop.run("INSERT INTO keyless SELECT left(a.column_name, 20), 1 FROM information_schema.columns a")
    stop = Stop()
    stop.ask("a test")
    async with desk_of(shop) as desk:
        plan = await desk.plan("backup.take", **order(shop))
        run = await desk.apply(plan, watch=Watch(seconds=5.0, stop=stop))
    assert run.error is not None
    assert list((shop.folder / "backups").iterdir()) == []


async def test_a_dump_that_fails_leaves_nothing(shop: Shop) -> None:
    async with desk_of(shop) as desk:
        plan = await desk.plan("backup.take", **order(shop))
        await shop.run(
            "CREATE TABLE passing (id INT)",
            "CREATE VIEW broken AS SELECT id FROM passing",
            "DROP TABLE passing",
        )
        try:
            run = await desk.apply(plan)
        finally:
            await shop.run("DROP VIEW broken")
    assert run.error is not None
    assert "broken" in run.error.message
    assert list((shop.folder / "backups").iterdir()) == []


@pytest.mark.parametrize("mysql_name", ["mariadb"], indirect=True)
async def test_a_physical_backup_restores_to_what_its_manifest_says(shop: Shop) -> None:
    async with desk_of(shop, "mariabackup") as desk:
        run = await desk.run("backup.take", source="s", name="one")
    assert (run.effect, run.error) == ("applied", None)
    known = taken(shop)
    async with shop.drill(Method.MARIABACKUP, folder=shop.folder / "backups") as drilled:
        assert drilled.failed == []
        assert not_passed(await compared(drilled, known, physical=True)) == []


@pytest.mark.parametrize("mysql_name", ["mariadb"], indirect=True)
async def test_a_login_without_rights_is_told_them_and_its_verifier_stands_nowhere(shop: Shop) -> None:
    """It ended as a defect of dbdeck; and mariadb-backup tells the grants of the login, verifier and all."""
    await shop.run("REVOKE ALL PRIVILEGES, GRANT OPTION FROM dbdeck_backup@'%'")
    ((granted,),) = await shop.run("SHOW GRANTS FOR dbdeck_backup@'%'")
    verifier = str(granted).partition("PASSWORD '")[2].rstrip("'")
    assert verifier.startswith("*")
    async with desk_of(shop, "mariabackup") as desk:
        run = await desk.run("backup.take", source="s", name="one")
        rows = [str(one.body) for one in await desk.ledger.entries(newest_first=False)]
    assert run.effect == "none"
    assert run.error is not None
    assert "missing required privilege RELOAD" in run.error.message
    assert run.error.hint == "GRANT RELOAD, PROCESS ON *.* TO 'dbdeck_backup'@'%';"
    assert verifier not in "".join(rows)
    await shop.run("GRANT RELOAD, PROCESS ON *.* TO dbdeck_backup@'%'")
    async with desk_of(shop, "mariabackup") as desk:
        run = await desk.run("backup.take", source="s", name="one")
    assert run.error is not None
    assert run.error.hint == "GRANT BINLOG MONITOR ON *.* TO 'dbdeck_backup'@'%';"
    assert list((shop.folder / "backups").iterdir()) == []


def test_what_differs_between_two_looks_is_left_out() -> None:
    from actions.take_mysql import same_contents, same_inventory

    objects = {"view": {"a": "1", "b": "1"}, "table": {"t": "1"}}
    later = {"view": {"a": "2"}, "table": {"t": "1"}}
    before, after = (
        Inventory(database="d", flavor="mysql", version=907, objects=one) for one in (objects, later)
    )
    kept, left = same_inventory(before, after)
    assert kept.objects == {"view": {"a": ""}, "table": {"t": "1"}}
    assert left == ["view a", "view b"]
    old, new = TableContent(name="t", rows=1, checksum="x"), TableContent(name="t", rows=1, checksum="y")
    found = same_contents(Contents(database="d", tables=(old,)), Contents(database="d", tables=(new,)))
    assert found.tables[0].rows is None
