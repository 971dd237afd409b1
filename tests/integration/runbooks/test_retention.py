"""retention: old rows are archived and purged in batches, a part first; none is lost, none goes twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.command import Command
from tests.integration.actions.attics import NEW, OLD, fill, rows_logins
from tests.integration.actions.conftest import superuser
from tests.running import START, end, killed_again_and_again
from tests.servers.fleet import Server
from tests.servers.postgres import PostgresServer

GIVEN = ("table=events", "column=at", "keep=30d", "archive=attic", "create_archive=true", "pause=1ms")
GO_ON = ("--confirm", "go_on=go on")


class Attic(Command):
    server: Server
    database: str

    async def count(self, table: str) -> int:
        ((number,),) = await superuser(self.server, f"select count(*) from {table}", database=self.database)
        return int(number)


async def attic_on(server: Server, folder: Path, patch: pytest.MonkeyPatch) -> Attic:
    database = await server.new_database()
    await fill(server, database)
    over = await rows_logins(server, database, patch)
    made = Attic(folder, {"t": server.target_dict(database=database, **over)})
    made.server, made.database = server, database
    return made


@pytest_asyncio.fixture
async def attic(any_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Attic]:
    yield await attic_on(any_server, tmp_path, monkeypatch)


@pytest_asyncio.fixture
async def attic18(
    postgres18: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Attic]:
    yield await attic_on(postgres18, tmp_path, monkeypatch)


def params(*given: str) -> list[str]:
    return [word for one in given for word in ("-p", one)]


async def test_old_rows_are_archived_a_part_first_and_the_rest_after_a_yes(attic: Attic) -> None:
    words = ("retention", "-t", "t", *params(*GIVEN, "first=600", "batch=500"))
    planned = await attic.run("runbook", "plan", *words)
    assert (planned.code, await attic.kinds()) == (0, []), planned
    assert "create table" in planned.out
    first = await attic.run(
        "runbook", "run", "retention", *params(*GIVEN, "first=600", "batch=500"), *START, "--yes"
    )
    assert (first.code, end(first)["waiting"]["key"]) == (8, "go_on"), first
    assert (await attic.count("events"), await attic.count("attic")) == (OLD + NEW - 600, 600)
    done = await attic.run("runbook", "resume", end(first)["run"], "--json", "--yes", *GO_ON)
    assert (done.code, end(done)["effects"]) == (0, ["first_part", "rest"]), done
    assert (await attic.count("events"), await attic.count("attic")) == (NEW, OLD)


async def test_nothing_is_so_old_and_nothing_is_done(attic18: Attic) -> None:
    given = params("table=events", "column=at", "keep=900d", "archive=attic")
    made = await attic18.run("runbook", "plan", "retention", "-t", "t", *given)
    assert (made.code, await attic18.kinds()) == (0, []), made
    await superuser(
        attic18.server, "set role app_user", "create table attic (like events)", database=attic18.database
    )
    done = await attic18.run("runbook", "run", "retention", *given, *START, "--yes")
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done


async def test_for_good_wants_it_said_and_the_name_typed(attic18: Attic) -> None:
    given = params("table=events", "column=at", "keep=30d", "pause=1ms")
    asked = await attic18.run("runbook", "run", "retention", *given, *START, "--yes")
    assert (asked.code, end(asked)["waiting"]["key"]) == (2, "sure"), asked
    done = await attic18.run(
        "runbook", "resume", end(asked)["run"], "--json", "--yes",
        "--confirm", "sure=delete for good", "--confirm", "first_part=t",
    )  # fmt: skip
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    assert await attic18.count("events") == NEW


async def killed(attic: Attic) -> None:
    retry = [word for step in ("first_part", "rest") for word in ("--decide", f"{step}=retry")]
    done, _ = await killed_again_and_again(
        attic, "retention", *GIVEN, "first=600", "batch=300", answers=[*GO_ON, *retry]
    )
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    assert (await attic.count("events"), await attic.count("attic")) == (NEW, OLD)
    ((different,),) = await superuser(
        attic.server, "select count(distinct id) from attic", database=attic.database
    )
    assert different == OLD


async def test_no_row_is_lost_or_kept_twice_whoever_dies(attic18: Attic) -> None:
    await killed(attic18)


@pytest.mark.parametrize("mysql_name", ["mariadb"], indirect=True)
async def test_no_row_is_lost_in_transactions_of_several_statements(
    mysql: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await killed(await attic_on(mysql, tmp_path, monkeypatch))
