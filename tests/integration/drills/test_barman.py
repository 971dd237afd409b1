"""Backups of Barman: listed as it tells them, restored by it, and held against the WAL there is."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console.errors import ActionFailed
from console.model.backups import Method, Source
from console.model.drills import Outcome
from tests.integration.drills.archiving import Archived, archived
from tests.integration.drills.drilling import drilled, found

pytestmark = pytest.mark.skipif(not shutil.which("barman"), reason="barman is not installed")


def _command(root: Path) -> str:
    return f"cp %p {root}/home/main/incoming/%f"


class Repository:
    def __init__(self, server: Archived) -> None:
        self.server = server
        self.config = server.root / "barman.conf"
        self.home = server.root / "home"

    @property
    def source(self) -> Source:
        return Source(method=Method.BARMAN, path=str(self.config), server="main")

    def run(self, *words: str) -> str:
        return self.server.run("barman", "-c", str(self.config), *words)

    def configure(self) -> None:
        server, root = self.server.server, self.server.root
        user = pwd.getpwuid(server.account.uid).pw_name
        login = f"host={server.socket_dir} port={server.port} user=postgres"
        self.config.write_text(
            f"[barman]\nbarman_user={user}\nbarman_home={self.home}\nlog_file={self.home}/barman.log\n"
            f"configuration_files_directory={root}/none\ncompression=gzip\n"
            f"[main]\ndescription=a test\nconninfo={login} dbname=postgres\nstreaming_conninfo={login}\n"
            f"backup_method=postgres\narchiver=on\npath_prefix={self.server.binaries}\n"
        )
        self.server.run("mkdir", f"{root}/none")
        self.server.run("mkdir", "-p", f"{self.home}/main/incoming")

    async def shipped(self) -> str:
        """End the segment, and have Barman take it."""
        name = await self.server.switch()
        self.run("archive-wal", "main")
        return name


@pytest.fixture
async def repository() -> AsyncIterator[Repository]:
    async with archived("pg15", _command) as server:
        made = Repository(server)
        made.configure()
        await server.add()
        await made.shipped()
        made.run("backup", "main", "--wait")
        await server.add()
        await made.shipped()
        yield made


async def test_a_backup_is_listed_as_it_tells_it(repository: Repository) -> None:
    (backup,) = (await found(repository.source)).values()
    assert backup.version == 15
    assert backup.started_at is not None
    assert backup.faults == ()


async def test_it_is_restored_to_the_end_of_the_archive(repository: Repository) -> None:
    (name,) = await found(repository.source)
    async with drilled(repository.source, name, repository.server.binaries) as drill:
        assert drill.failed() == []
        assert drill.broken() == []
        assert await drill.ask("select count(*) from public.t") == [(2000,)]
        assert await drill.fenced() == []


async def test_it_is_recovered_to_a_time(repository: Repository) -> None:
    moment = await repository.server.add()
    await repository.server.add()
    await repository.shipped()
    (name,) = await found(repository.source)
    async with drilled(repository.source, name, repository.server.binaries, to_time=moment) as drill:
        assert drill.failed() == []
        assert await drill.ask("select count(*) from public.t") == [(3000,)]


async def test_a_missing_segment_is_named(repository: Repository) -> None:
    await repository.server.add()
    gone = await repository.shipped()
    await repository.server.add()
    await repository.shipped()
    (file,) = (repository.home / "main" / "wals").rglob(gone)
    file.unlink()
    (name,) = await found(repository.source)
    async with drilled(repository.source, name, repository.server.binaries) as drill:
        assert any(gone in str(one) for one in drill.failed())


async def test_a_flipped_byte_is_named_by_its_file(repository: Repository) -> None:
    victim = max(
        (repository.home / "main" / "base").glob("*/data/base/*/*"), key=lambda one: one.stat().st_size
    )
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 0xFF
    victim.write_bytes(data)
    (name,) = await found(repository.source)
    async with drilled(repository.source, name, repository.server.binaries) as drill:
        (check,) = [one for one in drill.media if one.outcome is Outcome.FAILED]
        assert f"{victim.parent.name}/{victim.name}" in check.detail


async def test_an_unknown_server_is_told(repository: Repository) -> None:
    source = Source(method=Method.BARMAN, path=str(repository.config), server="other")
    with pytest.raises(ActionFailed, match="Unknown server 'other'") as told:
        await found(source)
    assert "{" not in told.value.message, "its document was told as it stands"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become Barman's user")
async def test_barman_may_have_a_user_of_its_own(repository: Repository) -> None:
    """The copy is the server's user's in the end."""
    own = pwd.getpwnam("nobody")
    for one in (repository.home, *repository.home.rglob("*")):
        os.chown(one, own.pw_uid, own.pw_gid)
    text = repository.config.read_text().replace("barman_user=postgres", "barman_user=nobody")
    repository.config.write_text(text)
    (name,) = await found(repository.source)
    async with drilled(repository.source, name, repository.server.binaries) as drill:
        assert drill.failed() == []
        assert drill.broken() == []
        assert await drill.ask("select count(*) from public.t") == [(2000,)]
