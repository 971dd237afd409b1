-- Purpose: the server's clock, as a look begins, and how much its log tells of sessions that end
-- Privilege: none
-- Cost: constant
select unix_timestamp(now(6)) as now,
       @@global.log_warnings as warnings,  --: mariadb
       null as warnings,  --: mysql
       @@global.log_error as log_error,
       @@global.datadir as data_directory
