-- Purpose: names of relations of the connected database, and of the shared catalogs
-- Privilege: none
-- Cost: one index probe an oid, AccessShareLock on pg_class and pg_namespace
select c.oid::int8 as oid,
       n.nspname::text as schema,
       c.relname::text as name,
       c.relkind in ('i', 'I') as index
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.oid = any ($1::oid[])
