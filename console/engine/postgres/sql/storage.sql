-- Purpose: what is called so and could have storage parameters, and those it has; without a schema neither
--   catalogs nor temporary tables are meant
-- Privilege: none
-- Cost: probes of pg_namespace and pg_class (AccessShareLock); no table is touched
select c.oid::int8 as number,
       n.nspname::text as schema,
       c.relname::text as name,
       c.relkind::text as kind,
       c.relpersistence = 't' as temporary,
       c.oid < 16384 as system,
       c.reloptions as options,
       c.reltoastrelid <> 0 as toast,
       t.reloptions as toast_options
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_class t on t.oid = c.reltoastrelid
 where c.relname = $2::text collate "C"
   and (n.nspname = $1::text collate "C"
        or ($1::text = '' and c.relpersistence <> 't'
            and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')))
 order by n.nspname
 limit 20
