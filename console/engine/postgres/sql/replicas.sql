-- Purpose: how far physical replicas are behind, and on a standby how far it is behind itself.
--   What only receives (pg_receivewal, Barman) replays nothing, and its replay_lag grows for ever: it is as far
--   as it has written.
--   Who has replayed all of it is not behind: the server goes on telling what the lag was for some seconds
-- Privilege: pg_read_all_stats (in pg_monitor); without it replicas come without their places
-- Cost: one pass over the walsenders in memory, no catalog locks
select w.pid,
       w.state,
       w.application_name as name,
       case when coalesce(w.replay_lsn, w.write_lsn) >= w.here then 0::float8
            when w.replay_lsn is null then extract(epoch from w.write_lag)::float8
            else extract(epoch from w.replay_lag)::float8 end as seconds,
       -- greatest() leaves out what is null: of one that is hidden, or begins, the place is not known.
       case when coalesce(w.replay_lsn, w.write_lsn) is not null
            then greatest(w.here - coalesce(w.replay_lsn, w.write_lsn), 0)::int8 end as bytes,
       ''::text as halted
  from (select s.pid, s.state, s.replay_lsn, s.write_lsn, s.replay_lag, s.write_lag, a.application_name, a.datid,
               case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end as here
          from pg_stat_get_wal_senders() s
          join pg_stat_get_activity(null) a on a.pid = s.pid) w
 where w.datid is null
 union all
select null, 'standby', 'this standby',
       -- Who has replayed all it received is up to date only while it receives, which may be hidden.
       case when pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn() and r.status = 'streaming' then 0::float8
            when pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn() and r.pid is not null and r.status is null
              then null
            else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8 end,
       (pg_last_wal_receive_lsn() - pg_last_wal_replay_lsn())::int8,
       case when pg_get_wal_replay_pause_state() <> 'not paused' then 'replay is paused on this standby'  --: postgresql>=140000
       case when pg_is_wal_replay_paused() then 'replay is paused on this standby'  --: postgresql<140000
            when r.pid is not null then ''
            -- Without primary_conninfo it lives from an archive.
            when not pg_has_role('pg_read_all_settings', 'usage') then ''
            when current_setting('primary_conninfo') <> '' then 'nothing streams to this standby'
            else '' end
  from (select) this
  left join pg_stat_get_wal_receiver() r on r.pid is not null
 where pg_is_in_recovery()
