"""suspected-corruption: real damage of indexes is mended, that of tables is left alone and told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.command import Command
from tests.damage import break_myisam, damageable, flip, lose_a_row
from tests.integration.actions.conftest import superuser
from tests.running import START, end, killed_again_and_again, result_of
from tests.servers.accounts import MAINTAINER, login
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.situations import Scene, scene

RUN = ("runbook", "run", "suspected-corruption", *START, "--yes")
PLAN = ("runbook", "plan", "suspected-corruption", "-t", "t")


@pytest_asyncio.fixture
async def store(postgres: PostgresServer) -> AsyncIterator[Scene]:
    async with damageable(postgres) as made:
        yield made


@pytest_asyncio.fixture
async def store18(postgres18: PostgresServer) -> AsyncIterator[Scene]:
    async with damageable(postgres18) as made:
        yield made


def command_for(folder: Path, made: Scene) -> Command:
    over = {"operator": login(MAINTAINER), "database": made.database}
    return Command(folder, {"t": made.server.target_dict(**over)})


async def test_a_damaged_index_is_built_anew_and_looked_at_again(store: Scene, tmp_path: Path) -> None:
    command = command_for(tmp_path, store)
    quiet = await command.run(*RUN)
    assert (quiet.code, end(quiet)["result"], end(quiet)["effects"]) == (0, "ok", []), quiet
    await lose_a_row(store)
    done = await command.run(*RUN, "-p", "table=orders")
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    assert end(done)["effects"] == ["each[0].rebuild"]
    found = "set enable_seqscan = off; select id from orders where id = 5001"
    assert await superuser(store.server, *found.split("; "), database=store.database) == [(5001,)]


async def test_a_plan_tells_the_looks_and_claims_nothing(store18: Scene, tmp_path: Path) -> None:
    command = command_for(tmp_path, store18)
    await lose_a_row(store18)
    plan = await command.run(*PLAN)
    assert plan.code == 0, plan
    assert "bt_index_check(" in plan.out
    assert await command.kinds() == []


async def test_a_damaged_table_is_left_alone(store18: Scene, tmp_path: Path) -> None:
    assert isinstance(store18.server, PostgresServer)
    await flip(store18.server, store18.database, "orders", 2 * 8192 + 4000)
    done = await command_for(tmp_path, store18).run(*RUN)
    assert (end(done)["result"], end(done)["effects"]) == ("escalate", []), done
    assert "DAMAGED" in end(done)["text"]
    assert "public.orders" in end(done)["text"]


async def test_a_proof_of_a_backup_that_there_is_not_takes_nothing_away(
    store18: Scene, tmp_path: Path
) -> None:
    assert isinstance(store18.server, PostgresServer)
    await flip(store18.server, store18.database, "orders", 2 * 8192 + 4000)
    done = await command_for(tmp_path, store18).run(*RUN, "-p", "drill=true")
    assert (end(done)["result"], end(done)["effects"]) == ("escalate", []), done
    assert "has no sources of backups" in done.out


async def test_without_the_extension_nothing_is_known(postgres18: PostgresServer, tmp_path: Path) -> None:
    async with scene(postgres18) as made:
        done = await command_for(tmp_path, made).run(*RUN)
    assert (end(done)["result"], end(done)["effects"]) == ("escalate", []), done
    assert "CREATE EXTENSION amcheck" in end(done)["text"]


async def test_an_index_is_mended_once_whoever_dies(store18: Scene, tmp_path: Path) -> None:
    await lose_a_row(store18)
    command = command_for(tmp_path, store18)
    answers = ("--decide", "rebuild=retry")
    done, rows = await killed_again_and_again(
        command, "suspected-corruption", "table=orders", answers=answers
    )
    assert (done.code, result_of(rows)) == (0, "ok"), (done, rows)


async def test_a_broken_table_of_mysql_is_told(mysql: MysqlServer, tmp_path: Path) -> None:
    async with scene(mysql) as made:
        command = Command(tmp_path, {"t": mysql.target_dict(operator=login(MAINTAINER))})
        quiet = await command.run(*RUN, "-p", f"table={made.database}.orders")
        assert (quiet.code, end(quiet)["result"], end(quiet)["effects"]) == (0, "ok", []), quiet
        await break_myisam(mysql, made.database)
        plan = await command.run(*PLAN, "-p", f"table={made.database}.broken")
        assert plan.code == 0, plan
        assert "check table" in plan.out
        done = await command.run(*RUN, "-p", f"table={made.database}.broken")
    assert (end(done)["result"], end(done)["effects"]) == ("escalate", []), done
    assert f"{made.database}.broken" in end(done)["text"]
