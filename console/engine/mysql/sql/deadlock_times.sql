-- Purpose: when deadlocks happened, as far as MySQL's error log in memory tells; the details are not there
-- Privilege: SELECT on performance_schema
-- Cost: one pass over the log's memory, 5 MB at most
select unix_timestamp(l.logged) as at
  from performance_schema.error_log l
 where l.error_code = 'MY-012468'
   and l.logged >= from_unixtime(%s)
 order by l.logged desc
 limit 1000
