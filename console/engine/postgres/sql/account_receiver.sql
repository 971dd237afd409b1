-- Purpose: as whom this standby logs in at its primary; the server itself hides the password there
-- Privilege: pg_read_all_stats (in pg_monitor); without it the row has only its pid
-- Cost: constant
select r.sender_host as address,
       substring(r.conninfo from '(?:^|\s)user=(\S+)') as username,
       r.status is null as hidden
  from pg_stat_get_wal_receiver() r
 where r.pid is not null
