-- Purpose: which files of the binary log are open, and how often: the one being written, and those being read
-- Privilege: SELECT on performance_schema.*
-- Cost: one pass over the files that performance_schema knows
select substring_index(file_name, '/', -1) as name,
       open_count as opened
  from performance_schema.file_instances
 where event_name = 'wait/io/file/sql/binlog'
   and open_count > 0
