-- Purpose: views and materialized views, with the query of each and whether it has rows at all
-- Privilege: none
-- Cost: one parse tree written out a view, AccessShareLock on each relation a view reads while that is done
select case c.relkind when 'v' then 'view' else 'materialized view' end as kind,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name,
       array[r.rolname::text, c.relpersistence::text, array_to_string(c.reloptions, ','),
             case when c.relkind = 'm' then 'populated ' || c.relispopulated end,
             pg_get_viewdef(c.oid),
             (select string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
                                || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), ''),
                                ',' order by a.attnum)
                from pg_attribute a
                left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
               where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)] as definition
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_roles r on r.oid = c.relowner
 where c.relkind in ('v', 'm')
   and c.relpersistence <> 't'
   and n.nspname !~ '^pg_'
   and n.nspname <> 'information_schema'
   and not exists (select from pg_depend e where e.classid = 1259 and e.objid = c.oid and e.deptype = 'e')
