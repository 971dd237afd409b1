-- Purpose: the server's own word on the few waiters whose place in a queue the snapshot cannot tell
-- Privilege: none
-- Cost: all lock partitions once for each waiter asked: the caller keeps the list short
select w.pid, pg_blocking_pids(w.pid) as blockers
  from unnest($1::int4[]) as w(pid)
