-- Purpose: how many deadlocks the server counted, all databases and the shared objects together
-- Privilege: none
-- Cost: one pass over pg_database (AccessShareLock) and its statistics in memory
select (coalesce(sum(pg_stat_get_db_deadlocks(d.oid)), 0) + pg_stat_get_db_deadlocks(0))::int8 as counted,
       max(pg_stat_get_db_stat_reset_time(d.oid)) as since,
       clock_timestamp() as now
  from pg_database d
