-- Purpose: whose sessions there are, since when, and whether they are encrypted; from the function, which
--   joins no catalog
-- Privilege: pg_read_all_stats (in pg_monitor); without it other roles' rows tell only whose they are
-- Cost: one pass over the backend status array
select s.usesysid::int8 as role,
       s.backend_start as started_at,
       s.ssl as encrypted,
       s.client_port = -1 as local,
       s.backend_type is null as hidden,
       s.backend_type = 'walsender' as walsender,
       s.gss_auth as kerberos,
       s.application_name as application,
       host(s.client_addr) as client
  from pg_stat_get_activity(null) s
 where s.usesysid is not null
   and coalesce(s.backend_type, 'client backend') in ('client backend', 'walsender')
   and s.pid <> pg_backend_pid()
