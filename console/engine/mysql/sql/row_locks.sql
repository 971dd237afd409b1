-- Purpose: MariaDB's row locks that somebody waits for or is blocked by, each lock once
-- Privilege: PROCESS
-- Cost: none when read within 100 ms of `transactions`, which fills the same cache
select l.lock_id as lock_id,
       l.lock_trx_id as trx_id,
       l.lock_mode as mode,
       l.lock_type as type,
       l.lock_table as table_name,
       l.lock_index as index_name,
       l.lock_space as space,
       l.lock_page as page,
       l.lock_rec as record,
       l.lock_data as data
  from information_schema.innodb_locks l
