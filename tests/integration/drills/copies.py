"""A restored copy to look at: a cluster of its own in an enclosure, which a test fills and breaks."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg

from actions import postgres_fence, postgres_integrity
from actions.postgres_fence import Cluster
from actions.restoring import Restored, Site
from console.dispatch.action import Watch
from console.dispatch.enclosure import POSTGRES, Enclosure, Work, enclosure
from console.model.backups import Backup, DrillRule, Method, Source
from console.model.drills import Check, Outcome
from console.model.target import Target
from tests.servers import places

SOURCE = Source(method=Method.PG_BASEBACKUP, path="/nowhere")


class Copy(NamedTuple):
    site: Site
    enclosure: Enclosure
    cluster: Cluster
    restored: Restored

    @property
    def target(self) -> Target:
        return self.restored.target

    async def run(self, *statements: str, database: str = "postgres") -> list[asyncpg.Record]:
        """On a connection of a user of it; the rows of the last one."""
        host, port, user = self.target.host, self.target.port, postgres_fence.SUPERUSER
        connection = await asyncpg.connect(host=host, port=port, user=user, database=database)
        rows: list[asyncpg.Record] = []
        try:
            for sql in statements:
                if sql.startswith("select"):
                    rows = await connection.fetch(sql)
                else:
                    await connection.execute(sql)
        finally:
            await connection.close()
        return rows

    async def checks(self) -> list[Check]:
        return await postgres_integrity.checks(self.site, self.enclosure, self.restored)

    async def outcome(self, name: str, database: str = "postgres") -> Check:
        found = [one for one in await self.checks() if one.name == f"{database}: {name}"]
        assert len(found) == 1, f"{len(found)} checks of {name}"
        return found[0]

    async def start(self) -> None:
        await postgres_fence.start(self.enclosure, self.cluster, {}, "the copy")
        await self.enclosure.answering(self.target, self.cluster.log)

    async def flip(self, relation: str, offset: int) -> None:
        """One byte of its file, while the server is down."""
        ((where,),) = await self.run("checkpoint", f"select pg_relation_filepath('{relation}'::regclass)")
        await self.enclosure.stop(signal.SIGINT)
        await asyncio.to_thread(_flip, self.cluster.data / str(where), offset)
        await self.start()


def _flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0xFF]))


def named(checks: Sequence[Check], outcome: Outcome) -> dict[str, Check]:
    return {one.name: one for one in checks if one.outcome is outcome}


async def _unrecorded(shown: Sequence[str], seconds: float | None) -> None:
    """There is no ledger in these tests."""


@asynccontextmanager
async def copy_of(name: str, *, budget: str = "60s", watch: Watch | None = None) -> AsyncIterator[Copy]:
    """A fresh cluster of one of the test servers' versions, with page checksums."""
    binaries = places.postgres_binaries(name)
    major = int(places.version(name).split(".")[0])
    backup = Backup(source="s", id="b", method=Method.PG_BASEBACKUP, path="/nowhere")
    site = Site(DrillRule(sources={"s": SOURCE}, budget=budget), SOURCE, backup, watch or Watch())
    async with enclosure(POSTGRES, Path(tempfile.gettempdir()), _unrecorded, closed=True) as made:
        cluster = postgres_fence.cluster(made, binaries, major)
        argv = [cluster.program("initdb"), "-D", str(cluster.data), "-U", postgres_fence.SUPERUSER]
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--data-checksums"]
        heard = await made.run(Work([*argv, *options], "a cluster"))
        assert heard.code == 0, heard.complaint
        target = postgres_fence.target_of(cluster)
        found = Copy(site, made, cluster, Restored(target=target, databases=("postgres",)))
        await found.start()
        yield found
