-- Purpose: what is known of a few indexes without touching them or their tables: pg_get_indexdef() and
--   pg_get_expr() would wait behind AccessExclusive, so expressions and predicates come as stored.
--   An index that was built on an empty table keeps that size until ANALYZE: VACUUM alone does not count it,
--   so that its size is unknown until then
-- Privilege: none
-- Cost: some index probes in catalogs for each, AccessShareLock on pg_class, pg_index, pg_attribute,
--   pg_constraint and pg_inherits; measured 25 ms for 1,000 indexes
select c.oid::int8 as oid,
       n.nspname::text as schema,
       c.relname::text as name,
       t.oid::int8 as table_oid,
       tn.nspname::text as table_schema,
       t.relname::text as "table",
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) as sql_name,
       quote_ident(tn.nspname) || '.' || quote_ident(t.relname) as sql_table,
       m.amname::text as method,
       c.relkind = 'I' as partitioned,
       c.relispartition as attached,
       t.oid < 16384 or tn.nspname = 'pg_catalog' as system,
       tn.nspname = 'pg_toast' as toast,
       pg_relation_filenode(c.oid)::int8 as filenode,
       case when c.relkind = 'i'
             and (c.reltuples > 0 or (t.reltuples = 0 and pg_stat_get_live_tuples(t.oid) = 0)
                  or (t.reltuples > 0 and x.indpred is not null))
            then b.size * c.relpages end as bytes,
       case when t.relpages > 0 or t.reltuples >= 0 then b.size * t.relpages end as table_bytes,
       b.size as block,
       c.relpages::int8 as pages,
       c.reltuples::float8 as planner_rows,
       c.reloptions::text[] as options,
       pg_stat_get_live_tuples(t.oid) as live,
       pg_stat_get_mod_since_analyze(t.oid) as modified,
       x.indisunique as is_unique,
       x.indisprimary as is_primary,
       x.indisexclusion as is_exclusion,
       x.indimmediate as immediate,
       x.indnullsnotdistinct as nulls_not_distinct,  --: postgresql>=150000
       false as nulls_not_distinct,  --: postgresql<150000
       x.indisreplident as replica_identity,
       x.indisclustered as clustered,
       x.indisvalid as valid,
       x.indisready as ready,
       x.indislive as live_index,
       x.indnkeyatts::int4 as keys,
       x.indkey::text as columns,
       x.indclass::text as classes,
       x.indcollation::text as collations,
       x.indoption::text as options_of_keys,
       x.indpred::text as predicate,
       x.indexprs::text as expressions,
       array(select coalesce(a.attname, i.attname)::text
               from pg_attribute i
               left join pg_attribute a on a.attrelid = x.indrelid and a.attnum = x.indkey[i.attnum - 1]
                                       and a.attnum <> 0
              where i.attrelid = c.oid and i.attnum > 0 order by i.attnum)::text[] as names,
       coalesce((select k.conname from pg_constraint k
                  where k.conindid = c.oid and k.conrelid = t.oid and k.contype in ('p', 'u', 'x')
                  limit 1), '')::text as "constraint",
       (select array_agg(k.conkey::int4[]::text) from pg_constraint k
         where k.conrelid = t.oid and k.contype = 'f')::text[] as foreign_keys,
       s.scans,
       s.last_scan
  from pg_index x
  join pg_class c on c.oid = x.indexrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_class t on t.oid = x.indrelid
  join pg_namespace tn on tn.oid = t.relnamespace
  join pg_am m on m.oid = c.relam
 cross join (select current_setting('block_size')::int8 as size) b
 cross join lateral (
       with recursive tree as (
       select c.oid as member
        union all
       select i.inhrelid from tree r join pg_inherits i on i.inhparent = r.member where c.relkind = 'I')
       select sum(pg_stat_get_numscans(r.member))::int8 as scans,
              max(pg_stat_get_lastscan(r.member)) as last_scan  --: postgresql>=160000
              null::timestamptz as last_scan  --: postgresql<160000
         from tree r) s
 where c.oid = any ($1::oid[])
 order by c.oid
