-- Purpose: what belongs to some tables and can be looked at for damage: rows, long values, usable indexes; and
--   the schema of the extension amcheck
-- Privilege: none
-- Cost: catalogs by index for each table named; no table is opened
with wanted as materialized (
select c.oid, c.reltoastrelid, n.nspname, c.relname
  from unnest($1::text[], $2::text[]) as w(schema, name)
  join pg_namespace n on n.nspname = w.schema
  join pg_class c on c.relnamespace = n.oid and c.relname = w.name
 where c.relkind in ('r', 'm')
   and c.relpersistence <> 't'),
rows as (
select w.oid, w.nspname, w.relname, false as toast from wanted w
 union all
select w.reltoastrelid, w.nspname, w.relname, true from wanted w where w.reltoastrelid <> 0),
all_of as (
select r.oid, r.nspname, r.relname, r.toast, false as "index" from rows r
 union all
select x.indexrelid, r.nspname, r.relname, r.toast, true
  from rows r
  join pg_index x on x.indrelid = r.oid
 where x.indisvalid and x.indisready and x.indislive)
select (select n.nspname::text
          from pg_extension e
          join pg_namespace n on n.oid = e.extnamespace
         where e.extname = 'amcheck') as extension,
       current_setting('data_checksums') = 'on' as checksums,
       c.oid::int8 as number, a.nspname::text as schema, a.relname::text as "table", n.nspname::text as relation_schema,
       c.relname::text as name, a.toast, a."index", coalesce(m.amname::text, 'heap') as method,
       greatest(c.relpages, 0)::int8 * current_setting('block_size')::int8 as bytes
  from (select) one
  left join (all_of a
       join pg_class c on c.oid = a.oid
       join pg_namespace n on n.oid = c.relnamespace
       left join pg_am m on m.oid = c.relam) on true
 order by a.nspname, a.relname, a."index", a.toast, c.relname
