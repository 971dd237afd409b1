-- Purpose: what the configuration files say of one setting, the last line last: that one counts at the next start
-- Privilege: EXECUTE on pg_show_all_file_settings()
-- Cost: the server reads its configuration files, some milliseconds; no catalog locks
select f.setting as value,
       f.sourcefile as file
  from pg_show_all_file_settings() f
 where lower(f.name) = lower($1::text)
 order by f.seqno
