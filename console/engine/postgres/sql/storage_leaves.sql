-- Purpose: some partitions that hold rows of a partitioned table, and how many there are
-- Privilege: none
-- Cost: index probes of pg_inherits and pg_class, one a partition (AccessShareLock); no table is touched
with recursive tree as (
     select i.inhrelid as oid from pg_inherits i where i.inhparent = $1::int8::oid
      union all
     select i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid)
select n.nspname::text as schema,
       c.relname::text as name,
       count(*) over () as total
  from tree t
  join pg_class c on c.oid = t.oid
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind <> 'p'
 order by 1, 2
 limit 5
