-- Purpose: the metadata locks that some sessions hold, counted by object
-- Privilege: SELECT on performance_schema
-- Cost: two index probes a session (MySQL), one pass over the metadata locks (MariaDB)
select t.processlist_id as session_id,
       m.object_type as type,
       m.object_schema as table_schema,
       m.object_name as table_name,
       count(*) as locks
  from performance_schema.threads t
  join performance_schema.metadata_locks m
    on m.owner_thread_id = t.thread_id
 where t.processlist_id in %s
   and m.lock_status = 'GRANTED'
 group by t.processlist_id, m.object_type, m.object_schema, m.object_name
