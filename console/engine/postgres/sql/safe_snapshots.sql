-- Purpose: who keeps a SERIALIZABLE READ ONLY DEFERRABLE transaction from its safe snapshot
-- Privilege: none
-- Cost: one look at the list of serializable transactions for each waiter asked
select w.pid, pg_safe_snapshot_blocking_pids(w.pid) as blockers
  from unnest($1::int4[]) as w(pid)
