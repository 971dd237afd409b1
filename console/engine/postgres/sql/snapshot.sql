-- Purpose: the snapshot of this transaction under a name that pg_dump --snapshot takes, when it began by the
--   server's clock, and how far its WAL was just after (of a standby: was replayed)
-- Privilege: none
-- Cost: one small file below pg_snapshots for as long as the transaction is open
select pg_export_snapshot() as id,
       now() as taken_at,
       case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end::text as position
