-- Purpose: every role with its attributes; the server's own groups (pg_…) too, for who is in them
-- Privilege: none
-- Cost: one pass over pg_authid; measured 17 ms with 10,000 roles, the way to the client included
select r.rolname::text as name,
       r.oid::int8 as number,
       r.oid < 16384 and r.rolname like 'pg\_%' as builtin,
       r.rolcanlogin as may_login,
       r.rolsuper as superuser,
       r.rolcreaterole as createrole,
       r.rolbypassrls as bypassrls,
       r.rolreplication as replication,
       r.rolvaliduntil as valid_until,
       r.rolvaliduntil <= clock_timestamp() as expired,
       (select substr(c, 6) from unnest(r.rolconfig) c where c like 'role=%') as becomes,
       clock_timestamp() as now
  from pg_roles r
