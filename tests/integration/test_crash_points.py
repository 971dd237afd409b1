"""Each registered action, killed between plan and outcome at some of its awaits: what is said of it is true.

All of them: `python -m tests.crashing --every`, and docs/crash-points.md for what came of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.audit.sinks import MysqlSink, PostgresSink
from tests.crashing.killing import Scaffold, Sink, Undertaker, scaffold, spread, undertaker
from tests.crashing.scenarios import ALL
from tests.crashing.situation import FLAVORS, Scenario
from tests.servers.accounts import OPERATOR, VARIABLES
from tests.servers.fleet import Fleet, Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

POINTS = 3
SLOW = 2  # of those that take seconds each
SERVERS = dict(zip(FLAVORS, ("pg18", "mysql", "mariadb"), strict=True))
SEED = int(os.environ.get("DBDECK_CRASH_SEED") or time.time_ns() % 1000)


# One loop for all, so that one process forks all that die.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def by() -> AsyncIterator[Undertaker]:
    async with undertaker() as made:
        yield made


def server_of(fleet: Fleet, request: pytest.FixtureRequest, flavor: str) -> Server:
    name = SERVERS[flavor]
    if name not in request.config.getoption("--servers"):
        pytest.skip(f"{name} is not among --servers")
    return fleet.get(name)


async def told_truly(here: Scaffold, points: int) -> None:
    turns = (await here.whole()).turns
    chosen = spread(turns, points, SEED)
    found = [one async for one in here.deaths(chosen)]
    said = f"DBDECK_CRASH_SEED={SEED}, turns {chosen} of {turns}"
    assert [one for one in found if one.wrong or one.faults] == [], said
    assert len(found) >= min(points, turns) // 2, f"most came after the end of the run: {said}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("scenario", "flavor"),
    [pytest.param(one, flavor, id=f"{one.title}-{flavor}") for one in ALL for flavor in one.flavors],
)
async def test_killed_between_plan_and_outcome_the_ledger_tells_the_truth(
    scenario: Scenario,
    flavor: str,
    fleet: Fleet,
    request: pytest.FixtureRequest,
    by: Undertaker,
    tmp_path: Path,
) -> None:
    server = server_of(fleet, request, flavor)
    async with scaffold(scenario, server, tmp_path / "here", by) as here:
        await told_truly(here, SLOW if scenario.few else POINTS)


def terminate() -> Scenario:
    return next(one for one in ALL if one.action == "session.terminate")


async def test_with_a_ledger_in_postgresql(
    postgres18: PostgresServer, by: Undertaker, tmp_path: Path
) -> None:
    kept = PostgresSink(postgres18, await postgres18.new_database(), tmp_path / "unused")
    await kept.install()
    sink = Sink(kept.url, VARIABLES[OPERATOR])
    async with scaffold(terminate(), postgres18, tmp_path / "here", by, sink) as here:
        await told_truly(here, 2 * POINTS)


async def test_with_a_ledger_in_mysql(mysql: MysqlServer, by: Undertaker, tmp_path: Path) -> None:
    kept = MysqlSink(mysql, await mysql.new_database(), tmp_path / "unused")
    await kept.install()
    sink = Sink(kept.url, VARIABLES[OPERATOR])
    async with scaffold(terminate(), mysql, tmp_path / "here", by, sink) as here:
        await told_truly(here, 2 * POINTS)
