"""safe-migration: a backup, a rehearsal, exactly that on the live server, a way back and a signature."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from tests.command import Command
from tests.integration.actions.conftest import superuser
from tests.integration.runbooks.backed_up import backed_up
from tests.running import START, end, killed_again_and_again
from tests.servers.accounts import APP, MAINTAINER, login
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

ROWS = ("create table things (id int primary key, note text)", "insert into things values (1, 'a'), (2, 'b')")
UP = "alter table things add column size int not null default 0;\ncreate index by_note on things (size);\n"
DOWN = {
    False: "drop index by_note;\nalter table things drop column size;\n",
    True: "drop index by_note on things;\nalter table things drop column size;\n",
}
SURE = ("--confirm", "sure=apply")


class Release:
    def __init__(self, server: Server, command: Command, database: str) -> None:
        self.server = server
        self.command = command
        self.database = database

    def given(self, *more: str) -> list[str]:
        folder = self.command.folder
        pairs = (f"up={folder}/up.sql", f"down={folder}/down.sql", "source=nightly", *more)
        return [word for one in pairs for word in ("-p", one)]

    async def columns(self) -> set[str]:
        rows = await superuser(
            self.server, "select column_name from information_schema.columns where table_name = 'things' "
            f"and '{self.database}' in (table_schema, table_catalog)", database=self.database,
        )  # fmt: skip
        return {str(name) for (name,) in rows}


@asynccontextmanager
async def release_on(
    server: Server, folder: Path, patch: pytest.MonkeyPatch, up: str = UP
) -> AsyncIterator[Release]:
    mysql = isinstance(server, MysqlServer)
    who = login(MAINTAINER)
    over = {} if mysql else {"operator": dict(who), "monitor": dict(who)}
    rows = ROWS if mysql else (f"grant create on schema public to {APP}", f"set role {APP}", *ROWS)
    (folder / "up.sql").write_text(up)
    (folder / "down.sql").write_text(DOWN[mysql])
    async with backed_up(server, folder, patch, *rows, **over) as command:
        database = yaml.safe_load(command.config.read_text())["targets"]["t"]["database"]
        yield Release(server, command, database)


async def test_it_is_backed_up_rehearsed_applied_and_signed_off(
    any_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with release_on(any_server, tmp_path, monkeypatch) as release:
        command, given = (
            release.command,
            release.given("check=select count(*) = 2 from things where size = 0"),
        )
        planned = await command.run("runbook", "plan", "safe-migration", "-t", "t", *given)
        assert (planned.code, await command.kinds()) == (0, []), planned
        assert "backup.take" in planned.out
        first = await command.run("runbook", "run", "safe-migration", *given, *START, "--yes", *SURE)
        assert (first.code, end(first)["waiting"]["key"]) == (8, "sign_off"), first
        assert "size" in await release.columns()
        done = await command.run(
            "runbook", "resume", end(first)["run"], "--json", "--attest", "sign_off=it is good"
        )
        assert (done.code, end(done)["result"]) == (0, "ok"), done
        assert end(done)["effects"] == ["take", "rehearsal", "migrate"]


async def test_what_does_not_pass_its_rehearsal_is_not_applied(
    postgres18: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with release_on(
        postgres18, tmp_path, monkeypatch, up="alter table things add column other int;"
    ) as one:
        done = await one.command.run("runbook", "run", "safe-migration", *one.given(), *START, "--yes", *SURE)
        assert (done.code, end(done)["result"]) == (8, "failed"), done  # the backup stands
        assert end(done)["effects"] == ["take"]
        assert "rehearsal did not pass" in end(done)["text"]
        assert await one.columns() == {"id", "note"}


async def test_what_is_not_as_wanted_is_taken_back_and_runners_may_die(
    postgres18: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with release_on(postgres18, tmp_path, monkeypatch) as release:
        command = release.command
        wrong = release.given("check=select count(*) = 3 from things")
        back = ("--decide", "migrate=rollback")
        done = await command.run("runbook", "run", "safe-migration", *wrong, *START, "--yes", *SURE, *back)
        assert (end(done)["result"], await release.columns()) == ("rolled_back", {"id", "note"}), done
        pairs = [word for word in release.given("rehearse=false") if word != "-p"]
        answers = [*SURE, "--decide", "migrate=retry", "--attest", "sign_off=it is good"]
        killed, _ = await killed_again_and_again(command, "safe-migration", *pairs, answers=answers)
        assert (killed.code, end(killed)["result"]) == (0, "ok"), killed
        assert "size" in await release.columns()
