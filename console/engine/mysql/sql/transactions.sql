-- Purpose: InnoDB's transactions: age, rows changed, and which of them wait for a row
-- Privilege: PROCESS
-- Cost: one pass over all transactions under InnoDB's latch. MariaDB computes all row waits along
--   with it: 3 ms with 100, 160 ms with 600 waiters on one row, once in 100 ms at most
-- It reads a cache that is refreshed when nobody read it for 100 ms (CACHE_MIN_IDLE_TIME in
-- trx0i_s.cc): whoever asks more often sees the same old rows for ever. The caller keeps its distance.
-- The server gives these times in its own zone, whatever the session's is.
select t.trx_id as trx_id,
       t.trx_mysql_thread_id as session_id,
       t.trx_state as state,
       unix_timestamp(convert_tz(t.trx_started, 'SYSTEM', '+00:00')) as started,
       unix_timestamp(convert_tz(t.trx_wait_started, 'SYSTEM', '+00:00')) as wait_started,
       t.trx_requested_lock_id as lock_id,
       t.trx_rows_modified as rows_modified,
       t.trx_rows_locked as rows_locked,
       t.trx_isolation_level as isolation,
       unix_timestamp(now(6)) as clock
  from information_schema.innodb_trx t
