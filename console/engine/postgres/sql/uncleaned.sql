-- Purpose: the tables of the connected database with most dead rows, and when each was vacuumed last
-- Privilege: none
-- Cost: one pass over pg_class (AccessShareLock) with a look at the statistics of each table in memory:
--   about 10 ms for 10,000 tables; no size functions, no table is touched
select n.nspname::text || '.' || t.relname as name,
       t.relisshared as shared,
       t.oid < 16384 as system,
       t.dead_rows,
       v.at as vacuumed_at,
       extract(epoch from clock_timestamp() - v.at)::float8 as since_vacuum
  from (select c.oid, c.relname::text as relname, c.relnamespace, c.relisshared,
               pg_stat_get_dead_tuples(c.oid)::int8 as dead_rows
          from pg_class c
         where c.relkind in ('r', 't', 'm')) t
  join pg_namespace n on n.oid = t.relnamespace
 cross join lateral (
       select greatest(pg_stat_get_last_vacuum_time(t.oid), pg_stat_get_last_autovacuum_time(t.oid)) as at) v
 where t.dead_rows > 0
 order by t.dead_rows desc, name
 limit 10
