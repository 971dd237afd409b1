-- Purpose: every session, from the function below pg_stat_activity: the view joins pg_database and
--   pg_authid, and hangs while somebody holds them exclusively
-- Privilege: pg_read_all_stats (in pg_monitor); without it other roles' rows come without details
-- Cost: one pass over the backend status array, no catalog locks; moments are numbers (epoch seconds, to the
--   microsecond), because a datetime for each of three thousand costs the client more than all the rest; times
--   are told by the client, as an interval for each cost the server a seventh more
select s.pid,
       date_part('epoch', s.backend_start) as backend_start,
       s.usesysid::int8 as role,
       s.datid::int8 as database,
       s.application_name,
       case when s.client_port = -1 then 'local' else host(s.client_addr) end as client,
       s.backend_type,
       s.state,
       s.query,
       s.query_id,  --: postgresql>=140000
       null::int8 as query_id,  --: postgresql<140000
       date_part('epoch', s.query_start) as query_start,
       date_part('epoch', s.xact_start) as xact_start,
       date_part('epoch', s.state_change) as state_change,
       c.now,
       s.wait_event_type,
       s.wait_event,
       s.leader_pid,
       s.backend_xid::text as xid,
       age(s.backend_xid)::int8 as xid_age,
       age(s.backend_xmin)::int8 as xmin_age
  from pg_stat_get_activity($1) s
 cross join (select date_part('epoch', clock_timestamp()) as now) c
