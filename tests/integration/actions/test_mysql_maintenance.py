"""Analyze, optimize and indexes on MySQL and MariaDB: proved, in short tries, with hostile names."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from console.dispatch.action import Watch
from console.errors import Exit, Refused, UsageError
from tests.integration.actions.conftest import Desk, desk_on, superuser, until
from tests.servers.accounts import MAINTAINER, MONITOR, OPERATOR, login
from tests.servers.mysql import MysqlServer
from tests.situations import Scene, scene

HOSTILE = ("two words", "quo`te", "apo'strophe", "new\nline", "ünïcødé→", "select", "a.b", "x" * 64, "%s{}$1")


@pytest_asyncio.fixture
async def shop(mysql: MysqlServer) -> AsyncIterator[Scene]:
    async with scene(mysql) as made:
        yield made


@pytest_asyncio.fixture
async def desk(shop: Scene, mysql: MysqlServer, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_on(mysql, tmp_path, database=shop.database, operator=login(MAINTAINER)) as made:
        yield made


def table(shop: Scene, name: str = "orders") -> str:
    return f"{shop.database}.{name}"


async def test_a_table_is_analyzed_and_the_servers_answer_is_the_proof(desk: Desk, shop: Scene) -> None:
    run = await desk.run("table.analyze", table=table(shop))
    assert (run.exit, run.effect) == (Exit.OK, "applied"), run
    assert run.statements == (f"analyze local table `{shop.database}`.`orders`",)


async def test_a_guard_that_would_see_nothing_is_refused(desk: Desk, shop: Scene) -> None:
    """How far its replicas are behind a source does not know: the plan promised to wait for them."""
    given = {"table": table(shop), "max_lag": "5s"}
    for name, more in (("table.optimize", {"replicate": True}), ("table.analyze", {})):
        with pytest.raises(UsageError, match="would hold nothing back"):
            await desk.plan(name, **given, **more)


async def test_a_table_is_rebuilt(desk: Desk, shop: Scene) -> None:
    run = await desk.run("table.optimize", table=table(shop))
    assert (run.exit, run.effect) == (Exit.OK, "applied"), run


async def test_hostile_names_work(desk: Desk, shop: Scene) -> None:
    setup = await shop.client("setup")
    for name in HOSTILE:
        quoted = "`" + name.replace("`", "``") + "`"
        await setup.run(f"create table {quoted} (id int primary key, {quoted} int)")
    for action in ("table.analyze", "table.optimize"):
        run = await desk.run(action, schema=shop.database)
        assert (run.exit, run.effect) == (Exit.OK, "applied"), run
        assert len(run.statements) == len(HOSTILE) + 1
    for place, name in enumerate(HOSTILE):
        given = {"table": f'{shop.database}."{name}"', "column": name, "name": f"i{place}"}
        run = await desk.run("index.create", **given)
        assert (run.exit, run.effect) == (Exit.OK, "applied"), run


async def test_an_index_is_created_beside_writers_and_a_duplicate_key_is_told(
    desk: Desk, shop: Scene
) -> None:
    run = await desk.run("index.create", table=table(shop), column="n")
    assert (run.exit, run.effect) == (Exit.OK, "applied"), run
    twice = await desk.run("index.create", table=table(shop), column="n", unique=True, name="only")
    assert (twice.exit, twice.effect) == (Exit.FAILED, "none")
    assert twice.error is not None
    assert "Duplicate" in twice.error.message


async def test_an_open_transaction_holds_it_up_in_short_tries_and_readers_pass(
    desk: Desk, shop: Scene, mysql: MysqlServer
) -> None:
    """The metadata lock's queue lets nobody pass who comes later: it is never stood in for long."""
    reader = await shop.client("report")
    await reader.run("begin")
    await reader.run("select count(*) from orders")
    plan = await desk.plan("table.optimize", table=table(shop), lock_timeout="1s", tries=2)
    assert any("held up now" in line and f"session {reader.id}" in line for line in plan.forecast)
    other = await shop.client("web")
    waits: list[float] = []
    stop = asyncio.Event()

    async def read() -> None:
        while not stop.is_set():
            start = time.monotonic()
            await other.run("select count(*) from orders")
            waits.append(time.monotonic() - start)
            await asyncio.sleep(0.01)

    reading = asyncio.create_task(read())
    run = await desk.apply(plan, watch=Watch(seconds=0))
    stop.set()
    await reading
    assert (run.exit, run.effect) == (Exit.FAILED, "none"), run
    assert max(waits) < 1.0 + 0.7, "a reader waited longer than one try"


async def test_who_locks_everything_is_named_and_only_where_it_is_in_the_way(
    desk: Desk, shop: Scene, mysql: MysqlServer
) -> None:
    """What waits itself for FLUSH TABLES WITH READ LOCK is not the one to end."""
    root = await mysql.connect()
    try:
        async with root.cursor() as cursor:
            await cursor.execute("flush tables with read lock")
            for action in ("table.optimize", "table.analyze", "table.check"):
                plan = await desk.plan(action, table=table(shop), lock_timeout="1s", tries=1)
                named = [line for line in plan.forecast if "held up now" in line]
                run = await desk.apply(plan, watch=Watch(seconds=0))
                assert (run.exit is Exit.OK) is (named == []), (action, named, run)
                if run.error is not None:
                    assert f"session {root.thread_id()} " in named[0]
                    assert f"session {root.thread_id()} " in run.error.message
            await cursor.execute("unlock tables")
    finally:
        root.close()


async def test_a_lock_that_is_let_go_is_had(desk: Desk, shop: Scene) -> None:
    holder = await shop.client("report")
    await holder.run("begin")
    await holder.run("select count(*) from orders")
    heard: list[str] = []
    plan = await desk.plan("table.optimize", table=table(shop), lock_timeout="1s", tries=10)
    running = asyncio.create_task(desk.apply(plan, watch=Watch(seconds=0, tell=heard.append)))

    async def told() -> bool:
        return bool(heard)

    await until(told)
    await holder.run("commit")
    run = await running
    assert (run.exit, run.effect) == (Exit.OK, "applied"), run


async def test_without_the_right_it_is_refused_before_any_intent(
    shop: Scene, mysql: MysqlServer, tmp_path: Path
) -> None:
    async with desk_on(mysql, tmp_path) as desk:
        plan = await desk.plan("table.analyze", table=table(shop))
        with pytest.raises(Refused, match=r"GRANT SELECT, INSERT ON `.*`\.`orders` TO"):
            await desk.apply(plan)
        assert "intent" not in await desk.kinds()
        assert not any("may not" in line for line in plan.warnings), "the monitor may not read accounts"


async def test_a_plan_tells_the_missing_right_where_the_monitor_may_read_it(
    shop: Scene, mysql: MysqlServer, tmp_path: Path
) -> None:
    await superuser(mysql, f"grant select on mysql.* to {MONITOR}@'%'")
    try:
        async with desk_on(mysql, tmp_path) as poor:
            plan = await poor.plan("table.analyze", table=table(shop))
        (tmp_path / "able").mkdir()
        async with desk_on(mysql, tmp_path / "able", operator=login(MAINTAINER)) as able:
            fine = await able.plan("table.analyze", table=table(shop))
    finally:
        await superuser(mysql, f"revoke select on mysql.* from {MONITOR}@'%'")
    grant = f"GRANT SELECT, INSERT ON `{shop.database}`.`orders` TO '{OPERATOR}'@'%'"
    assert any(f"{OPERATOR} may not" in line and grant in line for line in plan.warnings), plan.warnings
    assert not any("may not" in line for line in fine.warnings), fine.warnings


async def test_what_the_engine_has_not_is_refused(desk: Desk, shop: Scene) -> None:
    with pytest.raises(UsageError, match="is for postgresql"):
        await desk.plan("table.vacuum", table=table(shop))
    with pytest.raises(UsageError, match="is for postgresql"):
        await desk.plan("index.reindex", table=table(shop))


async def test_a_stopped_rebuild_is_cancelled_on_the_server(desk: Desk, shop: Scene) -> None:
    setup = await shop.client("setup")
    await setup.run("create table big (id int auto_increment primary key, t varchar(600))")
    await setup.run("insert into big (t) select repeat('x', 500) from orders")
    for _ in range(6):
        await setup.run("insert into big (t) select t from big")
    watch = Watch(seconds=0)
    plan = await desk.plan("table.optimize", table=table(shop, "big"))
    running = asyncio.create_task(desk.apply(plan, watch=watch))
    await asyncio.sleep(0.4)
    watch.stop.set()
    run = await asyncio.wait_for(running, 20)
    assert (run.exit, run.effect) in ((Exit.FAILED, "none"), (Exit.OK, "applied")), run
    if run.exit is Exit.FAILED:
        assert run.error is not None
        assert "stopped by its caller" in run.error.message


async def test_a_partitioned_table_is_one_table(desk: Desk, shop: Scene) -> None:
    setup = await shop.client("setup")
    await setup.run("create table events (at int) partition by hash (at) partitions 3")
    run = await desk.run("table.analyze", table=table(shop, "events"))
    assert (run.exit, run.effect, len(run.statements)) == (Exit.OK, "applied", 1), run


async def test_what_the_server_would_refuse_of_an_index_is_refused_before_any_intent(
    desk: Desk, shop: Scene
) -> None:
    setup = await shop.client("setup")
    await setup.run("create table kinds (i int, T text, b blob, v varchar(9), g geometry, index taken (i))")
    refused: tuple[tuple[dict[str, object], str], ...] = (
        ({"column": "gone"}, "no column 'gone'"),
        ({"column": "`v`"}, "no column"),
        ({"column": ["v", "V"]}, "given twice"),
        ({"column": "t"}, "takes the first characters only"),
        ({"column": "b"}, "takes the first characters only"),
        ({"column": "g"}, "takes no geometry"),
        ({"column": "v", "name": "TAKEN"}, "already"),
        ({"column": "v", "name": "primary"}, "may be called"),
        ({"column": "v", "method": "btree"}, "has no method="),
        ({"column": "v", "include": "i"}, "has no include="),
        ({"column": "v", "concurrently": False}, "not at all"),
    )
    for given, words in refused:
        with pytest.raises(UsageError) as error:
            await desk.plan("index.create", table=table(shop, "kinds"), **given)
        assert words in error.value.message, given
    with pytest.raises(UsageError, match="own catalog"):
        await desk.plan("index.create", table="mysql.db", column="User")
    assert await desk.kinds() == []
    run = await desk.run("index.create", table=table(shop, "kinds"), column="V")
    assert (run.exit, run.effect) == (Exit.OK, "applied"), run


async def test_a_view_is_told_as_one(desk: Desk, shop: Scene) -> None:
    setup = await shop.client("setup")
    await setup.run("create view seen as select 1 as one")
    with pytest.raises(UsageError, match="seen is a view, not a table"):
        await desk.plan("table.analyze", table=table(shop, "seen"))


async def test_an_engine_without_the_statement_is_left_out_and_never_called_done(
    desk: Desk, shop: Scene
) -> None:
    """The server answers with a note and does nothing."""
    setup = await shop.client("setup")
    await setup.run("create table hot (id int primary key) engine=memory")
    await setup.run("create table log (id int not null) engine=csv")
    for action in ("table.analyze", "table.optimize"):
        named = await desk.run(action, table=table(shop, "hot"))
        assert (named.exit, named.effect) == (Exit.FAILED, "none"), named
        assert named.error is not None
        assert "doesn't support" in named.error.message
        run = await desk.run(action, schema=shop.database)
        assert (run.exit, run.effect) == (Exit.OK, "applied"), run
        assert not [one for one in run.statements if "hot" in one or "log" in one]
        plan = await desk.plan(action, schema=shop.database)
        (said,) = [one for one in plan.warnings if "left out" in one]
        assert "hot (MEMORY)" in said
        assert "log (CSV)" in said


async def test_what_the_operator_may_not_maintain_is_left_out_and_the_rest_is_done(
    mysql: MysqlServer, shop: Scene, tmp_path: Path
) -> None:
    apart = f"apart_{uuid4().hex[:8]}"
    me = f"{MAINTAINER}@'%'"
    await superuser(
        mysql, f"create database {apart}", f"create table {apart}.ours (id int primary key)",
        f"create table {apart}.theirs (id int primary key)", f"grant select, insert on {apart}.ours to {me}",
        f"grant select on {apart}.theirs to {me}",
    )  # fmt: skip
    try:
        both = {"monitor": login(MAINTAINER), "operator": login(MAINTAINER)}
        async with desk_on(mysql, tmp_path, database=shop.database, **both) as desk:
            plan = await desk.plan("table.analyze", schema=apart)
            (out,) = [one for one in plan.warnings if one.startswith("left out, ")]
            assert f"GRANT INSERT ON `{apart}`.`theirs` TO" in out
            run = await desk.apply(plan)
            assert (run.exit, run.effect) == (Exit.OK, "applied"), run
            assert run.statements == (f"analyze local table `{apart}`.`ours`",)
    finally:
        await superuser(
            mysql,
            f"revoke select, insert on {apart}.ours from {me}",
            f"revoke select on {apart}.theirs from {me}",
            f"drop database {apart}",
        )
