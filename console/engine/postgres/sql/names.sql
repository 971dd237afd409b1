-- Purpose: names of databases and roles, kept by the client so that polls touch no catalog
-- Privilege: none
-- Cost: one pass over two small shared catalogs, AccessShareLock on both
select 'database' as kind, oid::int8 as oid, datname::text as name from pg_database
union all
select 'role', oid::int8, rolname::text from pg_roles
