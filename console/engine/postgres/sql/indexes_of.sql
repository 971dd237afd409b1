-- Purpose: the oids of indexes: of some tables, or by name (an empty schema is any)
-- Privilege: none
-- Cost: some index probes, AccessShareLock on pg_index, pg_class and pg_namespace
select x.indexrelid::int8 as oid
  from pg_index x
 where x.indrelid = any ($1::oid[])
 union
select c.oid::int8
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('i', 'I')
   and c.relname = any (($3::text[])::name[])
   and exists (select from unnest($2::text[], $3::text[]) w(schema, name)
                where w.name = c.relname and w.schema in ('', n.nspname))
