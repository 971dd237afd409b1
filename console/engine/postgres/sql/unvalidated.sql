-- Purpose: constraints that hold for new rows only, because nobody has checked the old ones
-- Privilege: none
-- Cost: one pass over pg_constraint, AccessShareLock on it, pg_class and pg_namespace
select k.oid::int8 as oid,
       k.conname::text as name,
       quote_ident(k.conname) as sql_name,
       n.nspname::text as schema,
       t.relname::text as "table",
       quote_ident(n.nspname) || '.' || quote_ident(t.relname) as sql_table,
       case k.contype when 'f' then 'foreign key' when 'c' then 'check' when 'n' then 'not null'
                      else 'constraint' end as kind
  from pg_constraint k
  join pg_class t on t.oid = k.conrelid
  join pg_namespace n on n.oid = t.relnamespace
 where not k.convalidated
   and k.conenforced  --: postgresql>=180000
   and k.conparentid = 0
   and n.nspname not in ('pg_catalog', 'information_schema')
 order by n.nspname, t.relname, k.conname
 limit $1::int8
