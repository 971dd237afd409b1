-- Purpose: who keeps a SERIALIZABLE READ ONLY DEFERRABLE transaction from its safe snapshot
--   (numbers as oids: of arrays the driver knows only those, and would ask the catalogs for others)
-- Privilege: none
-- Cost: one look at the list of serializable transactions for each waiter asked
select w.pid::int8 as pid, pg_safe_snapshot_blocking_pids(w.pid::int8::int4)::oid[] as blockers
  from unnest($1::oid[]) as w(pid)
