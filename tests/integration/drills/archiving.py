"""A PostgreSQL of its own that archives its WAL, and physical backups of it by the real tools."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import asyncpg

from console.dispatch import scratch
from console.dispatch.lease import unprivileged
from console.dispatch.scratch import ScratchServer
from tests.servers import places

SECONDS = 30.0


class Archived:
    """`root` is a folder of the server's user, who may write in it; `wal` its archive below it."""

    def __init__(self, server: ScratchServer, root: Path) -> None:
        self.server = server
        self.root = root
        self.wal = root / "wal"

    @property
    def binaries(self) -> Path:
        return self.server.binaries

    async def connect(self, database: str = "postgres") -> asyncpg.Connection[asyncpg.Record]:
        host = str(self.server.socket_dir)
        return await asyncpg.connect(host=host, port=self.server.port, user="postgres", database=database)

    async def sql(self, *statements: str, database: str = "postgres") -> object:
        """The first value of the last one."""
        connection = await self.connect(database)
        try:
            for one in statements[:-1]:
                await connection.execute(one)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    async def switch(self) -> str:
        """End the segment, wait until it is archived, and give its name."""
        name = await self.sql("select pg_walfile_name(pg_switch_wal())")
        until = time.monotonic() + SECONDS
        while await self.sql("select last_archived_wal from pg_stat_archiver") != name:
            assert time.monotonic() < until, "nothing is archived"
            await asyncio.sleep(0.05)
        return str(name)

    async def add(self, rows: int = 1000) -> datetime:
        """Rows of a table, in a segment of their own; gives a moment after them and before what comes."""
        await self.sql(f"insert into t select generate_series(1, {rows})")
        moment = await self.sql("select clock_timestamp()")
        assert isinstance(moment, datetime)
        await asyncio.sleep(0.02)
        return moment

    def run(self, *argv: str, check: bool = True) -> str:
        """A tool as the server's user."""
        account = unprivileged()
        before: list[str] = []
        if os.geteuid() == 0:
            before = [
                "setpriv",
                "--reuid",
                str(account.uid),
                "--regid",
                str(account.gid),
                "--clear-groups",
                "--",
            ]
        env = {"PATH": f"{self.binaries}:/usr/bin:/bin", "HOME": str(self.root), "LC_ALL": "C.UTF-8"}
        done = subprocess.run([*before, *argv], capture_output=True, text=True, env=env, cwd="/", check=False)
        assert not check or done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def base_backup(self, place: Path, *options: str) -> None:
        connection = ["-h", str(self.server.socket_dir), "-p", str(self.server.port), "-U", "postgres"]
        self.run(str(self.binaries / "pg_basebackup"), *connection, "-c", "fast", "-D", str(place), *options)


@asynccontextmanager
async def archived(
    name: str, command: Callable[[Path], str] = lambda root: f"cp %p {root}/wal/%f"
) -> AsyncIterator[Archived]:
    """With a table `t` in `postgres`. `command` is its archive_command, by its folder."""
    account = unprivileged()
    root = Path(tempfile.mkdtemp(prefix="dbdeck-archived-"))
    try:
        for one in (root, root / "wal", root / "backups"):
            one.mkdir(exist_ok=True)
            os.chown(one, account.uid, account.gid)
            one.chmod(0o755)
        settings = {
            "archive_mode": "on",
            "archive_command": command(root),
            "fsync": "off",
            "wal_level": "logical",
            "max_connections": "200",
        }
        async with scratch.scratch_postgres(
            binaries=places.postgres_binaries(name), settings=settings
        ) as server:
            made = Archived(server, root)
            await made.sql("create table t(i int)", "select 1")
            yield made
    finally:
        shutil.rmtree(root)
