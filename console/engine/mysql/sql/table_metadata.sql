-- Purpose: who holds or waits for a metadata lock on some tables, or keeps all tables from being written
-- Privilege: SELECT on performance_schema; MariaDB also PROCESS
-- Cost: one pass over the metadata locks; MariaDB also one over the thread list for each
--   owner that has no number
select t.processlist_id as session_id,  --: mysql
select cast(coalesce(t.processlist_id, (select p.id from information_schema.processlist p  --: mariadb
                                    where t.thread_os_id > 0 and p.tid = t.thread_os_id limit 1)) as unsigned) as session_id,  --: mariadb
       t.thread_id as thread_id,
       t.name as thread,
       m.object_type as type,
       m.object_schema as table_schema,
       m.object_name as table_name,
       m.lock_type as mode,
       m.lock_status as status
  from performance_schema.metadata_locks m
  left join performance_schema.threads t
    on t.thread_id = m.owner_thread_id
 where m.lock_status in ('GRANTED', 'PENDING')
   and ((m.object_type = 'TABLE'
         and (cast(m.object_schema as binary), cast(m.object_name as binary)) in %s)
        or (m.object_type = 'GLOBAL' and m.lock_type = 'SHARED')
        or (m.object_type = 'BACKUP LOCK' and m.lock_type = 'SHARED')
        or (m.object_type = 'BACKUP' and m.lock_type in ('BACKUP_FTWRL1', 'BACKUP_FTWRL2',
            'BACKUP_BLOCK_DDL', 'BACKUP_WAIT_DDL', 'BACKUP_WAIT_COMMIT')))
