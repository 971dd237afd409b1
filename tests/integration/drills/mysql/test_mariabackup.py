"""Physical backups of a real MariaDB, good and bad, restored into servers of their own."""

from __future__ import annotations

import asyncio
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actions.mysql_fence import fence_checks
from console.errors import ActionFailed
from console.model.backups import Method, Source
from console.model.drills import Area, Outcome
from console.model.inventory import Wanted, differences
from tests.integration.drills.mysql.conftest import Shop, after_a_second
from tests.integration.drills.mysql.test_contents import as_root, sums
from tests.integration.drills.mysql.test_mysqldump import later_orders

# No xtrabackup for this MySQL is among Debian's packages.
pytestmark = pytest.mark.parametrize("mysql_name", ["mariadb"], indirect=True)


def backup(shop: Shop, name: str = "base", *options: str) -> Path:
    place = shop.folder / "physical" / name
    place.parent.mkdir(exist_ok=True)
    subprocess.run(
        ["mariadb-backup", "--no-defaults", "--backup", f"--socket={shop.server.socket}", "--user=root",
         f"--datadir={shop.server.data}", f"--target-dir={place}", *options],
        check=True, capture_output=True,
    )  # fmt: skip
    return place


async def written(shop: Shop) -> None:
    """Everything in its files, and a checkpoint after it: else the redo log mends what is flipped."""
    await asyncio.to_thread(shop.server.restart)


async def test_a_physical_backup_is_restored_as_its_source(shop: Shop) -> None:
    source = as_root(shop)
    wanted = await source.inventory(shop.database)
    rows = await source.contents(shop.database, Wanted(seconds=30))
    place = backup(shop)
    async with shop.drill(Method.MARIABACKUP, folder=place.parent) as drilled:
        assert drilled.failed == []
        assert drilled.restored is not None
        copy = await drilled.enclosure.reading(drilled.restored.target)
        assert not differences(wanted, await copy.inventory(shop.database))
        assert sums(await copy.contents(shop.database, Wanted(seconds=30))) == sums(rows)
        assert not differences(await source.inventory(""), await copy.inventory("")).missing
        found = await fence_checks(drilled.enclosure, drilled.restored)
        assert {one.outcome for one in found} == {Outcome.PASSED}
        sound = await drilled.integrity()
    assert {one.outcome for one in sound.values()} <= {Outcome.PASSED}
    names = [one.name for one in drilled.site.phases]
    assert names == ["restore", "recover"]


@pytest.mark.parametrize("kind", ["link", "isl"])
async def test_what_leads_to_the_live_files_is_not_started(shop: Shop, kind: str) -> None:
    place = backup(shop)
    if kind == "link":
        (place / "elsewhere").symlink_to(shop.server.data)
    else:
        (place / shop.database / "apart.isl").write_text(f"{shop.server.data}/apart.ibd")
    with pytest.raises(ActionFailed, match="enclosure" if kind == "link" else "DATA DIRECTORY"):
        async with shop.drill(Method.MARIABACKUP, folder=place.parent):
            pass


async def test_the_backup_itself_is_left_as_it_was(shop: Shop) -> None:
    place = backup(shop)
    before = {one: one.stat().st_mtime_ns for one in place.rglob("*")}
    async with shop.drill(Method.MARIABACKUP, folder=place.parent):
        pass
    assert {one: one.stat().st_mtime_ns for one in place.rglob("*")} == before


async def test_the_catalogue_tells_when_what_and_of_which_server(shop: Shop) -> None:
    place = backup(shop)
    found = await shop.backup(Source(method=Method.MARIABACKUP, path=str(place.parent)))
    assert found.server.startswith("MariaDB 10.11")
    assert found.version == 1011
    assert shop.database in found.databases
    assert found.label.startswith("binlog.0")
    assert found.started_at is not None
    assert abs((datetime.now(UTC) - found.started_at).total_seconds()) < 60
    assert found.faults == ()


async def test_a_flipped_byte_in_a_table_is_named(shop: Shop) -> None:
    await written(shop)
    place = backup(shop)
    path = place / shop.database / "orders.ibd"
    data = bytearray(path.read_bytes())
    page = 3 * 16384
    data[page + 200] ^= 0xFF
    path.write_bytes(data)
    async with shop.drill(Method.MARIABACKUP, folder=place.parent) as drilled:
        media = next(one for one in drilled.failed if one.area is Area.MEDIA)
        assert media.items == (f"{shop.database}/orders.ibd",)
        assert media.name == "checksums of pages"


async def test_a_flipped_byte_is_found_in_the_copy_too(shop: Shop) -> None:
    """Where nobody looked at the files before: by reading the table, or because the server dies of it."""
    await written(shop)
    place = backup(shop)
    path = place / shop.database / "orders.ibd"
    data = bytearray(path.read_bytes())
    data[3 * 16384 + 200] ^= 0xFF
    path.write_bytes(data)
    async with shop.drill(Method.MARIABACKUP, folder=place.parent) as drilled:
        if drilled.restored is None:
            assert [one for one in drilled.failed if one.area is Area.RECOVERY]
            return
        found = (await drilled.integrity())["CHECK TABLE"]
    assert found.outcome is Outcome.FAILED
    assert f"{shop.database}.orders" in found.detail


async def test_a_backup_without_a_table_of_its_source_lacks_it_by_name(shop: Shop) -> None:
    await written(shop)
    wanted = await as_root(shop).inventory(shop.database)
    place = backup(shop, "base", f"--tables-exclude=^{shop.database}[.]keyless$")
    async with shop.drill(Method.MARIABACKUP, folder=place.parent) as drilled:
        assert drilled.restored is not None
        copy = await drilled.enclosure.reading(drilled.restored.target)
        missing = differences(wanted, await copy.inventory(shop.database)).missing
    assert ("table", "keyless") in missing


async def test_an_unfinished_backup_is_named_as_such(shop: Shop) -> None:
    place = backup(shop)
    (place / "xtrabackup_checkpoints").unlink()
    found = await shop.backup(Source(method=Method.MARIABACKUP, path=str(place.parent)))
    assert "not finished" in found.faults[0]
    async with shop.drill(Method.MARIABACKUP, folder=place.parent) as drilled:
        assert drilled.restored is None
        assert [one.name for one in drilled.failed][:1] == ["the backup is whole"]


async def test_a_cut_off_redo_log_cannot_be_prepared(shop: Shop) -> None:
    await shop.run(
        "INSERT INTO keyless SELECT left(uuid(), 20), 1 FROM information_schema.columns LIMIT 1000"
    )
    place = backup(shop)
    log = place / "ib_logfile0"
    log.write_bytes(log.read_bytes()[:-9000])
    async with shop.drill(Method.MARIABACKUP, folder=place.parent) as drilled:
        assert drilled.restored is None
        assert "redo log ends at" in drilled.failed[-1].detail


async def test_the_wrong_major_version_is_inconclusive(shop: Shop) -> None:
    """Not the backup's fault: another server is wanted."""
    place = backup(shop)
    info = place / "xtrabackup_info"
    info.write_text(info.read_text().replace("server_version = 10.11", "server_version = 10.6"))
    async with shop.drill(Method.MARIABACKUP, folder=place.parent) as drilled:
        assert drilled.checks[0].outcome is Outcome.BROKEN
        assert "10.6" in drilled.checks[0].detail


async def test_a_stream_is_named_as_one(shop: Shop) -> None:
    folder = shop.folder / "physical"
    folder.mkdir()
    (folder / "base.xb").write_bytes(b"XBSTCK01")
    found = await shop.backup(Source(method=Method.MARIABACKUP, path=str(folder)))
    assert "mbstream" in found.faults[0]


async def test_an_increment_is_named_as_one(shop: Shop) -> None:
    place = backup(shop)
    backup(shop, "increment", f"--incremental-basedir={place}")
    found = await shop.backup(Source(method=Method.MARIABACKUP, path=str(place.parent)), "increment")
    assert "increment" in found.faults[0]


async def test_binary_logs_are_replayed_on_a_physical_backup(shop: Shop) -> None:
    place = backup(shop)
    moment = await later_orders(shop)
    async with shop.drill(
        Method.MARIABACKUP, folder=place.parent, to_time=moment, archive=shop.archive()
    ) as drilled:
        assert drilled.failed == []
        found = await drilled.ask(f"SELECT count(*) FROM {shop.database}.orders WHERE amount = 99")
    assert found == [(1,)]


async def test_it_does_not_replicate_and_forgets_its_source(shop: Shop) -> None:
    """A copy of a replica knows the login of its source: it neither calls there nor keeps it."""
    await shop.run(
        "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, MASTER_USER='r', MASTER_PASSWORD='s3cret'",
        "CREATE OR REPLACE SERVER elsewhere FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'db', PASSWORD 'x')",
    )
    try:
        await after_a_second()
        place = backup(shop)
    finally:
        await shop.run("RESET SLAVE ALL", "DROP SERVER elsewhere")
    async with shop.drill(Method.MARIABACKUP, folder=place.parent) as drilled:
        assert drilled.restored is not None
        found = {one.name: one for one in await fence_checks(drilled.enclosure, drilled.restored)}
        assert {one.outcome for one in found.values()} == {Outcome.PASSED}
        assert found["no logins to elsewhere"].items == ("elsewhere",)
        assert await drilled.ask("SELECT count(*) FROM mysql.servers") == [(0,)]
