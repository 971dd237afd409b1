-- Purpose: tables without a primary key, and whether logical replication would need one
-- Privilege: none
-- Cost: one pass over pg_class with an index probe each, AccessShareLock on pg_class and pg_index; measured
--   0.4 s for 100,000 tables
select t.oid::int8 as oid,
       n.nspname::text as schema,
       t.relname::text as "table",
       quote_ident(n.nspname) || '.' || quote_ident(t.relname) as sql_table,
       case when t.relkind = 'r' and (t.relpages > 0 or t.reltuples >= 0)
            then current_setting('block_size')::int8 * t.relpages end as bytes,
       t.relreplident = 'd' and (
       exists (select from pg_publication p where p.puballtables and (p.pubupdate or p.pubdelete))
       or exists (select from pg_publication_rel l join pg_publication p on p.oid = l.prpubid
                   where l.prrelid = t.oid and (p.pubupdate or p.pubdelete))) as published,
       (select quote_ident(c.relname)
          from pg_index x join pg_class c on c.oid = x.indexrelid
         where x.indrelid = t.oid and x.indisunique and x.indisvalid and x.indimmediate
           and x.indpred is null and x.indexprs is null
           and not exists (select from pg_attribute a
                            where a.attrelid = t.oid and a.attnum = any (x.indkey::int2[]) and not a.attnotnull)
         order by x.indexrelid limit 1)::text as candidate
  from pg_class t
  join pg_namespace n on n.oid = t.relnamespace
 where t.relkind in ('r', 'p')
   and not t.relispartition
   and t.relpersistence <> 't'
   and n.nspname not in ('pg_catalog', 'information_schema')
   and not exists (select from pg_index x where x.indrelid = t.oid and x.indisprimary)
   and not exists (select from pg_depend d where d.classid = 1259 and d.objid = t.oid and d.deptype = 'e')
 order by t.relpages desc, t.oid
 limit $1::int8
