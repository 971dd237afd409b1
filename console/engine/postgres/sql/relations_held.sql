-- Purpose: which tables relations stand for, by their oids: themselves, the table of an index, the one whose
--   TOAST table it is, and the partitioned tables that a partition belongs to (both: `part` is its name)
-- Privilege: none
-- Cost: some index probes an oid, AccessShareLock on pg_class, pg_namespace, pg_index and pg_inherits
select c.oid::int8 as held,
       t.oid::int8 as oid,
       n.nspname::text as schema,
       t.relname::text as name,
       case when x.indexrelid is not null then c.relname else '' end::text as index,
       ''::text as part,
       false as toast
  from pg_class c
  left join pg_index x on x.indexrelid = c.oid
  join pg_class t on t.oid = coalesce(x.indrelid, c.oid)
  join pg_namespace n on n.oid = t.relnamespace
 where c.oid = any ($1::oid[])
 union all
select c.oid::int8, t.oid::int8, n.nspname::text, t.relname::text, '', 'its TOAST table', true
  from pg_class c
  join pg_class t on t.oid = substring(c.relname from '^pg_toast_([0-9]{1,10})$')::oid and t.reltoastrelid = c.oid
  join pg_namespace n on n.oid = t.relnamespace
 where c.oid = any ($1::oid[]) and c.relkind = 't'
 union all
select c.oid::int8, t.oid::int8, n.nspname::text, t.relname::text, '', cn.nspname || '.' || c.relname, false
  from pg_class c
  join pg_namespace cn on cn.oid = c.relnamespace
 cross join lateral pg_partition_ancestors(c.oid) a(relid)
  join pg_class t on t.oid = a.relid and t.oid <> c.oid
  join pg_namespace n on n.oid = t.relnamespace
 where c.oid = any ($1::oid[]) and c.relispartition and c.relkind not in ('i', 'I')
