-- Purpose: how many sessions wait for a lock that is not a row's: metadata, table flush, user lock
-- Privilege: SELECT on performance_schema (MySQL), PROCESS (MariaDB)
-- MariaDB shows a login without PROCESS its own sessions and no error: innodb_cmp, which has five rows,
-- refuses it.
-- Cost: one pass over the thread list
select count(*) as seen,
       sum(case when t.processlist_state regexp '^(Waiting for .*(lock|flush)|User lock)$'  --: mysql
                 and t.processlist_state not like '%query cache%' then 1 else 0 end) as waiting  --: mysql
       sum(case when p.state regexp '^(Waiting for .*(lock|flush)|User lock)$'  --: mariadb
                 and p.state not like '%query cache%' then 1 else 0 end) as waiting,  --: mariadb
       (select count(*) from information_schema.innodb_cmp) as allowed  --: mariadb
  from performance_schema.threads t  --: mysql
 where t.processlist_id is not null  --: mysql
  from information_schema.processlist p  --: mariadb
