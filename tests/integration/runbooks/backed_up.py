"""A shop as the target t, whose backups go into a folder of the test and are restored in another."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command import Command
from tests.integration.actions.conftest import superuser
from tests.servers import places
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer

PASSWORD = "backup-pw-C4N4RY"
TAKER = {"user": "dbdeck_backup", "password": "env:DBDECK_TEST_BACKUP"}


def with_drills(command: Command, folder: Path, sources: dict[str, Any], binaries: str | None) -> Path:
    """Into the config; gives the folder where it is restored, which has to be empty afterwards."""
    scratch = Path(tempfile.mkdtemp(prefix="drill-", dir="/tmp"))
    scratch.chmod(0o755)
    values = yaml.safe_load(command.config.read_text())
    values["drills"] = {
        "scratch": str(scratch),
        "reports": str(folder / "reports"),
        "targets": {"t": {"binaries": binaries, "sources": sources}},
    }
    command.write(values)
    return scratch


@asynccontextmanager
async def backed_up(
    server: Server, folder: Path, patch: pytest.MonkeyPatch, *statements: str, **over: Any
) -> AsyncIterator[Command]:
    """A database made by `statements`, and a source `nightly` that a login of its own takes."""
    await places.fence()
    patch.setenv("DBDECK_TEST_BACKUP", PASSWORD)
    database = await server.new_database()
    mysql = isinstance(server, MysqlServer)
    if mysql:
        ((there,),) = await superuser(server, "select count(*) from mysql.user where user = 'dbdeck_backup'")
        if not there:  # one that is there is a warning, and those are errors here
            await superuser(
                server,
                f"create user dbdeck_backup@'%' identified by '{PASSWORD}'",
                "grant all privileges on *.* to dbdeck_backup@'%' with grant option",
                "create role dbdeck_reporting",
                "grant dbdeck_reporting to dbdeck_backup@'%' with admin option",
            )
    else:
        await superuser(
            server,
            "do $$ begin if not exists (select from pg_roles where rolname = 'dbdeck_backup') then "
            f"create role dbdeck_backup superuser login password '{PASSWORD}'; end if; end $$",
            f"alter role dbdeck_backup password '{PASSWORD}'",
        )
    await superuser(server, *statements, database=database)
    over = {
        "database": database,
        **({"monitor": dict(TAKER), "operator": dict(TAKER)} if mysql else {}),
        **over,
    }
    command = Command(folder, {"t": server.target_dict(**over)})
    (folder / "backups").mkdir()
    source = {
        "method": "mysqldump" if mysql else "pg_dump",
        "path": str(folder / "backups"),
        "login": dict(TAKER),
    }
    binaries = None
    if server.name == "mysql":
        binaries = str(places.mysql_tools(folder / "programs" / "mysql" / "bin"))
    elif not mysql:
        binaries = str(places.postgres_binaries(server.name))
    scratch = with_drills(command, folder, {"nightly": source}, binaries)
    yield command
    assert list(scratch.iterdir()) == []
    shutil.rmtree(scratch)


async def take(command: Command, database: str = "") -> None:
    words = ("apply", "backup.take", "-t", "t", "source=nightly", "name=one", "--yes", "--reason", "a test")
    done = await command.run(*words, *([f"database={database}"] if database else []))
    assert done.code == 0, done
