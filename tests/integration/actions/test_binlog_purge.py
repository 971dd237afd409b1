"""binlog.purge on real servers: what goes is what was said, and nothing that a reader has open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from console.errors import Exit, Refused, Stale, UsageError
from tests.integration.actions.conftest import Desk, desk_on
from tests.servers import accounts
from tests.servers.logged import begin_anew, make_old, names, stuck_reader, write_files
from tests.servers.mysql import MysqlServer


@pytest_asyncio.fixture
async def desk(logged_mysql: MysqlServer, tmp_path: Path) -> AsyncIterator[Desk]:
    begin_anew(logged_mysql)
    async with desk_on(logged_mysql, tmp_path) as made:
        yield made


async def test_files_before_the_named_one_go_and_no_others(desk: Desk, logged_mysql: MysqlServer) -> None:
    files = write_files(logged_mysql, 4)
    plan = await desk.plan("binlog.purge", to=files[2], replicas=0)
    assert plan.statements == (f"purge binary logs to '{files[2]}'",)
    assert any(f"goes: {files[0]} to {files[1]}" in line for line in plan.forecast), plan.forecast
    run = await desk.apply(plan)
    assert (run.effect, run.exit, run.error) == ("applied", Exit.OK, None), run.verify
    assert names(logged_mysql) == files[2:]
    again = await desk.run("binlog.purge", to=files[2], replicas=0)
    assert (again.effect, again.exit, again.statements) == ("no_op", Exit.OK, ()), again


async def test_what_is_older_than_keep_goes(desk: Desk, logged_mysql: MysqlServer) -> None:
    files = write_files(logged_mysql, 3)
    make_old(logged_mysql, files[:2])
    run = await desk.run("binlog.purge", keep="2d", replicas=0)
    assert (run.effect, run.exit) == ("applied", Exit.OK), run
    assert names(logged_mysql) == files[2:]
    assert run.verify is not None
    assert run.verify.summary.startswith("2 binary logs gone")
    again = await desk.run("binlog.purge", keep="2d", replicas=0)
    assert (again.effect, again.exit) == ("no_op", Exit.OK), again


async def test_without_a_word_on_replicas_it_is_refused(desk: Desk, logged_mysql: MysqlServer) -> None:
    files = write_files(logged_mysql, 2)
    with pytest.raises(Refused, match=r"replicas=N \(connected now: 0\)"):
        await desk.run("binlog.purge", to=files[-1])
    with pytest.raises(Refused, match="2 replicas are said to read from here, and 0 connected"):
        await desk.run("binlog.purge", to=files[-1], replicas=2)
    assert names(logged_mysql) == files


async def test_what_a_replica_reads_stays(desk: Desk, logged_mysql: MysqlServer) -> None:
    before = names(logged_mysql)
    files = write_files(logged_mysql, 4, much=True)
    reading = files[len(before) - 1]
    async with stuck_reader(logged_mysql, reading) as reader:
        with pytest.raises(Refused, match=f"{reading} is being read by session {reader}"):
            await desk.run("binlog.purge", to=files[-1], replicas=1)
        run = await desk.run("binlog.purge", to=reading, replicas=1)
        assert run.exit == Exit.OK, run
        make_old(logged_mysql, files[files.index(reading) : -1])
        old = await desk.run("binlog.purge", keep="2d", replicas=1)
        assert (old.effect, old.exit) == ("no_op", Exit.OK), old
        assert names(logged_mysql) == files[files.index(reading) :]


async def test_where_positions_cannot_be_seen_it_is_refused(desk: Desk, logged_mysql: MysqlServer) -> None:
    files = write_files(logged_mysql, 2, much=True)
    off = "update performance_schema.setup_instruments set enabled = '{}' where name like '%sql/binlog'"
    await desk.as_superuser(off.format("NO"))
    try:
        files = write_files(logged_mysql, 2, much=True)
        async with stuck_reader(logged_mysql, files[-3]):
            with pytest.raises(Refused, match="unseen_positions=true"):
                await desk.run("binlog.purge", to=files[-1], replicas=1)
            run = await desk.run("binlog.purge", to=files[-1], replicas=1, unseen_positions=True)
            assert names(logged_mysql) == files[-3:], "the server keeps what is being read"
            assert (run.effect, run.exit) == ("applied", Exit.PARTIAL), run
    finally:
        await desk.as_superuser(off.format("YES"))


async def test_a_log_that_was_begun_anew_is_stale(desk: Desk, logged_mysql: MysqlServer) -> None:
    files = write_files(logged_mysql, 3)
    plan = await desk.plan("binlog.purge", to=files[-1], replicas=0)
    reset = "reset binary logs and gtids" if logged_mysql.flavor == "mysql" else "reset master"
    await desk.as_superuser(reset)
    files = write_files(logged_mysql, 3)
    with pytest.raises(Stale):
        await desk.apply(plan)
    assert names(logged_mysql) == files


async def test_without_the_right_the_grant_is_named(desk: Desk, logged_mysql: MysqlServer) -> None:
    files = write_files(logged_mysql, 2)
    maria = logged_mysql.flavor == "mariadb"
    right = "BINLOG ADMIN" if maria else "BINLOG_ADMIN"
    await desk.as_superuser(f"revoke {right} on *.* from {accounts.OPERATOR}@'%'")
    try:
        with pytest.raises(Refused, match=f"GRANT {right} ON"):
            await desk.run("binlog.purge", to=files[-1], replicas=0)
    finally:
        await desk.as_superuser(f"grant {right} on *.* to {accounts.OPERATOR}@'%'")
    assert names(logged_mysql) == files


async def test_one_way_of_choosing_is_wanted(desk: Desk) -> None:
    for given in ({}, {"to": "binlog.000001", "keep": "1d"}):
        with pytest.raises(UsageError, match="which binary logs"):
            await desk.plan("binlog.purge", replicas=0, **given)
    with pytest.raises(Stale, match="no binary log 'nowhere'"):
        await desk.plan("binlog.purge", to="nowhere", replicas=0)


async def test_a_server_without_a_binary_log_says_so(mysql: MysqlServer, tmp_path: Path) -> None:
    async with desk_on(mysql, tmp_path) as desk:
        with pytest.raises(UsageError, match="writes no binary log"):
            await desk.plan("binlog.purge", keep="1d", replicas=0)
