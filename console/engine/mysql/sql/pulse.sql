-- Purpose: how a server is doing: connections, row-lock waits, and counters of statements and redo log
-- Privilege: none
-- Cost: a few status variables, constant
select unix_timestamp(sysdate(6)) as at,
       unix_timestamp() - max(case v.variable_name when 'Uptime' then v.variable_value + 0 end) as started,
       max(case v.variable_name when 'Innodb_row_lock_current_waits' then v.variable_value + 0 end) as waiting,
       max(case v.variable_name when 'Threads_connected' then v.variable_value + 0 end) as connections,
       @@global.max_connections as most,
       max(case v.variable_name when 'Questions' then v.variable_value + 0 end) as statements,
       max(case v.variable_name when 'Innodb_os_log_written' then v.variable_value + 0 end) as wal
  from performance_schema.global_status v  --: mysql
  from information_schema.global_status v  --: mariadb
 where v.variable_name in ('Uptime', 'Innodb_row_lock_current_waits', 'Threads_connected', 'Questions',
                           'Innodb_os_log_written')
