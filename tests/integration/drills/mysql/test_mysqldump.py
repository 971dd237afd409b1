"""Dumps of real servers, good and bad, restored into servers of their own."""

from __future__ import annotations

import gzip
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from actions.mysql_fence import ADMIN, fence_checks
from console.model.backups import Method, Source
from console.model.drills import Area, Outcome
from tests.integration.drills.mysql.conftest import VIEW_OVER_FUNCTION, Shop, after_a_second

ALL = ("--routines", "--events", "--triggers")


def position(shop: Shop) -> str:
    return "--master-data=2" if shop.mariadb else "--source-data=2"


async def test_a_dump_is_restored_with_all_it_holds(shop: Shop) -> None:
    await shop.run(VIEW_OVER_FUNCTION)
    shop.dump(*ALL, "--databases", shop.database)
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        assert drilled.failed == []
        assert drilled.restored is not None
        assert drilled.restored.databases == (shop.database,)
        assert await drilled.ask(f"SELECT count(*) FROM {shop.database}.orders") == [(3,)]
        rows = await drilled.ask(f"SELECT tax FROM {shop.database}.taxed ORDER BY id")
    assert [float(str(row[0])) for row in rows] == [2.0, 4.1, 0.0]


async def test_nothing_is_left_of_it(shop: Shop) -> None:
    shop.dump(*ALL)
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        root = drilled.enclosure.root
        assert root.exists()
    assert not root.exists()


async def test_every_step_is_told_before_and_no_password_with_it(shop: Shop) -> None:
    shop.dump(*ALL)
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        word = (drilled.enclosure.root / "admin").read_text()
        assert drilled.told
        assert word not in "\n".join(drilled.told)
        assert word not in "\n".join(drilled.enclosure.commands)


async def test_the_restored_server_is_fenced_in(shop: Shop) -> None:
    shop.dump(*ALL)
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        assert drilled.restored is not None
        found = await fence_checks(drilled.enclosure, drilled.restored)
    assert {one.outcome for one in found} == {Outcome.PASSED}
    assert len(found) >= 6


async def test_a_packed_dump_is_restored(shop: Shop) -> None:
    plain = shop.dump(*ALL)
    (shop.folder / "shop.sql.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        assert drilled.failed == []
        assert await drilled.ask(f"SELECT count(*) FROM {shop.database}.orders") == [(3,)]


async def test_a_packed_dump_by_zstd_is_restored(shop: Shop) -> None:
    plain = shop.dump(*ALL)
    subprocess.run(["zstd", "--quiet", "--rm", str(plain)], check=True)
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        assert drilled.failed == []
        assert await drilled.ask(f"SELECT count(*) FROM {shop.database}.orders") == [(3,)]


async def test_a_dump_that_was_cut_off_is_named_as_such(shop: Shop) -> None:
    path = shop.dump(*ALL)
    path.write_bytes(path.read_bytes()[:-1200])
    backup = await shop.backup(Source(method=Method.MYSQLDUMP, path=str(shop.folder)))
    assert "cut off" in backup.faults[0]
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        assert [one.name for one in drilled.failed][:1] == ["the dump is whole"]


async def test_a_packed_dump_that_was_cut_off_is_named_as_such(shop: Shop) -> None:
    path = shop.dump(*ALL)
    (shop.folder / "cut.sql.gz").write_bytes(gzip.compress(path.read_bytes())[:-40])
    path.unlink()
    backup = await shop.backup(Source(method=Method.MYSQLDUMP, path=str(shop.folder)))
    assert "cannot be unpacked" in backup.faults[0]
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        assert [one.name for one in drilled.failed] == ["the dump is whole", "the dump is loaded"]
        assert drilled.restored is None


async def test_what_a_dump_certainly_lacks_is_noted(shop: Shop) -> None:
    shop.dump("--skip-triggers")
    backup = await shop.backup(Source(method=Method.MYSQLDUMP, path=str(shop.folder)))
    said = "; ".join(backup.notes)
    assert "--routines" in said
    assert "--events" in said
    assert "no trigger" in said


async def test_a_view_over_a_missing_function_is_named(shop: Shop) -> None:
    """The client stops there, so that the rest of the file is never loaded."""
    await shop.run(VIEW_OVER_FUNCTION)
    shop.dump("--skip-routines")
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        assert drilled.restored is None
        failed = drilled.failed[-1]
    assert failed.area is Area.RECOVERY
    assert "view structure for view taxed" in failed.detail
    assert "tax" in failed.detail
    assert "1305" in failed.detail


async def test_a_statement_that_is_refused_does_not_show_rows(shop: Shop) -> None:
    path = shop.dump(*ALL)
    text = path.read_text().replace("'Zoë'", "'Ada'")
    path.write_text(text)
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        assert drilled.restored is None
        failed = drilled.failed[-1]
    assert "data for table customers" in failed.detail
    assert "1062" in failed.detail or "1180" in failed.detail  # MariaDB finds it when it commits
    assert "Ada" not in failed.detail


async def test_a_full_dump_with_accounts_does_not_lock_us_out(shop: Shop) -> None:
    shop.dump(*ALL, "--all-databases", "--flush-privileges")
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        assert drilled.failed == []
        assert drilled.restored is not None
        assert drilled.restored.whole_cluster
        engine = await drilled.enclosure.reading(drilled.restored.target)
        assert (await engine.identity()).user == f"{ADMIN}@localhost"
        found = await drilled.ask("SELECT user FROM mysql.user WHERE user = 'app_user'")
    assert found == [("app_user",)]


async def test_a_dump_of_another_product_is_not_loaded_into_this_one(shop: Shop) -> None:
    """Inconclusive, and not the backup's fault: the programs are not here."""
    path = shop.dump(*ALL)
    other = "MySQL" if shop.mariadb else "MariaDB"
    text = path.read_text()
    line = next(one for one in text.splitlines() if one.startswith("-- Server version"))
    text = text.replace(line, f"-- Server version\t9.9.1{'' if shop.mariadb else '-MariaDB'}")
    path.write_text(text)
    binaries = shop.folder / "none"
    binaries.mkdir()
    async with shop.drill(Method.MYSQLDUMP, binaries=str(binaries)) as drilled:
        assert drilled.checks[0].outcome is Outcome.BROKEN
        assert other in drilled.checks[0].detail


async def test_a_dump_of_a_newer_server_is_inconclusive(shop: Shop) -> None:
    path = shop.dump(*ALL)
    text = path.read_text()
    line = next(one for one in text.splitlines() if one.startswith("-- Server version"))
    newer = "-- Server version\t99.1.1" + ("-MariaDB" if shop.mariadb else "")
    path.write_text(text.replace(line, newer))
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        assert drilled.checks[0].outcome is Outcome.BROKEN
        assert "99.1" in drilled.checks[0].detail


# ---- binary logs --------------------------------------------------------------------------------


async def later_orders(shop: Shop) -> datetime:
    """An order, the moment after it, and then everything gone."""
    await shop.run("FLUSH BINARY LOGS", "INSERT INTO orders (customer, amount) VALUES (1, 99)")
    await after_a_second()
    moment = datetime.now(UTC)
    await after_a_second()
    await shop.run("DROP TABLE orders", "FLUSH BINARY LOGS")
    return moment


async def test_binary_logs_are_replayed_to_a_time(shop: Shop) -> None:
    shop.dump(*ALL, position(shop))
    moment = await later_orders(shop)
    async with shop.drill(Method.MYSQLDUMP, to_time=moment, archive=shop.archive()) as drilled:
        assert drilled.failed == []
        assert drilled.restored is not None
        newest = drilled.restored.newest
        found = await drilled.ask(f"SELECT count(*) FROM {shop.database}.orders WHERE amount = 99")
    assert found == [(1,)]
    assert newest is not None
    assert abs((moment - newest).total_seconds()) < 5


async def test_a_missing_binary_log_is_named(shop: Shop) -> None:
    shop.dump(*ALL, position(shop))
    moment = await later_orders(shop)
    archive = shop.archive()
    names = sorted(one.name for one in archive.iterdir() if one.name[-6:].isdigit())
    gone = names[-2]
    (archive / gone).unlink()
    async with shop.drill(Method.MYSQLDUMP, to_time=moment, archive=archive) as drilled:
        assert drilled.restored is None
        assert drilled.failed[-1].items == (gone,)


async def test_binary_logs_that_end_before_the_time_are_not_enough(shop: Shop) -> None:
    shop.dump(*ALL, position(shop))
    await shop.run("INSERT INTO orders (customer, amount) VALUES (1, 99)", "FLUSH BINARY LOGS")
    archive = shop.archive()
    await after_a_second()
    moment = datetime.now(UTC)
    async with shop.drill(Method.MYSQLDUMP, to_time=moment, archive=archive) as drilled:
        assert drilled.restored is None
        assert "end at" in drilled.failed[-1].detail


async def test_a_dump_without_a_position_cannot_be_rolled_on(shop: Shop) -> None:
    path = shop.dump(*ALL, *(() if shop.mariadb else ("--set-gtid-purged=OFF",)))
    assert "LOG_POS" not in path.read_text()
    moment = datetime.now(UTC)
    async with shop.drill(Method.MYSQLDUMP, to_time=moment, archive=shop.archive()) as drilled:
        assert drilled.restored is None
        assert "position" in drilled.failed[-1].detail


def test_the_folder_of_a_test_is_private(tmp_path: Path) -> None:
    """So that the server's user can read nothing of it, as on a real host."""
    assert tmp_path.parent.parent.stat().st_mode & 0o077 == 0
