-- Purpose: foreign keys whose columns lead no index of their table, in whatever order: each DELETE of a
--   referenced row reads the whole table
-- Privilege: none
-- Cost: one pass over the foreign keys with an index probe each, AccessShareLock on pg_constraint, pg_index
--   and pg_class; measured 60 ms for 1,000 foreign keys
select k.oid::int8 as oid,
       k.conname::text as name,
       n.nspname::text as schema,
       t.relname::text as "table",
       rn.nspname || '.' || r.relname as referenced,
       array(select a.attname::text from unnest(k.conkey) with ordinality as c(number, place)
               join pg_attribute a on a.attrelid = t.oid and a.attnum = c.number order by c.place)::text[] as columns,
       case when t.relpages > 0 or t.reltuples >= 0
            then current_setting('block_size')::int8 * t.relpages end as bytes,
       pg_stat_get_tuples_deleted(r.oid) as deleted
  from pg_constraint k
  join pg_class t on t.oid = k.conrelid
  join pg_namespace n on n.oid = t.relnamespace
  join pg_class r on r.oid = k.confrelid
  join pg_namespace rn on rn.oid = r.relnamespace
 where k.contype = 'f'
   and k.conparentid = 0
   and t.relpersistence <> 't'
   and not exists (
       select from pg_index x
         join pg_class i on i.oid = x.indexrelid
         join pg_am m on m.oid = i.relam and m.amname in ('btree', 'hash')
        where x.indrelid = k.conrelid
          and x.indisvalid
          and x.indpred is null
          and x.indnkeyatts >= cardinality(k.conkey)
          and (x.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)
 order by t.relpages desc, k.oid
 limit $1::int8
