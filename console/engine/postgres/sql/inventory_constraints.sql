-- Purpose: constraints of tables and domains by their type, and whether each was checked; NOT NULL is part of
--   its column, and what the parts of a partitioned foreign key are called is the server's affair
-- Privilege: none
-- Cost: one definition written out a constraint; AccessShareLock on catalogs only
select case o.contype when 'p' then 'primary key' when 'f' then 'foreign key' when 'u' then 'unique constraint'
                      when 'c' then 'check constraint' else 'exclusion constraint' end as kind,
       quote_ident(n.nspname) || '.' || quote_ident(coalesce(c.relname, t.typname)) || '.'
         || quote_ident(o.conname) as name,
       array[pg_get_constraintdef(o.oid), case when o.convalidated then 'validated' else 'not validated' end]
         as definition
  from pg_constraint o
  left join pg_class c on c.oid = o.conrelid and o.conrelid <> 0
  left join pg_type t on t.oid = o.contypid and o.contypid <> 0
  join pg_namespace n on n.oid = coalesce(c.relnamespace, t.typnamespace)
 where o.contype in ('p', 'f', 'u', 'c', 'x')
   and (o.contype <> 'f' or o.conparentid = 0)
   and n.nspname !~ '^pg_'
   and n.nspname <> 'information_schema'
   and coalesce(c.relpersistence, 'p') <> 't'
   and not exists (select from pg_depend e
                    where e.deptype = 'e'
                      and (e.classid = 1259 and e.objid = o.conrelid
                           or e.classid = 1247 and e.objid = o.contypid
                           or e.classid = 2606 and e.objid = o.oid))
