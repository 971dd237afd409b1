"""Base backups of pg_basebackup: restored, recovered to the end or a time, and every fault named."""

from __future__ import annotations

import gzip
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from console.model.backups import Method, Source
from console.model.drills import Area, Outcome
from tests.integration.drills.archiving import Archived, archived
from tests.integration.drills.drilling import Drilled, drilled, found
from tests.servers import places


@pytest.fixture
async def server(postgres_name: str) -> AsyncIterator[Archived]:
    async with archived(postgres_name) as made:
        yield made


@pytest.fixture
async def server18() -> AsyncIterator[Archived]:
    async with archived("pg18") as made:
        yield made


def source_of(server: Archived, *, archive: bool = True) -> Source:
    return Source(
        method=Method.PG_BASEBACKUP,
        path=str(server.root / "backups"),
        archive=str(server.wal) if archive else None,
    )


async def backed_up(server: Archived, *options: str) -> Path:
    """A thousand rows before it, a thousand after it, in the archive."""
    await server.add()
    place = server.root / "backups" / "base"
    server.base_backup(place, *options)
    await server.add()
    await server.switch()
    return place


def names(drill: Drilled) -> list[str]:
    return [one.name for one in drill.failed()]


# ---- whole ones ----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("-Ft",), ("-Ft", "-z")], ids=["plain", "tar", "gzip"])
async def test_it_is_recovered_to_the_end_of_the_archive(server: Archived, options: tuple[str, ...]) -> None:
    await backed_up(server, *options)
    async with drilled(source_of(server), "base", server.binaries) as drill:
        assert drill.failed() == []
        assert drill.broken() == []
        assert await drill.ask("select count(*) from public.t") == [(2000,)]
        assert await drill.fenced() == []
        assert drill.restored is not None
        assert drill.restored.newest is not None
        assert datetime.now(UTC) - drill.restored.newest < timedelta(minutes=2)


async def test_its_label_and_version_are_read(server: Archived) -> None:
    for name, options in (("plain", ()), ("tar", ("-Ft",)), ("packed", ("-Ft", "-z"))):
        server.base_backup(server.root / "backups" / name, "-l", "a label", *options)
    for backup in (await found(source_of(server))).values():
        assert backup.version == server.server.version
        assert backup.label == "a label"
        assert backup.faults == ()
        assert backup.started_at is not None
        assert abs((datetime.now(UTC) - backup.started_at).total_seconds()) < 120


async def test_without_an_archive_it_comes_up_as_it_was_taken(server18: Archived) -> None:
    await backed_up(server18)
    async with drilled(source_of(server18, archive=False), "base", server18.binaries) as drill:
        assert drill.failed() == []
        assert await drill.ask("select count(*) from public.t") == [(1000,)]


async def test_it_is_recovered_to_a_time(server: Archived) -> None:
    await backed_up(server)
    moment = await server.add()
    await server.add()
    await server.switch()
    async with drilled(source_of(server), "base", server.binaries, to_time=moment) as drill:
        assert drill.failed() == []
        assert await drill.ask("select count(*) from public.t") == [(3000,)]
        assert drill.restored is not None
        assert drill.restored.newest is not None
        assert drill.restored.newest <= moment


async def test_compressed_segments_of_an_archive_are_replayed(server18: Archived) -> None:
    await backed_up(server18)
    for one in list(server18.wal.iterdir()):
        one.with_name(f"{one.name}.gz").write_bytes(gzip.compress(one.read_bytes()))
        one.unlink()
    async with drilled(source_of(server18), "base", server18.binaries) as drill:
        assert drill.failed() == []
        assert await drill.ask("select count(*) from public.t") == [(2000,)]


@pytest.mark.parametrize("form", ["plain", "tar"])
async def test_tablespaces_stay_within_the_enclosure(server: Archived, form: str) -> None:
    space, copy = server.root / "space", server.root / "copy"
    server.run("mkdir", str(space))
    await server.sql(f"create tablespace fast location '{space}'")
    await server.sql("create table u tablespace fast as select 1 as i", "select 1")
    await backed_up(server, *(["-T", f"{space}={copy}"] if form == "plain" else ["-Ft"]))
    async with drilled(source_of(server), "base", server.binaries) as drill:
        assert drill.failed() == []
        assert drill.broken() == []
        assert await drill.ask("select count(*) from public.u") == [(1,)]
        ((place,),) = await drill.ask(
            "select pg_tablespace_location(oid) from pg_tablespace where spcname = 'fast'"
        )
        assert str(place).startswith(str(drill.enclosure.root))


async def test_a_superuser_of_another_name_is_found(server18: Archived) -> None:
    connection = await server18.connect()
    await connection.execute("create role helper superuser login")
    await connection.execute("set role helper")
    await connection.close()
    await backed_up(server18)
    async with server18.renamed("boss"):
        server18.base_backup(server18.root / "backups" / "other", user="boss")
    async with drilled(source_of(server18, archive=False), "other", server18.binaries) as drill:
        assert drill.broken() == []
        assert drill.restored is not None
        assert drill.restored.target.monitor.user == "boss"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read what others may not")
async def test_what_only_root_may_read_is_restored_all_the_same(server18: Archived) -> None:
    await backed_up(server18)
    for top in (server18.root / "backups", server18.wal):
        for one in (top, *top.rglob("*")):
            if not one.is_symlink():
                os.chown(one, 0, 0)
                one.chmod(0o700 if one.is_dir() else 0o600)
    async with drilled(source_of(server18), "base", server18.binaries) as drill:
        assert drill.failed() == []
        assert drill.broken() == []
        assert await drill.ask("select count(*) from public.t") == [(2000,)]


# ---- faults --------------------------------------------------------------------------------------


async def test_a_flipped_byte_is_named_by_its_file(server: Archived) -> None:
    place = await backed_up(server)
    victim = max((place / "base").glob("*/*"), key=lambda one: one.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 0xFF
    victim.write_bytes(data)
    async with drilled(source_of(server), "base", server.binaries) as drill:
        assert "files as backup_manifest says" in names(drill)
        assert f"{victim.parent.name}/{victim.name}" in str(drill.failed())


@pytest.mark.parametrize("options", [("-Ft",), ("-Ft", "-z")], ids=["tar", "gzip"])
async def test_a_cut_tar_fails(server18: Archived, options: tuple[str, ...]) -> None:
    place = await backed_up(server18, *options)
    (tar,) = place.glob("base.tar*")
    with tar.open("r+b") as file:
        file.truncate(tar.stat().st_size // 2)
    async with drilled(source_of(server18), "base", server18.binaries) as drill:
        assert drill.failed() != []


async def test_a_missing_segment_in_the_middle_is_named(server: Archived) -> None:
    await backed_up(server)
    await server.add()
    gone = await server.switch()
    await server.add()
    last = await server.switch()
    (server.wal / gone).unlink()
    async with drilled(source_of(server), "base", server.binaries) as drill:
        assert names(drill) == ["WAL without a gap"]
        (check,) = drill.failed()
        assert check.items == (gone,)
        assert last in check.detail
        assert await drill.ask("select count(*) from public.t") == [(2000,)]


async def test_a_damaged_segment_stops_short_of_the_archive_and_is_told(server: Archived) -> None:
    """It is there, and its pages are not valid: the list of segments has no gap."""
    await backed_up(server)
    await server.add()
    bad = await server.switch()
    await server.add()
    await server.switch()
    (server.wal / bad).write_bytes(bytes(16 << 20))
    async with drilled(source_of(server), "base", server.binaries) as drill:
        assert names(drill) == ["recovered to the end of the archive"]
        assert "but the archive goes to" in drill.failed()[0].detail


async def test_a_time_beyond_the_archive_is_not_reached(server18: Archived) -> None:
    await backed_up(server18)
    beyond = datetime.now(UTC) + timedelta(days=1)
    async with drilled(source_of(server18), "base", server18.binaries, to_time=beyond) as drill:
        assert drill.restored is None
        assert "recovery ended before configured recovery target was reached" in str(drill.failed())


async def test_a_time_before_the_backup_is_inconclusive(server18: Archived) -> None:
    await backed_up(server18)
    before = datetime.now(UTC) - timedelta(days=1)
    async with drilled(source_of(server18), "base", server18.binaries, to_time=before) as drill:
        assert drill.failed() == []
        assert "is before this backup began" in drill.broken()[0].detail
        assert drill.broken()[0].name == "time"


async def test_programs_of_another_major_version_are_inconclusive(server18: Archived) -> None:
    await backed_up(server18)
    async with drilled(source_of(server18), "base", places.postgres_binaries("pg17")) as drill:
        (broken,) = drill.broken()
        assert broken.area is Area.GROUND
        assert drill.failed() == []


async def test_a_backup_without_its_label_is_seen_at_once(server18: Archived) -> None:
    place = await backed_up(server18)
    (place / "backup_label").unlink()
    (backup,) = (await found(source_of(server18))).values()
    assert "has no backup_label" in backup.faults[0]


async def test_without_a_manifest_the_checksums_are_skipped_not_passed(server18: Archived) -> None:
    await backed_up(server18, "--no-manifest")
    async with drilled(source_of(server18), "base", server18.binaries) as drill:
        outcomes = {one.name: one.outcome for one in drill.checks}
        assert outcomes["files as backup_manifest says"] is Outcome.SKIPPED
        assert drill.failed() == []


# ---- what the copy would do ----------------------------------------------------------------------


async def test_a_copy_does_not_use_the_settings_of_its_server(server18: Archived) -> None:
    """An archive_command that would write, and a recovery_end_command that would run."""
    witness = server18.root / "witness"
    connection = await server18.connect()
    await connection.execute(f"alter system set recovery_end_command = 'touch {witness}'")
    await connection.execute("alter system set log_directory = '/nonexistent'")
    await connection.close()
    await backed_up(server18)
    before = sorted(one.name for one in server18.wal.iterdir())
    async with drilled(source_of(server18), "base", server18.binaries) as drill:
        assert drill.failed() == []
        assert await drill.ask("select pg_switch_wal() is not null") == [(True,)]
        assert any("settings of postgresql.auto.conf were not used" in one.detail for one in drill.checks)
    assert sorted(one.name for one in server18.wal.iterdir()) == before
    assert not witness.exists()


async def test_subscriptions_and_foreign_passwords_are_taken_away(server18: Archived) -> None:
    connection = await server18.connect()
    await connection.execute(
        "create subscription away connection 'host=127.0.0.1 port=1 dbname=x' publication p "
        "with (connect = false, slot_name = 'away')"
    )
    await connection.execute("alter subscription away enable")
    await connection.execute("create extension postgres_fdw")
    await connection.execute("create server far foreign data wrapper postgres_fdw options (host '127.0.0.1')")
    await connection.execute("create user mapping for public server far options (user 'u', password 'p')")
    await connection.close()
    await backed_up(server18)
    async with drilled(source_of(server18), "base", server18.binaries) as drill:
        assert drill.failed() == []
        assert drill.broken() == []
        (check,) = [one for one in drill.checks if one.name == "what could act by itself"]
        assert "subscription away of postgres was disabled" in check.items
        assert await drill.ask("select subenabled from pg_subscription") == [(False,)]
        assert await drill.ask("select umoptions::text from pg_user_mapping") == [("{user=u}",)]
        assert await drill.fenced() == []
