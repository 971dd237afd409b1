-- Purpose: REPACK, CLUSTER and VACUUM FULL of PostgreSQL 19, by the names of the view's columns
-- Privilege: pg_read_all_stats (in pg_monitor)
-- Cost: one pass over the backend status array, AccessShareLock on pg_database
select p.pid,
       p.datid::int8 as database,
       p.relid::int8 as relation,
       to_json(p)::text as columns
  from pg_stat_progress_repack p
