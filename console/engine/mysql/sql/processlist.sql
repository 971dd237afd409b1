-- Purpose: every session as MariaDB shows them; in MySQL only where performance_schema is off or
--   forbidden
-- Privilege: none for the login's own sessions, PROCESS for those of others
-- Cost: one pass over the thread list; in MySQL under a global mutex
select p.id as id,
       null as thread,
       p.user as user,
       p.host as host,
       p.db as db,
       p.command as command,
       p.state as state,
       p.time as seconds,  --: mysql
       p.time_ms / 1000 as seconds,  --: mariadb
       null as statement_seconds,
       null as query_id,  --: mysql
       nullif(p.query_id, 0) as query_id,  --: mariadb
       left(p.info, 10000) as query,
       null as application,
       unix_timestamp(now(6)) as clock
  from information_schema.processlist p
 where (%s is null or p.id = %s)
