-- Purpose: the entries of one setting for a role, a database, both and everyone; oid 0 is "any"
-- Privilege: none
-- Cost: one pass over pg_db_role_setting, probes of pg_roles and pg_database, AccessShareLock on them
with asked as (
     select (select r.oid from pg_roles r where r.rolname = $2::text) as role,
            (select d.oid from pg_database d where d.datname = $3::text) as database)
select a.role::int8 as role,
       a.database::int8 as database,
       e.setrole::int8 as for_role,
       e.setdatabase::int8 as for_database,
       substr(c.entry, strpos(c.entry, '=') + 1) as value
  from asked a
  left join (pg_db_role_setting e
       cross join lateral unnest(e.setconfig) as c(entry))
    on lower(split_part(c.entry, '=', 1)) = lower($1::text)
   and e.setrole in (0, coalesce(a.role, 0))
   and e.setdatabase in (0, coalesce(a.database, 0))
