-- Purpose: how many deadlocks InnoDB resolved, and since when it counts
-- Privilege: PROCESS (MySQL), none (MariaDB)
-- Cost: one pass over InnoDB's counters (MySQL) or the status variables (MariaDB), constant
-- The server gives the time in its own zone, whatever the session's is.
select m.count as counted,  --: mysql
       unix_timestamp(convert_tz(m.time_enabled, 'SYSTEM', '+00:00')) as since,  --: mysql
       m.status <> 'disabled' as counting  --: mysql
  from information_schema.innodb_metrics m  --: mysql
 where m.name = 'lock_deadlocks'  --: mysql
select s.variable_value as counted,  --: mariadb
       null as since,  --: mariadb
       1 as counting  --: mariadb
  from information_schema.global_status s  --: mariadb
 where s.variable_name = 'Innodb_deadlocks'  --: mariadb
