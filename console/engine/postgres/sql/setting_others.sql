-- Purpose: the entries of one setting that cover, for some sessions, the one of the asked scope; `wins`
--   is false for those that only would if that one were taken away
-- Privilege: none
-- Cost: one pass over pg_db_role_setting, probes of pg_roles and pg_database, AccessShareLock on them
with asked as (
     select (select r.oid from pg_roles r where r.rolname = $2::text) as role,
            (select d.oid from pg_database d where d.datname = $3::text) as database)
select r.rolname as role,
       d.datname as database,
       substr(c.entry, strpos(c.entry, '=') + 1) as value,
       a.role is null or e.setrole = a.role as wins,
       count(*) over () as total
  from asked a
 cross join pg_db_role_setting e
 cross join lateral unnest(e.setconfig) as c(entry)
  left join pg_roles r on r.oid = e.setrole
  left join pg_database d on d.oid = e.setdatabase
 where lower(split_part(c.entry, '=', 1)) = lower($1::text)
   and case
       when a.role is not null and a.database is not null then false
       when a.role is not null then e.setrole in (0, a.role) and e.setdatabase <> 0
       when a.database is not null then e.setrole <> 0 and e.setdatabase in (0, a.database)
       else true end
 order by wins desc, r.rolname nulls first, d.datname nulls first
 limit 12
