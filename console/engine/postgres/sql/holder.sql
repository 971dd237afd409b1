-- Purpose: who holds an advisory lock, to name a person
-- Privilege: pg_read_all_stats to see the application name of other roles
-- Cost: one snapshot of the lock table
select s.pid, s.application_name, host(s.client_addr) as client
  from pg_lock_status() l
  join pg_stat_get_activity(null) s on s.pid = l.pid
 where l.locktype = 'advisory' and l.granted
   and l.objsubid = 1
   and l.classid::int8 = ($1::int8 >> 32) & 4294967295
   and l.objid::int8 = $1::int8 & 4294967295
