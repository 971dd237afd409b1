-- Purpose: the tables whose rows can be counted and summed, with their columns, a key and about how large they
--   are; of a partitioned table its partitions, of an extension's tables none, nor of materialized views, which
--   a restore fills anew
-- Privilege: none
-- Cost: reads pg_class, pg_attribute and pg_index whole; AccessShareLock on catalogs, no table is opened
select c.oid::int8 as oid,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name,
       greatest(c.relpages::int8, pg_stat_get_live_tuples(c.oid) / 50) as pages,
       case when c.reltuples > 0 then c.reltuples::int8
            else nullif(pg_stat_get_live_tuples(c.oid), 0) end as estimate,
       c.relpersistence = 'u' as unlogged,
       c.relpersistence = 'u' and pg_is_in_recovery() as shut,
       has_table_privilege(c.oid, 'select') and has_schema_privilege(c.relnamespace, 'usage') as readable,
       c.relrowsecurity as secured,
       array(select quote_ident(a.attname)
               from pg_attribute a
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v'
              order by a.attnum) as columns,
       coalesce((select array(select quote_ident(a.attname)
                                from unnest(x.indkey::int2[]) with ordinality k(number, place)
                                join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
                               where k.place <= x.indnkeyatts
                               order by k.place)
                   from pg_index x
                  where x.indrelid = c.oid and x.indisprimary and x.indisvalid), '{}') as key
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r'
   and c.relpersistence <> 't'
   and n.nspname !~ '^pg_'
   and n.nspname <> 'information_schema'
   and not exists (select from pg_depend e where e.classid = 1259 and e.objid = c.oid and e.deptype = 'e')
 order by 3, 2
