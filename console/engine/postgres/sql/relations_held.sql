-- Purpose: the names of relations by their oids, and of an index the table it belongs to
-- Privilege: none
-- Cost: some index probes an oid, AccessShareLock on pg_class, pg_namespace and pg_index
select t.oid::int8 as oid,
       n.nspname::text as schema,
       t.relname::text as name,
       case when x.indexrelid is not null then c.oid::int8 end as index_oid,
       case when x.indexrelid is not null then c.relname else '' end::text as index
  from pg_class c
  left join pg_index x on x.indexrelid = c.oid
  join pg_class t on t.oid = coalesce(x.indrelid, c.oid)
  join pg_namespace n on n.oid = t.relnamespace
 where c.oid = any ($1::oid[])
