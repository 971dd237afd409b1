"""What is seen after an effect on real servers: the next root, who comes back, and what a cancel frees."""

from __future__ import annotations

import asyncio

from console.dispatch.action import Watch
from console.errors import Exit
from tests.integration.actions.conftest import Desk, until
from tests.situations import Client, Scene, touch


async def test_the_first_of_the_queue_becomes_the_next_root(shop: Scene, desk: Desk) -> None:
    root = await shop.holder(1)
    keeps = await shop.client("keeps")
    await keeps.run("begin")
    keeps.wait(touch(1))
    await asyncio.sleep(0.1)
    late = [await shop.waiter(1) for _ in range(2)]
    await desk.waiting(keeps.id, *(one.id for one in late))
    plan = await desk.plan("session.terminate", **await desk.key(root.id))
    assert any(f"session {keeps.id} is the root, with 2 waiting behind it" in line for line in plan.forecast)
    told: list[str] = []
    run = await desk.apply(plan, watch=Watch(seconds=2, tell=told.append))
    assert run.exit == Exit.OK, run
    assert run.verify is not None
    assert run.verify.evidence["new_root"] == keeps.id
    assert run.verify.evidence["new_root_blocked"] == 2
    assert run.verify.evidence["waiters_released"] == 1
    assert run.verify.evidence["still_waiting_behind"][0] == keeps.id
    assert any("is the next root" in line for line in told)


async def test_a_client_that_comes_back_is_seen(shop: Scene, desk: Desk) -> None:
    await shop.holder(2)
    stubborn = await shop.client("stubborn")
    stubborn.wait(touch(2))
    await desk.waiting(stubborn.id)
    again: list[Client] = []

    async def retry() -> None:
        async def gone() -> bool:
            return await desk.engine.session(stubborn.id) is None

        await until(gone)
        client = await shop.client("stubborn")
        client.wait(touch(2))
        again.append(client)

    plan = await desk.plan("session.terminate", **await desk.key(stubborn.id))
    task = asyncio.create_task(retry())
    run = await desk.apply(plan, watch=Watch(seconds=3))
    await task
    assert run.verify is not None
    assert run.verify.evidence["came_back"] == [again[0].id], run.verify
    assert 0 <= run.verify.evidence["came_back_after"] <= 3


async def test_a_cancel_frees_the_whole_transaction_in_postgresql_only(shop: Scene, desk: Desk) -> None:
    clients = await shop.chain(3)
    await desk.waiting(clients[1].id, clients[2].id)
    plan = await desk.plan("session.cancel", **await desk.key(clients[1].id))
    assert any("frees its locks" in line for line in plan.forecast) is not desk.mysql
    assert any("waits on" in line for line in plan.forecast) is desk.mysql
    run = await desk.apply(plan, watch=Watch(seconds=1.5))
    assert run.exit == Exit.OK, run
    assert run.verify is not None
    evidence = run.verify.evidence
    assert evidence["waiters_before"] == 1
    if desk.mysql:
        assert (evidence["waiters_released"], evidence["still_waiting_behind"]) == (0, [clients[1].id])
    else:
        assert (evidence["waiters_released"], evidence["still_waiting_behind"]) == (1, [])


async def test_the_undo_of_innodb_is_within_the_forecast(shop: Scene, desk: Desk) -> None:
    if not desk.mysql:
        return
    client = await shop.client("batch")
    await client.run("create table big (id int primary key auto_increment, n int not null)")
    await client.run("insert into big (n) values (1), (2), (3), (4)")
    for _ in range(13):
        await client.run("insert into big (n) select n from big")
    await client.run("begin")
    await client.run("update big set n = n + 1")
    plan = await desk.plan("session.terminate", **await desk.key(client.id))
    assert any("32,768 modified rows: about 1 s to 2 s" in line for line in plan.forecast), plan.forecast
    run = await desk.apply(plan, watch=Watch(seconds=0))
    assert (run.effect, run.exit) == ("applied", Exit.OK), run
    assert run.duration_ms < 4000
