-- Purpose: which of these tables the session's own role may not maintain, or does not own
-- Privilege: none
-- Cost: a catalog look a table; no table is locked
select n.nspname::text as schema, c.relname::text as name, r.rolname::text as owner, w.owning = 'yes' as own,
       r.rolsuper as powerful
  from unnest($1::text[], $2::text[]) w(number, owning)
  join pg_class c on c.oid = w.number::oid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_roles r on r.oid = c.relowner
 where not pg_has_role(c.relowner, 'USAGE')
   and not (w.owning = 'no' and has_table_privilege(c.oid, 'MAINTAIN'))  --: postgresql>=170000
   and (w.owning = 'yes' or c.relisshared
        or not exists (select from pg_database d
                        where d.datname = current_database() and pg_has_role(d.datdba, 'USAGE')))
 order by 1, 2
