-- Purpose: how a server is doing: who waits, connections, and counters of transactions, WAL and numbers.
--   Parallel workers wait for their leader. Transactions are counted of those databases that somebody is
--   connected to. Commits that wait for a synchronous standby wait for no lock; since when, the server tells no
--   better than when the statement began, or the transaction where a procedure made several
-- Privilege: pg_read_all_stats (in pg_monitor); without it the rows of others come without what they do
-- Cost: one pass over the backend status array, no catalog locks; not measured by itself
with s as materialized (
select a.datid, coalesce(a.leader_pid, a.pid) as leader, a.backend_type, a.wait_event_type, a.wait_event,
       greatest(a.query_start, a.xact_start) as began, a.query = '<insufficient privilege>' as hidden
  from pg_stat_get_activity(null) a),
d as (select distinct s.datid from s where s.datid > 0::oid)
select extract(epoch from clock_timestamp())::float8 as at,
       extract(epoch from pg_postmaster_start_time())::float8 as started,
       count(distinct s.leader) filter (where s.wait_event_type = 'Lock'
                           or s.wait_event in ('SafeSnapshot', 'RecoveryConflictSnapshot')) as waiting,
       count(*) filter (where s.backend_type = 'client backend') as connections,
       count(*) filter (where s.hidden) as hidden,
       count(*) filter (where s.wait_event = 'SyncRep') as commits,
       extract(epoch from clock_timestamp() - min(s.began) filter (where s.wait_event = 'SyncRep'))::float8
         as commit_seconds,
       case when not pg_is_in_recovery() then current_setting('synchronous_standby_names') else '' end as synchronous,
       current_setting('synchronous_commit') not in ('off', 'local') as commits_wait,
       (select count(*) from pg_stat_get_wal_senders() w where w.sync_state in ('sync', 'quorum')) as confirming,
       current_setting('max_connections')::int4
         - current_setting('superuser_reserved_connections')::int4
         - coalesce(current_setting('reserved_connections', true)::int4, 0) as most,
       array(select d.datid from d order by d.datid) as databases,
       array(select (pg_stat_get_db_xact_commit(d.datid) + pg_stat_get_db_xact_rollback(d.datid))::text
               from d order by d.datid) as transactions,
       (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end
         - '0/0'::pg_lsn)::int8 as wal,
       pg_snapshot_xmax(pg_current_snapshot())::text as xid
  from s
