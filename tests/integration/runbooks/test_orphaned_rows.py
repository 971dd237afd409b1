"""orphaned-rows: rows without their parent are moved into an archive, and the missing key is offered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.actions.conftest import superuser
from tests.integration.runbooks.test_retention import Attic, attic_on, params
from tests.running import START, deaths, end, killed_again_and_again
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

GIVEN = ("table=children", "column=event", "parent=events", "parent_column=id", "archive=lost")
SURE = ("--confirm", "sure=they are lost")
GO_ON = ("--confirm", "go_on=go on")


async def family_on(server: Server, folder: Path, patch: pytest.MonkeyPatch) -> Attic:
    """Three hundred children, of which fifty have no parent."""
    attic = await attic_on(server, folder, patch)
    role = [] if isinstance(server, MysqlServer) else ["set role app_user"]
    await superuser(
        server, *role, "create table children (id int primary key, event int, note text)",
        "insert into children select id, case when id > 250 then -id else id end, 'x' from events "
        "where id <= 300",
        database=attic.database,
    )  # fmt: skip
    return attic


@pytest_asyncio.fixture
async def family(any_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Attic]:
    yield await family_on(any_server, tmp_path, monkeypatch)


@pytest_asyncio.fixture
async def family18(
    postgres18: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Attic]:
    yield await family_on(postgres18, tmp_path, monkeypatch)


async def test_rows_without_a_parent_are_moved_and_the_key_is_offered(family: Attic) -> None:
    given = params(*GIVEN, "first=20")
    planned = await family.run("runbook", "plan", "orphaned-rows", "-t", "t", *given)
    assert (planned.code, await family.kinds()) == (0, []), planned
    assert "not exists" in planned.out
    first = await family.run("runbook", "run", "orphaned-rows", *given, *START, "--yes", *SURE)
    assert (first.code, end(first)["waiting"]["key"]) == (8, "go_on"), first
    assert (await family.count("children"), await family.count("lost")) == (280, 20)
    done = await family.run("runbook", "resume", end(first)["run"], "--json", "--yes", *GO_ON)
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    assert (await family.count("children"), await family.count("lost")) == (250, 50)
    assert "add foreign key (event) references events (id)" in done.out
    again = await family.run("runbook", "run", "orphaned-rows", *given, *START, "--yes", *SURE)
    assert (again.code, end(again)["result"], end(again)["effects"]) == (0, "ok", []), again


@deaths(22)
async def test_they_are_moved_once_whoever_dies(family18: Attic, after: Sequence[int]) -> None:
    retry = [word for step in ("first_part", "rest") for word in ("--decide", f"{step}=retry")]
    done, _ = await killed_again_and_again(
        family18,
        "orphaned-rows",
        *GIVEN,
        "first=20",
        "batch=10",
        answers=[*SURE, *GO_ON, *retry],
        after=after,
    )
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    assert (await family18.count("children"), await family18.count("lost")) == (250, 50)
