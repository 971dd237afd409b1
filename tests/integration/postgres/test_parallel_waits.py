"""Parallel workers that wait: the Overview counts whom the Locks show."""

from __future__ import annotations

import asyncio

from tests.integration.postgres.conftest import Desk

SLOW = """
create table many as select g as id from generate_series(1, 20000) g;
create table wanted (id int);
create function looks(int) returns bigint language plpgsql parallel safe as $$
declare found bigint;
begin
  execute 'select count(*) from wanted' into found;
  return found;
end $$;
"""
PARALLEL = """
set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0;
set max_parallel_workers_per_gather = 2; set parallel_leader_participation = off
"""


async def test_workers_that_wait_are_one_waiter(desk: Desk) -> None:
    await desk.run(SLOW, "analyze many")
    holder, reader = await desk.session("ddl"), await desk.session("report")
    await holder.execute("begin; lock table wanted in access exclusive mode")
    await reader.execute(PARALLEL)
    counting = asyncio.create_task(reader.execute("select sum(looks(id)) from many"))
    workers = "select count(*) from pg_stat_activity where leader_pid = $1 and wait_event_type = 'Lock'"
    async with asyncio.timeout(20):
        while await desk.admin.fetchval(workers, reader.get_server_pid()) < 2:
            await asyncio.sleep(0.1)
    pulse = await desk.engine.pulse()
    assert pulse.queue is not None
    assert (pulse.waiting, pulse.queue.behind) == (1, 1)
    assert [node.session.id for node in await desk.engine.locks() if node.edge] == [reader.get_server_pid()]
    await holder.execute("rollback")
    await asyncio.wait_for(counting, 20)
