-- Purpose: whether there is a binary log, how long its files are kept, and the server's clock
-- Privilege: none
-- Cost: constant
select @@global.log_bin as enabled,
       @@global.binlog_expire_logs_seconds as expire_seconds,
       utc_timestamp(6) as clock
