-- Purpose: metadata locks (tables, schemas, global read lock, backup, user locks) of every object
--   that somebody waits for
-- MariaDB gives threads of replication and events a number in the list of sessions only: it is found there by
--   the thread of the operating system.
-- Privilege: SELECT on performance_schema; MariaDB also PROCESS
-- Cost: two passes over the metadata locks; MariaDB also one over the thread list for each
--   owner that has no number
select m.object_type as type,
       m.object_schema as table_schema,
       m.object_name as table_name,
       m.lock_type as mode,
       m.lock_status as status,
       t.processlist_id as session_id,  --: mysql
       cast(coalesce(t.processlist_id, (select p.id from information_schema.processlist p  --: mariadb
                                    where t.thread_os_id > 0 and p.tid = t.thread_os_id limit 1)) as unsigned) as session_id,  --: mariadb
       t.thread_id as thread_id,
       t.name as thread
  from performance_schema.metadata_locks m
  join (select distinct object_type, object_schema, object_name
          from performance_schema.metadata_locks
         where lock_status = 'PENDING') wanted
    on wanted.object_type = m.object_type
   and wanted.object_schema <=> m.object_schema
   and wanted.object_name <=> m.object_name
  left join performance_schema.threads t
    on t.thread_id = m.owner_thread_id
 where m.lock_status in ('GRANTED', 'PENDING')
