"""Backups of pgBackRest: listed as it tells them, restored by it, and held against the WAL there is."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console.errors import ActionFailed
from console.model.backups import Method, Source
from tests.integration.drills.archiving import Archived, archived
from tests.integration.drills.drilling import drilled, found

pytestmark = pytest.mark.skipif(not shutil.which("pgbackrest"), reason="pgbackrest is not installed")


def _command(root: Path) -> str:
    return f"pgbackrest --config={root}/pgbackrest.conf --stanza=main archive-push %p"


class Repository:
    def __init__(self, server: Archived) -> None:
        self.server = server
        self.config = server.root / "pgbackrest.conf"

    @property
    def source(self) -> Source:
        return Source(method=Method.PGBACKREST, path=str(self.config), stanza="main")

    def run(self, *words: str) -> str:
        return self.server.run("pgbackrest", f"--config={self.config}", "--stanza=main", *words)

    def configure(self) -> None:
        root, server = self.server.root, self.server.server
        folders = "".join(f"{name}-path={root}/{name}\n" for name in ("log", "lock", "spool"))
        self.config.write_text(
            f"[global]\nrepo1-path={root}/repo\n{folders}log-level-file=off\nstart-fast=y\n"
            "log-level-console=error\nlog-level-stderr=error\n"
            f"[main]\npg1-path={server.data}\npg1-port={server.port}\n"
            f"pg1-socket-path={server.socket_dir}\npg1-user=postgres\n"
        )
        for name in ("repo", "log", "lock", "spool"):
            self.server.run("mkdir", f"{root}/{name}")


@pytest.fixture
async def repository() -> AsyncIterator[Repository]:
    """A full backup and an incremental one, each followed by WAL."""
    async with archived("pg15", _command) as server:
        made = Repository(server)
        made.configure()
        made.run("stanza-create")
        made.run("backup", "--type=full")
        await server.add()
        made.run("backup", "--type=incr")
        await server.add()
        await server.switch()
        yield made


def segment_files(repository: Repository) -> list[Path]:
    folder = repository.server.root / "repo" / "archive" / "main"
    return sorted(one for one in folder.rglob("0*-*") if one.is_file())


async def test_its_backups_are_listed_as_it_tells_them(repository: Repository) -> None:
    full, incremental = (await found(repository.source)).values()
    assert (full.format, incremental.format) == ("full", "incremental")
    assert full.version == 15
    assert full.faults == ()
    assert full.started_at is not None
    assert full.bytes is not None
    assert full.bytes > 20_000_000


async def test_an_incremental_backup_is_restored_to_the_end_of_the_archive(repository: Repository) -> None:
    label = list(await found(repository.source))[1]
    async with drilled(repository.source, label, repository.server.binaries) as drill:
        assert drill.failed() == []
        assert drill.broken() == []
        assert await drill.ask("select count(*) from public.t") == [(2000,)]
        assert [one.name for one in await drill.fenced()] == []


async def test_it_is_recovered_to_a_time(repository: Repository) -> None:
    moment = await repository.server.add()
    await repository.server.add()
    await repository.server.switch()
    label = next(iter(await found(repository.source)))
    async with drilled(repository.source, label, repository.server.binaries, to_time=moment) as drill:
        assert drill.failed() == []
        assert await drill.ask("select count(*) from public.t") == [(3000,)]


async def test_a_missing_segment_is_named_though_the_restore_succeeds(repository: Repository) -> None:
    await repository.server.add()
    name = await repository.server.switch()
    await repository.server.add()
    await repository.server.switch()
    (gone,) = [one for one in segment_files(repository) if one.name.startswith(name)]
    gone.unlink()
    label = list(await found(repository.source))[1]
    async with drilled(repository.source, label, repository.server.binaries) as drill:
        (check,) = drill.failed()
        assert check.name == "WAL without a gap"
        assert check.items == (name,)


async def test_a_flipped_byte_is_named_by_its_file(repository: Repository) -> None:
    """Files of the incremental backup lie in the full one."""
    folder = repository.server.root / "repo" / "backup" / "main"
    victim = max(
        (one for one in folder.rglob("*.gz") if "pg_data/base" in str(one)),
        key=lambda one: one.stat().st_size,
    )
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 0xFF
    victim.write_bytes(data)
    label = next(iter(await found(repository.source)))
    async with drilled(repository.source, label, repository.server.binaries) as drill:
        assert drill.restored is None
        assert [one.name for one in drill.failed()] == ["restore with checksums by pgBackRest"]
        assert victim.name.removesuffix(".gz") in str(drill.failed()[0])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read what others may not")
async def test_a_repository_that_only_root_may_read_is_restored_all_the_same(repository: Repository) -> None:
    repository.server.run("true")
    for one in (repository.server.root / "repo", *(repository.server.root / "repo").rglob("*")):
        os.chown(one, 0, 0)
        one.chmod(0o700 if one.is_dir() else 0o600)
    label = next(iter(await found(repository.source)))
    async with drilled(repository.source, label, repository.server.binaries) as drill:
        assert drill.failed() == []
        assert drill.broken() == []
        assert await drill.ask("select count(*) from public.t") == [(2000,)]


async def test_an_unknown_stanza_is_told(repository: Repository) -> None:
    source = Source(method=Method.PGBACKREST, path=str(repository.config), stanza="other")
    with pytest.raises(ActionFailed, match="other"):
        await found(source)
