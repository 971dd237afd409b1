-- Purpose: enums, domains, composite and range types, and base types
-- Privilege: none
-- Cost: reads pg_type whole; AccessShareLock on catalogs only
select case t.typtype when 'd' then 'domain' when 'e' then 'enum' else 'type' end as kind,
       quote_ident(n.nspname) || '.' || quote_ident(t.typname) as name,
       array[t.typtype::text, r.rolname::text,
             case t.typtype
               when 'd' then format_type(t.typbasetype, t.typtypmod) end,
             case when t.typtype = 'd' and t.typcollation <> b.typcollation
                  then (select quote_ident(m.nspname) || '.' || quote_ident(o.collname)
                          from pg_collation o
                          join pg_namespace m on m.oid = o.collnamespace
                         where o.oid = t.typcollation) end,
             case when t.typnotnull then 'not null' end,
             case when t.typdefaultbin is null then t.typdefault else pg_get_expr(t.typdefaultbin, 0) end,
             case when t.typtype = 'b'
                  then concat_ws(' ', t.typinput::text, t.typoutput::text, t.typreceive::text, t.typsend::text,
                                 t.typlen, t.typbyval, t.typcategory, t.typispreferred, t.typdelim,
                                 t.typalign, t.typstorage, format_type(nullif(t.typelem, 0), null)) end,
             (select string_agg(quote_literal(l.enumlabel), ',' order by l.enumsortorder)
                from pg_enum l
               where l.enumtypid = t.oid),
             (select string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                                          case when a.attcollation <> y.typcollation then o.collname end),
                                ',' order by a.attnum)
                from pg_attribute a
                join pg_type y on y.oid = a.atttypid
                left join pg_collation o on o.oid = a.attcollation
               where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped),
             (select concat_ws(' ', format_type(g.rngsubtype, null), g.rngcanonical::text, g.rngsubdiff::text,
                               o.collname, p.opcname)
                from pg_range g
                join pg_opclass p on p.oid = g.rngsubopc
                left join pg_collation o on o.oid = g.rngcollation
               where g.rngtypid = t.oid)] as definition
  from pg_type t
  join pg_namespace n on n.oid = t.typnamespace
  join pg_roles r on r.oid = t.typowner
  left join pg_type b on b.oid = t.typbasetype
  left join pg_class c on c.oid = t.typrelid
 where n.nspname !~ '^pg_'
   and n.nspname <> 'information_schema'
   and t.typtype in ('b', 'c', 'd', 'e', 'r')
   and (t.typrelid = 0 or c.relkind = 'c')
   and not exists (select from pg_type l where l.typarray = t.oid)
   and not exists (select from pg_depend e where e.classid = 1247 and e.objid = t.oid and e.deptype = 'e')
