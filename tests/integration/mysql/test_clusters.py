"""Members of Galera and of Group Replication: what plans say of the others, and of one that is out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from console.errors import Unreachable
from console.model.cluster import GALERA, GROUP, Cluster
from tests.integration.actions.conftest import Desk, desk_on, superuser, until
from tests.servers import accounts
from tests.servers.clusters import galera_node, group_member, until_online
from tests.servers.fleet import Fleet
from tests.servers.mysql import MysqlServer

pytestmark = pytest.mark.filterwarnings("ignore::pymysql.err.Warning")


@pytest.fixture(scope="module")
def node(fleet: Fleet) -> Iterator[MysqlServer]:
    server = galera_node()
    yield server
    server.close()


@pytest.fixture(scope="module")
def member(fleet: Fleet) -> Iterator[MysqlServer]:
    server = group_member()
    yield server
    server.close()


@pytest_asyncio.fixture
async def desk(node: MysqlServer, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_on(node, tmp_path, operator=accounts.login(accounts.MAINTAINER)) as made:
        yield made


async def test_a_node_of_galera_stands_in_the_overview(desk: Desk) -> None:
    assert (await desk.engine.pulse()).cluster == Cluster(
        kind=GALERA, state="Primary, Synced", joined=True, there=1, ddl="TOI"
    )


async def test_an_index_makes_the_whole_cluster_wait(node: MysqlServer, desk: Desk) -> None:
    database = await node.new_database()
    await superuser(node, f"create table {database}.orders (id int primary key, n int)")
    await superuser(node, f"grant all on {database}.* to {accounts.MAINTAINER}@'%'")
    await superuser(node, f"grant select on {database}.* to {accounts.MONITOR}@'%'")
    plan = await desk.plan("index.create", table=f"{database}.orders", column="n")
    assert plan.risk == "high"
    assert "no commit on any table of any node of the cluster goes on" in plan.warnings[0]
    run = await desk.apply(plan)
    assert run.effect == "applied", run
    local = await desk.plan("table.analyze", table=f"{database}.orders")
    assert (local.risk, "local table" in local.statements[0]) == ("low", True)
    rebuilt = await desk.plan("table.optimize", table=f"{database}.orders", replicate=True)
    assert (rebuilt.risk, rebuilt.warnings[0]) == ("high", plan.warnings[0])
    await superuser(node, "set global wsrep_osu_method = 'RSU'")
    try:
        alone = await desk.plan("index.create", table=f"{database}.orders", column="n", name="other")
    finally:
        await superuser(node, "set global wsrep_osu_method = 'TOI'")
    assert alone.risk == "low"
    assert alone.warnings[0] == (
        "Galera: it is done on this node alone (wsrep_OSU_method = RSU); do it on each"
    )


async def test_a_setting_is_told_to_be_of_this_node(desk: Desk) -> None:
    plan = await desk.plan("setting.set", name="long_query_time", value="7")
    assert f"{GALERA}: the other members of the cluster keep theirs; set it on each" in plan.warnings


async def test_a_node_that_is_out_can_be_looked_at(node: MysqlServer, tmp_path: Path) -> None:
    await superuser(node, "set global wsrep_cluster_address = 'gcomm://127.0.0.1:1'")
    try:
        async with desk_on(node, tmp_path, operator=accounts.login(accounts.MAINTAINER)) as desk:

            async def out() -> bool:
                found = (await desk.engine.pulse()).cluster
                return found is not None and not found.joined

            await until(out)
            assert [one for one in await desk.engine.sessions() if one.protection is None] == []
            assert await desk.engine.locks() == ()
            assert await desk.engine.transactions() == ()
            with pytest.raises(Unreachable, match="1047") as told:
                await desk.engine.accounts()
            assert "SHOW STATUS LIKE 'wsrep_%'" in told.value.hint
    finally:
        await asyncio.to_thread(node.restart)


async def test_a_node_that_turns_clients_away_is_told(node: MysqlServer, desk: Desk) -> None:
    assert (await desk.engine.pulse()).cluster is not None
    await superuser(node, "set global wsrep_reject_queries = ALL")
    try:
        found = (await desk.engine.pulse()).cluster
        assert found is not None
        assert (found.joined, found.refusing) == (True, "ALL")
        with pytest.raises(Unreachable, match="1047") as told:
            await desk.engine.accounts()
        assert "wsrep_reject_queries" in told.value.hint
    finally:
        await superuser(node, "set global wsrep_reject_queries = NONE")


async def test_a_member_of_a_group_that_left_it_is_told(member: MysqlServer, tmp_path: Path) -> None:
    async with desk_on(member, tmp_path) as desk:
        assert (await desk.engine.pulse()).cluster == Cluster(
            kind=GROUP, state="ONLINE", joined=True, there=1, members=1
        )
        await superuser(member, "stop group_replication")
        try:
            found = (await desk.engine.pulse()).cluster
            assert found is not None
            assert (found.kind, found.state, found.joined) == (GROUP, "OFFLINE", False)
        finally:
            await asyncio.to_thread(member.restart)
            await asyncio.to_thread(until_online, member)


async def test_a_server_that_is_alone_is_part_of_nothing(mysql: MysqlServer, tmp_path: Path) -> None:
    async with desk_on(mysql, tmp_path) as desk:
        assert (await desk.engine.pulse()).cluster is None


async def test_a_plugin_that_names_no_group_makes_no_member(mysql: MysqlServer, tmp_path: Path) -> None:
    """As in packages that load it for everybody."""
    if mysql.flavor != "mysql":
        pytest.skip("MariaDB has no Group Replication")
    await superuser(mysql, "install plugin group_replication soname 'group_replication.so'")
    try:
        async with desk_on(mysql, tmp_path) as desk:
            assert (await desk.engine.pulse()).cluster is None
    finally:
        await superuser(mysql, "uninstall plugin group_replication")


async def test_a_group_that_may_not_be_seen_is_unknown_and_no_more(
    member: MysqlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBDECK_TEST_NARROW", "narrow-pw-1")
    await superuser(
        member,
        "create user dbdeck_narrow@'%' identified by 'narrow-pw-1'",
        "grant process on *.* to dbdeck_narrow@'%'",
        *(
            f"grant select on performance_schema.{table} to dbdeck_narrow@'%'"
            for table in ("threads", "global_variables", "global_status", "session_status")
        ),
    )
    try:
        login = {"user": "dbdeck_narrow", "password": "env:DBDECK_TEST_NARROW"}
        async with desk_on(member, tmp_path, monitor=login) as desk:
            pulse = await desk.engine.pulse()
            assert (pulse.cluster, pulse.waiting) == (None, 0)
            told = [
                why for why in pulse.unknown if why.startswith("whether it is a member of a group: GRANT")
            ]
            assert len(told) == 1
    finally:
        await superuser(member, "drop user dbdeck_narrow@'%'")
