-- Purpose: since when the counters of the connected database run, and how many standbys stream from here
-- Privilege: pg_read_all_stats (in pg_monitor) to know a standby from another walsender
-- Cost: one look at the statistics of one database, one pass over the backend status array
select pg_stat_get_db_stat_reset_time(d.oid) as since,
       extract(epoch from clock_timestamp() - pg_stat_get_db_stat_reset_time(d.oid))::float8 as seconds,
       (select count(*) from pg_stat_get_activity(null) a
         where a.backend_type = 'walsender' and coalesce(a.datid, 0) = 0) as standbys,
       not pg_is_in_recovery() as is_primary
  from pg_database d
 where d.datname = current_database()
