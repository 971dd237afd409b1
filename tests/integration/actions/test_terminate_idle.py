"""session.terminate_idle on real servers: the worst blocker first, one at a time, and nobody else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import msgspec
import pytest

from console.dispatch.action import Plan, Stop, Watch
from console.engine.open import open_operator
from console.errors import Exit, Refused, UsageError
from tests.command import Command
from tests.integration.actions.conftest import Desk, desk_on, superuser, until
from tests.servers import accounts
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.situations import Client, Scene, scene, touch
from tests.targets import target_of


async def idle(shop: Scene, desk: Desk, *orders: int, seconds: float = 1.0) -> list[Client]:
    """Sessions that have been idle in transaction for that long."""
    clients = [await shop.holder(order) for order in orders]
    await aged(desk, clients, seconds)
    return clients


async def aged(desk: Desk, clients: list[Client], seconds: float = 1.0) -> None:
    async def old() -> bool:
        found = {one.id: one for one in await desk.engine.sessions()}
        return all((found[client.id].state_seconds or 0) >= seconds for client in clients)

    await until(old)


def planned(plan: Plan) -> list[int]:
    return [one["session"]["id"] for one in plan.subject["sessions"]]


async def gone(desk: Desk, *numbers: int) -> bool:
    return not {one.id for one in await desk.engine.sessions()} & set(numbers)


async def test_the_idle_end_and_the_working_stay(shop: Scene, desk: Desk) -> None:
    clients = await idle(shop, desk, 1, 2, 3)
    working = await shop.client("batch")
    await working.run("begin")
    working.wait("select sleep(30)" if desk.mysql else "select pg_sleep(30)")
    waiters = [await shop.waiter(2) for _ in range(3)]
    await desk.waiting(*(one.id for one in waiters))
    plan = await desk.plan("session.terminate_idle", older_than="1s", database=shop.database)
    assert planned(plan)[0] == clients[1].id, "the worst blocker comes first"
    assert set(planned(plan)) == {client.id for client in clients}
    run = await desk.apply(plan)
    assert (run.effect, run.exit, run.error) == ("applied", Exit.OK, None)
    assert run.verify is not None
    assert set(run.verify.evidence["ended"]) == {client.id for client in clients}
    assert run.verify.evidence["waiters_released"] == run.verify.evidence["waiters_before"] == 3
    assert (await desk.session(working.id)).id == working.id
    assert await desk.kinds() == ["intent", "step", "step", "step", "outcome"]


async def test_it_stops_between_two_and_tells_who_was_not_touched(shop: Scene, desk: Desk) -> None:
    clients = await idle(shop, desk, 1, 2, 3)
    waiter = await shop.waiter(1)
    await desk.waiting(waiter.id)
    stop = Stop()

    def tell(line: str) -> None:
        if line.startswith("1 of 3"):
            stop.set()

    plan = await desk.plan("session.terminate_idle", older_than=1, database=shop.database, pause=5)
    run = await desk.apply(plan, watch=Watch(seconds=5, tell=tell, stop=stop))
    assert (run.effect, run.exit) == ("applied", Exit.PARTIAL), run
    assert run.verify is not None
    assert run.verify.state == "partial"
    assert run.verify.evidence["ended"] == [clients[0].id]
    assert set(run.verify.evidence["not_touched"]) == {client.id for client in clients[1:]}
    assert await desk.kinds() == ["intent", "step", "outcome"]


async def test_who_moved_on_since_the_plan_is_spared(shop: Scene, desk: Desk) -> None:
    # MySQL counts the turns of seconds: whoever has been idle for 1.2 s may be told as idle for 3
    worked, other, left, ended = await idle(shop, desk, 1, 2, 3, 4, seconds=5.0)
    plan = await desk.plan("session.terminate_idle", older_than=5, database=shop.database)
    assert len(planned(plan)) == 4
    await worked.run("select 1")
    await other.run("commit")
    await other.run("begin")
    await other.run(touch(20))
    await left.close()
    added = await shop.holder(30)
    await asyncio.sleep(1.2)
    run = await desk.apply(plan)
    assert (run.effect, run.exit) == ("applied", Exit.OK), run
    assert run.verify is not None
    assert set(run.verify.evidence["moved_on"]) == {worked.id, other.id}
    assert run.verify.evidence["ended_otherwise"] == [left.id]
    assert run.verify.evidence["ended"] == [ended.id]
    assert not await gone(desk, worked.id)
    assert not await gone(desk, other.id)
    assert not await gone(desk, added.id), "it came after the plan"
    assert await gone(desk, ended.id)
    await ended.close()


async def test_patterns_choose_and_exclude_and_nothing_to_do_is_success(shop: Scene, desk: Desk) -> None:
    web, batch = await shop.holder(1, "web-1"), await shop.holder(2, "batch-7")
    await aged(desk, [web, batch])
    plan = await desk.plan(
        "session.terminate_idle", older_than="1s", database=shop.database, exclude="application=batch*"
    )
    assert planned(plan) == [web.id]
    assert any("excluded by application=batch*" in line for line in plan.warnings)
    blocking = await desk.plan(
        "session.terminate_idle", older_than="1s", database=shop.database, blocking_only=True
    )
    assert planned(blocking) == []
    run = await desk.apply(blocking)
    assert (run.effect, run.exit) == ("no_op", Exit.OK), run
    limited = await desk.plan("session.terminate_idle", older_than="1s", database=shop.database, limit=1)
    assert len(planned(limited)) == 1
    assert any("limit=1" in line for line in limited.warnings)
    assert (await desk.run("session.terminate_idle", older_than="1s", database=shop.database)).exit == Exit.OK
    again = await desk.run("session.terminate_idle", older_than="1s", database=shop.database)
    assert (again.effect, again.exit) == ("no_op", Exit.OK)


@pytest.mark.parametrize(
    "given", [{"older_than": "0"}, {"older_than": "soon"}, {"older_than": "1m", "exclude": "web"}]
)
async def test_what_is_no_age_and_no_pattern_is_refused(
    postgres18: PostgresServer, tmp_path: Path, given: dict[str, str]
) -> None:
    async with desk_on(postgres18, tmp_path) as desk:
        with pytest.raises(UsageError, match="nothing was executed"):
            await desk.plan("session.terminate_idle", **given)


async def weaken(server: Server) -> None:
    if isinstance(server, MysqlServer):
        right = "CONNECTION ADMIN" if server.flavor == "mariadb" else "CONNECTION_ADMIN"
        await superuser(server, f"revoke {right} on *.* from {accounts.OPERATOR}@'%'")
    else:
        await superuser(server, f"revoke pg_signal_backend from {accounts.OPERATOR}")


async def restore(server: Server) -> None:
    if isinstance(server, MysqlServer):
        right = "CONNECTION ADMIN" if server.flavor == "mariadb" else "CONNECTION_ADMIN"
        await superuser(server, f"grant {right} on *.* to {accounts.OPERATOR}@'%'")
    else:
        await superuser(server, f"grant pg_signal_backend to {accounts.OPERATOR}")


async def test_without_the_right_nothing_ends_and_the_grant_is_named(shop: Scene, desk: Desk) -> None:
    clients = await idle(shop, desk, 1, 2, 3, 4)
    await weaken(shop.server)
    try:
        plan = await desk.plan("session.terminate_idle", older_than=1, database=shop.database)
        run = await desk.apply(plan)
    finally:
        await restore(shop.server)
    if not desk.mysql:  # there the monitor may not read what the operator's account may do
        assert plan.warnings[0].endswith("; the server will refuse it"), "it is told before the key"
        assert "GRANT pg_signal_backend" in plan.warnings[0]
    assert (run.effect, run.exit) == ("none", Exit.FAILED), run
    assert run.error is not None
    assert ("CONNECTION" if desk.mysql else "GRANT pg_signal_backend") in run.error.hint
    assert (await desk.kinds()).count("step") == 3, "three refusals in a row are enough"
    assert not await gone(desk, *(client.id for client in clients))


async def test_a_superusers_session_is_refused_and_the_others_end(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with scene(postgres) as shop, desk_on(postgres, tmp_path) as desk:
        root = await postgres.connect(database=shop.database)
        await root.execute("begin; select 1")
        (client,) = await idle(shop, desk, 1)
        plan = await desk.plan("session.terminate_idle", older_than=1, database=shop.database)
        assert not any("refuse" in line for line in plan.warnings), "one of them can be ended"
        run = await desk.apply(plan)
        assert (run.effect, run.exit) == ("applied", Exit.PARTIAL), run
        assert run.error is not None
        assert "superuser" in run.error.hint
        assert await gone(desk, client.id)
        await root.close()


@pytest.mark.parametrize("action", ["session.terminate", "session.cancel"])
async def test_that_only_a_superuser_ends_a_superusers_is_told_before_the_key(
    postgres: PostgresServer, tmp_path: Path, action: str
) -> None:
    async with scene(postgres) as shop, desk_on(postgres, tmp_path) as desk:
        root = await postgres.connect(database=shop.database)
        number = await root.fetchval("select pg_backend_pid()")
        plan = await desk.plan(action, **await desk.key(number))
        superuser = postgres.superuser
        assert plan.warnings[0] == (
            f"{accounts.OPERATOR} may not: end sessions of {superuser}, a superuser: only a superuser may; "
            "the server will refuse it"
        )
        await root.close()


async def test_a_login_that_is_monitor_and_operator_knows_what_it_may_not(
    shop: Scene, any_server: Server, tmp_path: Path
) -> None:
    weak = {"user": accounts.MONITOR, "password": "env:DBDECK_TEST_MONITOR"}
    async with desk_on(any_server, tmp_path, operator=weak) as desk:
        (client,) = await idle(shop, desk, 1)
        plan = await desk.plan("session.terminate", **await desk.key(client.id))
        right = "CONNECTION" if desk.mysql else "GRANT pg_signal_backend"
        assert right in plan.warnings[0]
        run = await desk.apply(plan)
        assert (run.effect, run.exit) == ("none", Exit.FAILED)
        assert not await gone(desk, client.id)


async def test_ones_own_sessions_need_no_right(shop: Scene, desk: Desk) -> None:
    async with open_operator(target_of(shop.server)) as own:
        await weaken(shop.server)
        try:
            plan = await desk.plan("session.terminate", **await desk.key(own.session_id))
        finally:
            await restore(shop.server)
    assert plan.refusals, "it is one of ours"
    assert not any("refuse" in line for line in plan.warnings)


async def test_the_command_ends_them(shop: Scene, desk: Desk, command: Command) -> None:
    await idle(shop, desk, 1, 2)
    done = await command.run(
        "apply", "session.terminate_idle", "-t", "t", "--json", "--yes", "--reason", "a test",
        "older_than=1s", f"database={shop.database}",
    )  # fmt: skip
    assert done.code == 0, done
    assert len(done.document["verify"]["evidence"]["ended"]) == 2


async def test_a_signal_between_two_is_told_in_the_document_and_the_ledger(
    shop: Scene, desk: Desk, command: Command
) -> None:
    clients = await idle(shop, desk, 1, 2)
    waiter = await shop.waiter(1)
    await desk.waiting(waiter.id)
    process = await command.start(
        "apply", "session.terminate_idle", "-t", "t", "--json", "--yes", "--reason", "a test",
        "older_than=1s", f"database={shop.database}", "pause=50",
    )  # fmt: skip
    assert process.stderr is not None
    while b"1 of 2" not in await process.stderr.readline():
        continue
    process.send_signal(signal.SIGINT)
    out, _ = await process.communicate()
    document = json.loads(out)
    assert (process.returncode, document["exit"], document["effect"]) == (8, 8, "applied")
    assert document["verify"]["evidence"]["stopped"] == "by SIGINT"
    assert document["error"]["message"].endswith("stopped by SIGINT")
    assert document["verify"]["evidence"]["not_touched"] == [clients[1].id]
    (row,) = (await command.run("audit", "list", "--json", "--kind", "outcome")).rows
    assert row["body"]["verify"]["evidence"]["stopped"] == "by SIGINT"


# ---- kill -9 between two steps -----------------------------------------------------------------

_CHILD = """
import os, signal, sys
from console.dispatch import operator
from console.__main__ import main

execute = operator.Operator.execute

async def counted(self, *args, **options):
    rows = await execute(self, *args, **options)
    if self.steps == int(os.environ["KILL_AFTER"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return rows

operator.Operator.execute = counted
sys.argv[0] = "dbdeck"
sys.exit(main())
"""


@pytest.mark.parametrize(("after", "state"), [(1, "partial"), (3, "applied")])
async def test_killed_between_two_the_record_is_settled_by_looking(
    shop: Scene, desk: Desk, command: Command, after: int, state: str
) -> None:
    await idle(shop, desk, 1, 2, 3)
    words = ["--config", str(command.config), "apply", "session.terminate_idle", "-t", "t", "--yes"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CHILD, *words, "--reason", "killed",
        "older_than=1", f"database={shop.database}",
        env={**os.environ, "KILL_AFTER": str(after)},
        cwd=Path(__file__).parents[3],
        stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await process.wait() == -signal.SIGKILL
    await asyncio.sleep(1)
    settled = (await command.run("audit", "reconcile", "--json")).rows
    assert [one["state"] for one in settled] == [state], settled
    (row,) = (await command.run("audit", "list", "--json", "--kind", "resolved")).rows
    evidence = row["body"]["verify"]["evidence"]
    assert len(evidence["gone"]) == 1, "of the last one nobody saw the answer"
    assert len(evidence.get("ended", [])) == after - 1
    assert len(evidence.get("not_touched", [])) == 3 - after
    assert (await command.run("audit", "open", "--json")).rows == []


async def test_a_saved_plan_is_for_those_that_are_still_idle(shop: Scene, desk: Desk) -> None:
    stays, worked, left = await idle(shop, desk, 1, 2, 3)
    saved = await desk.plan("session.terminate_idle", older_than="1s", database=shop.database)
    assert len(planned(saved)) == 3
    await worked.run("rollback")
    await left.close()
    (later,) = await idle(shop, desk, 4)
    vouched = await desk.dispatcher.vouched(saved, desk.engine)
    assert planned(vouched) == [stays.id]
    assert set(vouched.statements) <= set(saved.statements)
    assert any("2 sessions of the saved plan" in line for line in vouched.warnings)
    assert not any(f"session {worked.id} " in line for line in vouched.forecast), vouched.forecast
    assert [one["id"] for one in vouched.evidence["before"]["ended"]] == [stays.id]
    assert any(f"session {later.id} " in line and "not in" in line for line in vouched.warnings)
    run = await desk.apply(vouched)
    assert (run.effect, run.exit) == ("applied", Exit.OK)
    assert await gone(desk, stays.id)
    assert not await gone(desk, later.id)


async def test_nobody_pushes_those_of_a_saved_plan_beyond_its_limit(shop: Scene, desk: Desk) -> None:
    (first,) = await idle(shop, desk, 1)
    given = {"older_than": "1s", "database": shop.database, "limit": 1}
    saved = await desk.plan("session.terminate_idle", **given)
    (worse,) = await idle(shop, desk, 2)
    waiter = await shop.waiter(2)
    await desk.waiting(waiter.id)
    assert planned(await desk.plan("session.terminate_idle", **given)) == [worse.id]
    vouched = await desk.dispatcher.vouched(saved, desk.engine)
    assert planned(vouched) == [first.id]
    assert not any("fit no longer" in line for line in vouched.warnings)
    assert vouched.part_of == ""
    run = await desk.apply(vouched)
    assert run.effect == "applied"
    assert await gone(desk, first.id)
    assert not await gone(desk, worse.id)


async def test_a_saved_plan_that_tells_no_sessions_is_refused(shop: Scene, desk: Desk) -> None:
    await idle(shop, desk, 1)
    saved = await desk.plan("session.terminate_idle", older_than="1s", database=shop.database)
    for sessions in ({}, {"sessions": 1}, {"sessions": [{"session": None}]}):
        edited = msgspec.structs.replace(saved, subject={"title": "t", **sessions})
        with pytest.raises(Refused, match="tells no sessions"):
            await desk.dispatcher.vouched(edited, desk.engine)
