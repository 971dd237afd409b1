"""pitr-rehearsal: a backup with its archive leads to a moment before the mistake, or it is said why not."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.command import Command
from tests.integration.actions.conftest import superuser
from tests.integration.drills.archiving import archived
from tests.integration.drills.mysql.conftest import LOGGED
from tests.integration.runbooks.backed_up import PASSWORD, TAKER, take, with_drills
from tests.running import START, end, killed_again_and_again
from tests.servers import accounts
from tests.servers.mysql import MysqlServer


@asynccontextmanager
async def postgres_shop(folder: Path) -> AsyncIterator[tuple[Command, datetime]]:
    """With a base backup, an archive, and a moment before its table is lost."""
    async with archived("pg18") as server:
        server.base_backup(server.root / "backups" / "base")
        moment = await server.add()
        await server.sql("drop table t", "select 1")
        await server.switch()
        target = {
            "engine": "postgres", "host": str(server.server.socket_dir), "port": server.server.port,
            "database": "postgres", "environment": "dev", "tls": "off", "monitor": {"user": "postgres"},
            "operator": {"user": "postgres"},
        }  # fmt: skip
        command = Command(folder, {"t": target})
        source = {"method": "pg_basebackup", "path": str(server.root / "backups"), "archive": str(server.wal)}
        scratch = with_drills(command, folder, {"nightly": source}, str(server.binaries))
        yield command, moment
        assert list(scratch.iterdir()) == []
        shutil.rmtree(scratch)


@asynccontextmanager
async def mariadb_shop(folder: Path) -> AsyncIterator[tuple[Command, datetime]]:
    """With a dump that knows its position, binary logs, and a moment before its table is lost."""
    accounts.publish()
    server = MysqlServer("mariadb", LOGGED["mariadb"])
    try:
        database = await server.new_database()
        await superuser(
            server, f"create user dbdeck_backup@'%' identified by '{PASSWORD}'",
            "grant all privileges on *.* to dbdeck_backup@'%' with grant option",
            "create table t (i int primary key)", "insert into t values (1)", database=database,
        )  # fmt: skip
        over = {"database": database, "monitor": dict(TAKER), "operator": dict(TAKER)}
        command = Command(folder, {"t": server.target_dict(**over)})
        (folder / "backups").mkdir()
        (folder / "logs").mkdir()
        source = {
            "method": "mysqldump", "path": str(folder / "backups"), "archive": str(folder / "logs"),
            "login": dict(TAKER),
        }  # fmt: skip
        scratch = with_drills(command, folder, {"nightly": source}, None)
        await take(command, database)
        await superuser(server, "flush binary logs", "insert into t values (2)", database=database)
        await asyncio.sleep(1.2)  # binary logs tell whole seconds
        moment = datetime.now(UTC)
        await asyncio.sleep(1.2)
        await superuser(server, "drop table t", "flush binary logs", database=database)
        for one in server.data.glob("binlog.0*"):
            shutil.copy(one, folder / "logs")
            (folder / "logs" / one.name).chmod(0o600)
        yield command, moment
        assert list(scratch.iterdir()) == []
        shutil.rmtree(scratch)
    finally:
        server.close()


SHOPS = {"pg18": postgres_shop, "mariadb": mariadb_shop}


@pytest.mark.parametrize("name", list(SHOPS))
async def test_it_leads_to_the_moment_before_the_mistake(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBDECK_TEST_BACKUP", PASSWORD)
    async with SHOPS[name](tmp_path) as (command, moment):
        given = ("-p", "source=nightly", "-p", f"time={moment.isoformat()}")
        before = await command.kinds()
        planned = await command.run("runbook", "plan", "pitr-rehearsal", "-t", "t", *given)
        assert (planned.code, await command.kinds()) == (0, before), planned
        done = await command.run("runbook", "run", "pitr-rehearsal", *given, *START, "--yes")
        assert (done.code, end(done)["result"]) == (0, "ok"), done
        assert "PASS" in end(done)["text"]
        assert "usable after" in done.out


async def test_what_no_archive_leads_to_and_runners_that_die(tmp_path: Path) -> None:
    async with postgres_shop(tmp_path) as (command, moment):
        beyond = (moment + timedelta(days=1)).isoformat()
        refused = await command.run(
            *(
                "runbook",
                "run",
                "pitr-rehearsal",
                "-p",
                "source=nightly",
                "-p",
                f"time={beyond}",
                *START,
                "--yes",
            ),
            *("--decide", "drill_again=continue"),
        )
        assert (refused.code, end(refused)["result"], end(refused)["effects"]) == (1, "escalate", []), refused
        given = ("source=nightly", f"time={moment.isoformat()}")
        done, _ = await killed_again_and_again(command, "pitr-rehearsal", *given)
        if done.code != 0:
            assert end(done)["waiting"]["key"] == "drill_again", done
            words = ("--json", "--yes", "--decide", "drill_again=retry")
            done = await command.run("runbook", "resume", end(done)["run"], *words)
        assert (done.code, end(done)["result"]) == (0, "ok"), done


async def test_a_source_without_a_backup_is_an_escalation(tmp_path: Path) -> None:
    async with postgres_shop(tmp_path) as (command, moment):
        given = ("-p", "source=weekly", "-p", f"time={moment.isoformat()}")
        planned = await command.run("runbook", "plan", "pitr-rehearsal", "-t", "t", *given)
        assert (planned.code, await command.kinds()) == (0, []), planned
        done = await command.run("runbook", "run", "pitr-rehearsal", *given, *START, "--yes")
        assert (done.code, end(done)["result"], end(done)["effects"]) == (1, "escalate", []), done
