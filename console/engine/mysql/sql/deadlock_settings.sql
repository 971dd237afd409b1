-- Purpose: what the server notes of deadlocks, and the time it is there
-- Privilege: none
-- Cost: constant
select cast(@@global.innodb_print_all_deadlocks as char) as print_all,
       cast(@@global.innodb_deadlock_detect as char) as detect,
       @@global.log_error_verbosity as verbosity,  --: mysql
       null as verbosity,  --: mariadb
       cast(@@global.innodb_deadlock_report as char) as report,  --: mariadb
       null as report,  --: mysql
       @@global.log_error as log_error,
       @@global.datadir as data_directory,
       unix_timestamp(now(6)) as clock
