-- Purpose: the tables on which somebody holds an exclusive metadata lock: whoever opens them would wait
-- Privilege: SELECT on performance_schema
-- Cost: one pass over the metadata locks
select distinct m.object_schema as table_schema, m.object_name as table_name
  from performance_schema.metadata_locks m
 where m.object_type = 'TABLE'
   and m.lock_type = 'EXCLUSIVE'
   and m.lock_status = 'GRANTED'
