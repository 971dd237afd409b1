-- Purpose: tables, partitions, partitioned and foreign tables with what makes each of them; where a table
--   lies (tablespace) and what an extension brings is not part of it
-- Privilege: none
-- Cost: reads pg_class and pg_attribute whole; AccessShareLock on them, no table is opened
select case c.relkind when 'f' then 'foreign table'
                      else case when c.relispartition then 'partition' else 'table' end end as kind,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name,
       array[c.relkind::text, c.relpersistence::text, r.rolname::text, am.amname::text,
             array_to_string(c.reloptions, ','), c.relreplident::text,
             'row security ' || c.relrowsecurity || ' ' || c.relforcerowsecurity,
             case when c.reloftype <> 0 then format_type(c.reloftype, null) end,
             case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end,
             pg_get_expr(c.relpartbound, c.oid),
             (select string_agg(quote_ident(m.nspname) || '.' || quote_ident(p.relname), ',' order by i.inhseqno)
                from pg_inherits i
                join pg_class p on p.oid = i.inhparent
                join pg_namespace m on m.oid = p.relnamespace
               where i.inhrelid = c.oid),
             (select quote_ident(s.srvname) || ' ' || coalesce(array_to_string(f.ftoptions, ','), '')
                from pg_foreign_table f
                join pg_foreign_server s on s.oid = f.ftserver
               where f.ftrelid = c.oid)] || coalesce(k.columns, '{}') as definition
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_roles r on r.oid = c.relowner
  left join pg_am am on am.oid = c.relam
  left join (
       select a.attrelid,
              array_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                        case when a.attcollation <> t.typcollation
                             then 'collate ' || quote_ident(cn.nspname) || '.' || quote_ident(co.collname) end,
                        case when a.attnotnull then 'not null' end,
                        case when d.adbin is not null then 'default ' || pg_get_expr(d.adbin, d.adrelid) end,
                        nullif('identity ' || a.attidentity::text, 'identity '),
                        nullif('generated ' || a.attgenerated::text, 'generated '),
                        case when a.attstorage <> t.typstorage then 'storage ' || a.attstorage::text end,
                        nullif('compression ' || a.attcompression::text, 'compression '),  --: postgresql>=140000
                        case when coalesce(a.attstattarget, -1) >= 0
                             then 'statistics ' || a.attstattarget end,
                        array_to_string(a.attoptions, ','), array_to_string(a.attfdwoptions, ','))
                        order by a.attnum) as columns
         from pg_attribute a
         join pg_type t on t.oid = a.atttypid
         left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
         left join pg_collation co on co.oid = a.attcollation
         left join pg_namespace cn on cn.oid = co.collnamespace
        where a.attnum > 0
          and not a.attisdropped
          and a.attrelid >= 16384
        group by a.attrelid) k on k.attrelid = c.oid
 where c.relkind in ('r', 'p', 'f')
   and c.relpersistence <> 't'
   and n.nspname !~ '^pg_'
   and n.nspname <> 'information_schema'
   and not exists (select from pg_depend e where e.classid = 1259 and e.objid = c.oid and e.deptype = 'e')
