-- Purpose: who holds a metadata lock on some tables, of a MariaDB with the plugin METADATA_LOCK_INFO;
--   it does not show those who wait
-- Privilege: PROCESS
-- Cost: one pass over the metadata locks
select i.thread_id as session_id,
       null as thread_id,
       null as thread,
       'TABLE' as type,
       i.table_schema as table_schema,
       i.table_name as table_name,
       substr(i.lock_mode, 5) as mode,
       'GRANTED' as status
  from information_schema.metadata_lock_info i
 where i.lock_type = 'Table metadata lock'
   and (cast(i.table_schema as binary), cast(i.table_name as binary)) in %s
