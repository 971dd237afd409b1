-- Purpose: the file the server writes its log to now, in the format asked for
-- Privilege: EXECUTE on pg_current_logfile(text); pg_monitor has it from 16 on
-- Cost: one small file read by the server
select pg_current_logfile($1::text) as path
