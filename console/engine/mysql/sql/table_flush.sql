-- Purpose: who has which table open, and which tables those wait for who meet a table flush
-- Privilege: SELECT on performance_schema
-- Cost: one pass over the table handles and one over the metadata locks
select 'open' as kind,
       h.object_schema as table_schema,
       h.object_name as table_name,
       t.processlist_id as session_id
  from performance_schema.table_handles h
  join performance_schema.threads t
    on t.thread_id = h.owner_thread_id
 where h.object_type = 'TABLE'
   and h.object_schema <> 'performance_schema'
   and t.processlist_id is not null
union all
select 'wanted',
       m.object_schema,
       m.object_name,
       t.processlist_id
  from performance_schema.threads t
  join performance_schema.metadata_locks m
    on m.owner_thread_id = t.thread_id
 where t.processlist_state = 'Waiting for table flush'
   and m.object_type = 'TABLE'
   and m.lock_status = 'GRANTED'
