-- Purpose: large tables that are read from end to end again and again
-- Privilege: none
-- Cost: one pass over pg_class (AccessShareLock) with a look at the counters of the large tables; measured
--   0.2 s for 100,000 tables
select t.oid::int8 as oid,
       n.nspname::text as schema,
       t.relname::text as "table",
       current_setting('block_size')::int8 * t.relpages as bytes,
       pg_stat_get_numscans(t.oid) as scans,
       pg_stat_get_tuples_returned(t.oid) as rows,
       pg_stat_get_lastscan(t.oid) as last_scan,  --: postgresql>=160000
       null::timestamptz as last_scan,  --: postgresql<160000
       (select coalesce(sum(pg_stat_get_numscans(x.indexrelid)), 0)::int8
          from pg_index x where x.indrelid = t.oid) as index_scans
  from pg_class t
  join pg_namespace n on n.oid = t.relnamespace
 where t.relkind in ('r', 'm')
   and t.relpages >= $2::int8
   and t.relpersistence <> 't'
   and n.nspname not in ('pg_catalog', 'information_schema')
   and pg_stat_get_numscans(t.oid) >= $3::int8
 order by pg_stat_get_tuples_returned(t.oid) desc, t.oid
 limit $1::int8
