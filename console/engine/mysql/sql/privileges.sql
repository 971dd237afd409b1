-- Purpose: figures for `doctor`
-- Privilege: none
-- Cost: a few status variables, constant
select @@global.max_connections as max_connections,
       (select variable_value from performance_schema.global_status  --: mysql
       (select variable_value from information_schema.global_status  --: mariadb
         where variable_name = 'Threads_connected') as used,
       @@performance_schema as performance_schema,
       unix_timestamp(now(6)) as clock
