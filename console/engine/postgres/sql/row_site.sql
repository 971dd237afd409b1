-- Purpose: what must be known of a table before rows of it are deleted: columns, indexes, who refers to it, triggers
-- Privilege: none
-- Cost: a few catalog lookups for one table
select 'table' as kind, n.nspname::text as a, c.relname::text as b, c.relkind::text as c,
       nullif(pg_catalog.concat_ws(', ', case when c.relpersistence = 'u' then 'unlogged' end,
                                   case when c.relrowsecurity then 'row security' end), '') as d, c.oid::int8 as number
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relname = $2::text and ($1::text = '' or n.nspname = $1::text) and n.nspname !~ '^pg_(toast|temp)'
   and c.relkind in ('r', 'p', 'v', 'm', 'f')
union all
select 'column', n.nspname::text || '.' || c.relname::text, a.attname::text,
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       case when a.attgenerated <> '' then 'generated' end, a.attnum::int8
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.relname = $2::text and ($1::text = '' or n.nspname = $1::text) and n.nspname !~ '^pg_(toast|temp)'
   and c.relkind in ('r', 'p', 'v', 'm', 'f')
union all
select case when i.indisprimary then 'primary' else 'index' end, n.nspname::text || '.' || x.relname::text,
       a.attname::text, null, null, k.place
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisvalid and i.indpred is null
  join pg_catalog.pg_class x on x.oid = i.indexrelid
 cross join lateral unnest(i.indkey::int2[]) with ordinality k (attribute, place)
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attribute
 where c.relname = $2::text and ($1::text = '' or n.nspname = $1::text) and n.nspname !~ '^pg_(toast|temp)'
   and k.place <= i.indnkeyatts
union all
select 'referred', o.conname::text, fn.nspname::text || '.' || fc.relname::text, o.confdeltype::text, null, o.oid::int8
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_constraint o on o.confrelid = c.oid and o.contype = 'f' and o.conparentid = 0
  join pg_catalog.pg_class fc on fc.oid = o.conrelid
  join pg_catalog.pg_namespace fn on fn.oid = fc.relnamespace
 where c.relname = $2::text and ($1::text = '' or n.nspname = $1::text) and n.nspname !~ '^pg_(toast|temp)'
union all
select 'trigger', t.tgname::text, null, null, null, t.oid::int8
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled <> 'D' and t.tgtype & 8 > 0
 where c.relname = $2::text and ($1::text = '' or n.nspname = $1::text) and n.nspname !~ '^pg_(toast|temp)'
union all
select 'child', cn.nspname::text || '.' || cc.relname::text, null, null, null, cc.oid::int8
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_inherits h on h.inhparent = c.oid
  join pg_catalog.pg_class cc on cc.oid = h.inhrelid
  join pg_catalog.pg_namespace cn on cn.oid = cc.relnamespace
 where c.relname = $2::text and ($1::text = '' or n.nspname = $1::text) and n.nspname !~ '^pg_(toast|temp)'
 order by 1, 2, 6
