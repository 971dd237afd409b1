-- Purpose: replication slots, from the function below pg_replication_slots (the view joins pg_database)
-- Privilege: none
-- Cost: one pass over the slots in memory, no catalog locks
select s.slot_name::text as name,
       s.slot_type::text as kind,
       s.plugin::text as plugin,
       s.datoid::int8 as database,
       null::int8 as role,
       s.temporary,
       s.active_pid,
       age(s.xmin)::int8 as xmin_age,
       age(s.catalog_xmin)::int8 as catalog_xmin_age,
       s.restart_lsn::text as restart_lsn,
       s.confirmed_flush_lsn::text as confirmed_lsn,
       -- One that was invalidated may show a position, and no WAL is kept for it.
       case when s.wal_status = 'lost' then null
            when s.invalidation_reason is not null then null  --: postgresql>=170000
            else (r.here - s.restart_lsn)::int8 end as retained_bytes,
       -- A standby counts it from where it has itself written WAL, which is nowhere.
       case when not pg_is_in_recovery() then s.safe_wal_size::int8 end as safe_bytes,
       s.wal_status,
       case when s.conflicting then 'conflicting' end as conflicting,  --: postgresql>=160000
       null::text as conflicting,  --: postgresql<160000
       s.inactive_since,  --: postgresql>=170000
       extract(epoch from clock_timestamp() - s.inactive_since)::float8 as idle_seconds,  --: postgresql>=170000
       s.invalidation_reason::text as invalidation,  --: postgresql>=170000
       s.synced, s.failover  --: postgresql>=170000
       null::timestamptz as inactive_since,  --: postgresql<170000
       null::float8 as idle_seconds,  --: postgresql<170000
       null::text as invalidation,  --: postgresql<170000
       false as synced, false as failover  --: postgresql<170000
  from pg_get_replication_slots() s
 cross join (
       select case when pg_is_in_recovery()
                   then coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                   else pg_current_wal_lsn() end as here) r
