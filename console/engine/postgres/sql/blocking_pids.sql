-- Purpose: the server's own word on the few waiters whose place in a queue the snapshot cannot tell
--   (numbers as oids: of arrays the driver knows only those, and would ask the catalogs for others)
-- Privilege: none
-- Cost: all lock partitions once for each waiter asked: the caller keeps the list short
select w.pid::int8 as pid, pg_blocking_pids(w.pid::int8::int4)::oid[] as blockers
  from unnest($1::oid[]) as w(pid)
