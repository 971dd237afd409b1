-- Purpose: what bears a name, whatever it is; without a schema neither catalogs nor temporary ones are meant
-- Privilege: none
-- Cost: probes of pg_namespace and pg_class (AccessShareLock); no table is touched
select n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relname = $2::text collate "C"
   and (n.nspname = $1::text collate "C"
        or ($1::text = '' and c.relpersistence <> 't'
            and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')))
 order by n.nspname
 limit 20
