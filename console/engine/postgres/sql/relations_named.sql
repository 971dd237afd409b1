-- Purpose: the oids of tables by name, and of their indexes
-- Privilege: none
-- Cost: some index probes a table, AccessShareLock on pg_class, pg_namespace and pg_index
select c.oid::int8 as oid,
       n.nspname || '.' || c.relname as "table",
       null::int8 as index_oid,
       ''::text as index
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where (n.nspname, c.relname) in (
       select w.schema::name, w.name::name from unnest($1::text[], $2::text[]) w(schema, name))
   and c.relkind in ('r', 'p', 'm')
 union all
select c.oid::int8, n.nspname || '.' || c.relname, i.oid::int8, i.relname::text
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_index x on x.indrelid = c.oid
  join pg_class i on i.oid = x.indexrelid
 where (n.nspname, c.relname) in (
       select w.schema::name, w.name::name from unnest($1::text[], $2::text[]) w(schema, name))
