-- Purpose: what the login may see and do, for `doctor`
-- Privilege: none
-- Cost: constant
select pg_has_role(current_user, 'pg_read_all_stats', 'usage') as read_all_stats,
       pg_has_role(current_user, 'pg_signal_backend', 'usage') as signal_backend,
       has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'select') as verifiers,
       (select rolsuper from pg_roles where rolname = current_user) as superuser,
       current_setting('max_connections')::int4 as max_connections,
       current_setting('superuser_reserved_connections')::int4 as reserved,
       (select count(*)::int4 from pg_stat_get_activity(null) where backend_type = 'client backend') as used,
       extract(epoch from clock_timestamp())::float8 as clock,
       quote_ident(current_user) as role
