-- Purpose: which of these tables a role may not name, maintain, own or add an index to; '' is the session's own
--   role. Nothing is said of a role that becomes another one when it logs in (ALTER ROLE … SET role)
-- Privilege: none
-- Cost: a catalog look a table; no table is locked
select n.nspname::text as schema, c.relname::text as name, r.rolname::text as owner, w.owning <> 'no' as own,
       r.rolsuper as powerful, k.lacks
  from unnest($1::text[], $2::text[]) w(number, owning)
  join pg_roles me on me.rolname = coalesce(nullif($3::text, ''), current_user)
  join pg_class c on c.oid = w.number::oid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_roles r on r.oid = c.relowner
 cross join lateral (values
       ('usage', not has_schema_privilege(me.oid, n.oid, 'USAGE')),
       ('create', w.owning = 'create' and not has_schema_privilege(me.oid, n.oid, 'CREATE')),
       ('table', not pg_has_role(me.oid, c.relowner, 'USAGE')
                 and not (w.owning = 'no' and has_table_privilege(me.oid, c.oid, 'MAINTAIN'))  --: postgresql>=170000
                 and (w.owning <> 'no' or c.relisshared
                      or not exists (select from pg_database d
                                      where d.datname = current_database()
                                        and pg_has_role(me.oid, d.datdba, 'USAGE'))))) k(lacks, missing)
 where k.missing
   and not exists (select from pg_db_role_setting s
                    where $3::text <> '' and s.setrole in (me.oid, 0)
                      and exists (select from unnest(s.setconfig) o(given) where o.given like 'role=%'))
 order by 1, 2, 6
