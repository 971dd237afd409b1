"""Dumps of PostgreSQL: what is wrong with them is named, and what is not is restored, whoever we are."""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from console.backups import manifest
from console.dispatch.action import Advance, Stop, Watch
from console.errors import Cancelled
from console.model.backups import Method, Source
from console.model.drills import Area, Outcome
from tests.integration.drills.drilling import Drilled, drilled, found
from tests.servers import places
from tests.servers.postgres import PostgresServer

FORMATS = {"directory": "shop", "custom": "shop.dump", "tar": "shop.tar", "plain": "shop.sql"}
ROWS = 5000


@pytest.fixture
async def shop(postgres: PostgresServer) -> str:
    await postgres.forget_databases()
    return await filled(postgres)


async def filled(server: PostgresServer) -> str:
    name = await server.new_database()
    plain = await server.connect(database=name)
    try:
        await plain.execute(
            f"""
            create schema s;
            create table s.t(id int primary key, v text not null);
            insert into s.t select g, md5(g::text) from generate_series(1, {ROWS}) g;
            create table s.u(id int references s.t);
            insert into s.u select g from generate_series(1, 100) g;
            create view s.w as select * from s.t;
            create function s.f(int) returns int language sql as 'select $1';
            create table s.odd("a "" b" int);
            alter table s.t owner to app_user;
            grant select on s.u to app_user;
            alter database {name} set work_mem = '5MB';
            select lo_from_bytea(0, 'a large object');
            """
        )
    finally:
        await plain.close()
    return name


class Folder:
    """Of dumps by the server's own programs."""

    def __init__(self, server: PostgresServer, path: Path) -> None:
        self.server = server
        self.path = path

    @property
    def source(self) -> Source:
        return Source(method=Method.PG_DUMP, path=str(self.path))

    def run(self, program: str, *words: str) -> None:
        connection = ["-h", self.server.host, "-p", str(self.server.port), "-U", "postgres"]
        subprocess.run([str(self.server.binaries / program), *connection, *words], check=True)

    def dump(self, database: str, form: str, *options: str) -> Path:
        place = self.path / FORMATS[form]
        self.run("pg_dump", "-d", database, f"--format={form}", "-f", str(place), *options)
        return place

    def globals(self) -> None:
        self.run("pg_dumpall", "-g", "-f", str(self.path / "shop.globals.sql"))

    async def drill(self, place: Path, check: Callable[[Drilled], object]) -> None:
        async with drilled(self.source, place.name, self.server.binaries) as drill:
            check(drill)


@pytest.fixture
def folder(postgres: PostgresServer, tmp_path: Path) -> Folder:
    return Folder(postgres, tmp_path)


@pytest.fixture
def folder18(postgres18: PostgresServer, tmp_path: Path) -> Folder:
    return Folder(postgres18, tmp_path)


def damage(path: Path) -> None:
    """One byte in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def cut(path: Path) -> None:
    """The second half is lost."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def said(drill: Drilled) -> str:
    return str(drill.failed())


# ---- whole ones ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
async def test_a_dump_with_its_globals_comes_back_whole(folder: Folder, shop: str, form: str) -> None:
    place = folder.dump(shop, form, *(["-C"] if form == "plain" else []))
    folder.globals()
    async with drilled(folder.source, place.name, folder.server.binaries) as drill:
        assert drill.failed() == []
        assert drill.broken() == []
        assert drill.restored is not None
        assert drill.restored.databases == (shop,)
        assert drill.restored.whole_cluster
        assert await drill.ask("select count(*) from s.t") == [(ROWS,)]
        assert await drill.ask("select tableowner from pg_tables where tablename = 't'") == [("app_user",)]
        assert await drill.ask("show work_mem") == [("5MB",)]
        assert await drill.ask("select count(*) from pg_largeobject_metadata") == [(1,)]
        assert await drill.ask("select count(*) from pg_authid where rolpassword is not null") == [(0,)]
        assert await drill.fenced() == []


async def test_a_dump_of_everything_comes_back_whole(folder: Folder, shop: str) -> None:
    place = folder.path / "all.sql.gz"
    connection = ["-h", folder.server.host, "-p", str(folder.server.port), "-U", "postgres"]
    dumped = subprocess.run(
        [str(folder.server.binaries / "pg_dumpall"), *connection], check=True, capture_output=True
    )
    place.write_bytes(gzip.compress(dumped.stdout))
    async with drilled(folder.source, place.name, folder.server.binaries) as drill:
        assert drill.failed() == []
        assert drill.restored is not None
        assert shop in drill.restored.databases
        assert await drill.ask("select count(*) from s.t", shop) == [(ROWS,)]
        assert await drill.ask("select count(*) from pg_authid where rolpassword is not null") == [(0,)]


async def test_the_header_of_an_archive_is_read(folder: Folder, shop: str) -> None:
    for form in ("directory", "custom", "tar"):
        folder.dump(shop, form)
    for backup in (await found(folder.source)).values():
        assert backup.version == folder.server.major
        assert backup.databases == (shop,)
        assert backup.started_at is not None
        assert abs(backup.started_at.timestamp() - time.time()) < 60
        assert backup.faults == ()


async def test_progress_ends_at_its_total(folder18: Folder) -> None:
    seen: list[Advance] = []
    place = folder18.dump(await filled(folder18.server), "directory")
    watch = Watch(advance=seen.append)
    async with drilled(folder18.source, place.name, folder18.server.binaries, watch=watch):
        pass
    restoring = [one for one in seen if one.phase == "restore" and one.unit == "B"]
    assert restoring
    assert restoring[-1].done == restoring[-1].total


# ---- faults --------------------------------------------------------------------------------------


async def test_without_globals_the_lost_roles_are_named(folder: Folder, shop: str) -> None:
    def check(drill: Drilled) -> None:
        assert [one.name for one in drill.failed()] == ["roles"], drill.failed()
        (failed,) = drill.failed()
        assert "app_user" in failed.detail
        assert any("s.t" in one for one in failed.items)

    await folder.drill(folder.dump(shop, "custom"), check)


@pytest.mark.parametrize("form", ["directory", "custom", "tar"])
async def test_a_truncated_archive_fails(folder: Folder, shop: str, form: str) -> None:
    place = folder.dump(shop, form)
    folder.globals()
    cut(max(place.glob("*.dat*"), key=lambda one: one.stat().st_size) if place.is_dir() else place)
    await folder.drill(place, lambda drill: _failed(drill, "archive readable to its end"))


@pytest.mark.parametrize("form", ["directory", "custom"])
async def test_a_flipped_byte_in_data_fails(folder: Folder, shop: str, form: str) -> None:
    place = folder.dump(shop, form)
    folder.globals()
    damage(max(place.glob("*.dat.gz"), key=lambda one: one.stat().st_size) if place.is_dir() else place)
    await folder.drill(place, lambda drill: _failed(drill, "archive readable to its end"))


def _failed(drill: Drilled, name: str) -> None:
    assert name in [one.name for one in drill.failed()]


async def test_a_missing_data_file_is_named_at_once_with_its_table(folder: Folder, shop: str) -> None:
    place = folder.dump(shop, "directory")
    max(place.glob("*.dat.gz"), key=lambda one: one.stat().st_size).unlink()
    backup = (await found(folder.source))[place.name]
    assert backup.faults == ("the files of table data s.t are missing",)


async def test_a_cut_script_is_seen_at_once_and_fails(folder: Folder, shop: str) -> None:
    place = folder.dump(shop, "plain")
    cut(place)
    backup = (await found(folder.source))[place.name]
    assert any("cut off" in one for one in backup.faults)
    await folder.drill(place, lambda drill: _failed(drill, "script complete"))


async def test_a_cut_gzip_script_fails(folder18: Folder) -> None:
    place = folder18.dump(await filled(folder18.server), "plain")
    packed = place.with_name("shop.sql.gz")
    packed.write_bytes(gzip.compress(place.read_bytes()))
    place.unlink()
    cut(packed)
    await folder18.drill(packed, lambda drill: _failed(drill, "script complete"))


async def test_data_in_the_wrong_encoding_fail_by_their_table_and_show_no_value(
    folder: Folder, shop: str
) -> None:
    place = folder.dump(shop, "plain")
    folder.globals()
    text = place.read_bytes().replace(b"c4ca4238a0b923820dcc509a6f75849b", b"S\xe9cret-\xff")
    place.write_bytes(text)

    def check(drill: Drilled) -> None:
        assert "COPY s.t" in said(drill)
        assert "invalid byte sequence" in said(drill)
        assert "cret" not in said(drill)

    await folder.drill(place, check)


async def test_a_dump_of_a_server_that_is_newer_than_the_programs_is_inconclusive(
    folder18: Folder,
) -> None:
    place = folder18.dump(await filled(folder18.server), "custom")
    async with drilled(folder18.source, place.name, places.postgres_binaries("pg15")) as drill:
        (broken,) = drill.broken()
        assert broken.area is Area.GROUND
        assert "no PostgreSQL 18 or newer" in broken.detail
        assert drill.failed() == []


async def test_an_extension_that_the_engine_lacks_is_not_the_backups_fault(folder18: Folder) -> None:
    """Renamed in the table of contents, of the same length."""
    database = await filled(folder18.server)
    plain = await folder18.server.connect(database=database)
    await plain.execute("create extension amcheck")
    await plain.close()
    place = folder18.dump(database, "custom", "-Z0")
    place.write_bytes(place.read_bytes().replace(b"amcheck", b"amsheck"))
    async with drilled(folder18.source, place.name, folder18.server.binaries) as drill:
        (broken,) = drill.broken()
        assert "lacks the extensions amsheck" in broken.detail
        assert drill.restored is None


async def test_what_this_machine_cannot_restore_is_not_said_to_be_missing(folder: Folder, shop: str) -> None:
    place = folder.dump(shop, "plain")
    folder.globals()
    lacking = "CREATE FUNCTION s.g() RETURNS int LANGUAGE c AS '$libdir/nowhere', 'g';"
    text = place.read_text().replace("SET row_security = off;", f"SET row_security = off;\n{lacking}", 1)
    place.write_text(text.replace("s.g()", "public.g()"))
    async with drilled(folder.source, place.name, folder.server.binaries) as drill:
        assert [one.name for one in drill.broken()] == ["engine and disk"]
        assert drill.failed() == []
        assert drill.restored is None


async def test_a_dump_of_a_zone_in_the_east_is_not_younger_than_its_file(folder: Folder, shop: str) -> None:
    place = folder.path / "east.dump"
    where = ["-h", folder.server.host, "-p", str(folder.server.port), "-U", "postgres"]
    argv = [str(folder.server.binaries / "pg_dump"), *where, "-Fc", "-f", str(place), shop]
    subprocess.run(argv, check=True, env={**os.environ, "TZ": "XYZ-14"})
    backup = (await found(folder.source))[place.name]
    assert backup.started_at is not None
    assert backup.ended_at is not None
    assert timedelta(0) <= backup.ended_at - backup.started_at < timedelta(minutes=16)
    assert any("another time zone" in one for one in backup.notes)


async def test_a_damaged_manifest_does_not_make_the_dump_unknown(folder: Folder, shop: str) -> None:
    place = folder.dump(shop, "custom")
    manifest.place(place).write_text("{")
    backup = (await found(folder.source))[place.name]
    assert backup.format == "custom"
    assert "is no manifest" in backup.faults[0]


async def test_a_locale_that_is_not_here_is_told_and_costs_no_proof(folder18: Folder) -> None:
    place = folder18.dump(await filled(folder18.server), "custom", "-Z0")
    folder18.globals()
    data = place.read_bytes()
    assert b"LOCALE = 'C'" in data
    place.write_bytes(
        data.replace(
            b"LOCALE_PROVIDER = builtin LOCALE = 'C' BUILTIN_LOCALE = 'C.UTF-8'",
            b"LOCALE = 'xx_XX.UTF-8'" + b" " * 43,
        )
    )
    async with drilled(folder18.source, place.name, folder18.server.binaries) as drill:
        assert drill.failed() == []
        skipped = [one for one in drill.checks if one.area is Area.COLLATION]
        assert [one.outcome for one in skipped] == [Outcome.SKIPPED]
        assert await drill.ask("select count(*) from s.t") == [(ROWS,)]


async def test_a_command_hidden_in_a_script_is_not_run(folder: Folder, shop: str) -> None:
    """CVE-2025-8714: a script of an older pg_dump, which does not forbid commands itself."""
    place = folder.dump(shop, "plain")
    folder.globals()
    witness = Path("/tmp") / f"dbdeck-witness-{os.getpid()}"
    lines = [
        one for one in place.read_text().splitlines() if not one.startswith(("\\restrict", "\\unrestrict"))
    ]
    place.write_text(
        "\n".join([f"\\! touch {witness}" if one == "SET row_security = off;" else one for one in lines])
    )
    await folder.drill(place, lambda drill: None)
    assert not witness.exists()


async def test_odd_entries_are_listed_with_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "empty.dump").touch()
    (tmp_path / "other.bin").write_bytes(b"something else")
    (tmp_path / ".half.partial").mkdir()
    (tmp_path / "damaged.dump").write_bytes(b"PGDMP\x01\x0e")
    (tmp_path / "folder").mkdir()
    source = Source(method=Method.PG_DUMP, path=str(tmp_path))
    faults = {name: one.faults for name, one in (await found(source)).items()}
    assert faults["empty.dump"] == ("it is empty",)
    assert faults["other.bin"] == ("it is no dump of PostgreSQL",)
    assert "not finished" in faults[".half.partial"][0]
    assert "header is damaged" in faults["damaged.dump"][0]
    assert faults["folder"] != ()


# ---- who and when --------------------------------------------------------------------------------


async def test_a_stop_ends_all_that_was_started(folder18: Folder) -> None:
    database = await filled(folder18.server)
    plain = await folder18.server.connect(database=database)
    await plain.execute("insert into s.t select g, md5(g::text) from generate_series(10000, 1500000) g")
    await plain.close()
    place = folder18.dump(database, "directory")
    watch = Watch(stop=Stop())

    async def stop_soon() -> None:
        while not _processes(str(place).encode()):
            await asyncio.sleep(0.02)
        watch.stop.ask("a test")

    task = asyncio.create_task(stop_soon())
    with pytest.raises(Cancelled):
        async with drilled(folder18.source, place.name, folder18.server.binaries, watch=watch):
            pass
    await task
    assert _processes(str(place).encode()) == []


def _processes(words: bytes) -> list[tuple[int, int]]:
    """(pid, uid) of those whose command line has these words."""
    found_ = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = (process / "exe").readlink().name.startswith("python")  # the fence, before it is closed
            if words in (process / "cmdline").read_bytes() and not ours:
                found_.append((int(process.name), process.stat().st_uid))
        except OSError:
            continue
    return found_


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has somebody to become")
async def test_as_root_the_children_are_not_root_though_the_dump_is_roots(folder: Folder, shop: str) -> None:
    """pg_restore may read what the server's user may not, and nothing more."""
    place = folder.dump(shop, "directory")
    folder.globals()
    for one in (place, *place.iterdir()):
        one.chmod(0o700 if one.is_dir() else 0o600)
    owners: set[int] = set()

    async def look() -> None:
        while True:
            for words in (b"pg_restore\0-h", b"/bin/postgres\0-D", b"psql\0-X"):
                owners.update(uid for _, uid in await asyncio.to_thread(_workers, words))
            await asyncio.sleep(0.01)

    task = asyncio.create_task(look())
    async with drilled(folder.source, place.name, folder.server.binaries) as drill:
        assert drill.failed() == []
    task.cancel()
    assert owners
    assert 0 not in owners


def _workers(words: bytes) -> list[tuple[int, int]]:
    """Without those words before it that make it what it is, which are root's."""
    return [(pid, uid) for pid, uid in _processes(words) if _program(pid) not in _WRAPPERS]


_WRAPPERS = ("unshare", "setpriv", "prlimit", "")


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return ""


@pytest.mark.skipif(os.geteuid() != 0, reason="it becomes an ordinary user")
async def test_an_ordinary_user_can_drill(
    folder: Folder, shop: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = folder.dump(shop, "directory")
    folder.globals()
    root = Path("/tmp") / f"dbdeck-ordinary-{os.getpid()}"
    shutil.copytree(folder.path, root / "dumps")
    try:
        for one in (root, *root.rglob("*")):
            os.chown(one, 65534, 65534)
        script = Path(__file__).with_name("ordinary.py")
        done = await asyncio.to_thread(
            subprocess.run,
            [
                *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"),
                *(sys.executable, str(script), str(root / "dumps"), place.name, str(folder.server.binaries)),
            ],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[3],
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[3]), "HOME": str(root)},
            check=False,
        )
    finally:
        shutil.rmtree(root)
    assert done.stdout.strip() == f"{ROWS} []", done.stderr
