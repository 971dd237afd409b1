-- Purpose: sequences and how each counts (not how far), and indexes that are not a constraint's own; those
--   that are not valid are a kind of their own, because pg_dump leaves them out
-- Privilege: none
-- Cost: reads pg_sequence and pg_index whole; AccessShareLock on catalogs only
select 'sequence' as kind,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name,
       array[r.rolname::text, c.relpersistence::text, format_type(q.seqtypid, null), q.seqstart::text,
             q.seqincrement::text, q.seqmin::text, q.seqmax::text, q.seqcache::text, q.seqcycle::text,
             (select d.deptype::text || ' ' || quote_ident(m.nspname) || '.' || quote_ident(o.relname) || '.'
                     || quote_ident(a.attname)
                from pg_depend d
                join pg_class o on o.oid = d.refobjid
                join pg_namespace m on m.oid = o.relnamespace
                join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
               where d.classid = 1259 and d.objid = c.oid and d.refclassid = 1259
                 and d.deptype in ('a', 'i'))] as definition
  from pg_sequence q
  join pg_class c on c.oid = q.seqrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_roles r on r.oid = c.relowner
 where c.relpersistence <> 't'
   and not exists (select from pg_depend e where e.classid = 1259 and e.objid = c.oid and e.deptype = 'e')
union all
select case when x.indisvalid or c.relkind = 'I' then 'index' else 'invalid index' end,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname),
       array[pg_get_indexdef(c.oid), case when x.indisclustered then 'clustered' end,
             case when x.indisreplident then 'replica identity' end,
             (select quote_ident(m.nspname) || '.' || quote_ident(p.relname)
                from pg_inherits i
                join pg_class p on p.oid = i.inhparent
                join pg_namespace m on m.oid = p.relnamespace
               where i.inhrelid = c.oid),
             (select string_agg(a.attnum || ' statistics ' || a.attstattarget, ',' order by a.attnum)
                from pg_attribute a
               where a.attrelid = c.oid and coalesce(a.attstattarget, -1) >= 0)]
  from pg_index x
  join pg_class c on c.oid = x.indexrelid
  join pg_class t on t.oid = x.indrelid
  join pg_namespace n on n.oid = c.relnamespace
 where c.relpersistence <> 't'
   and n.nspname !~ '^pg_'
   and n.nspname <> 'information_schema'
   and t.relkind <> 't'
   and not exists (select from pg_constraint o where o.conindid = c.oid and o.contype in ('p', 'u', 'x'))
   and not exists (select from pg_depend e where e.classid = 1259 and e.objid = t.oid and e.deptype = 'e')
