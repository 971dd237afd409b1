-- Purpose: what ALTER DATABASE and ALTER ROLE … IN DATABASE have fixed for the connected database; for $1
--   false what ALTER ROLE has fixed for every database
-- Privilege: none
-- Cost: reads pg_db_role_setting whole; AccessShareLock on it
select 'setting' as kind,
       concat_ws(' ', case when s.setrole <> 0 then 'role ' || quote_ident(r.rolname) end,
                 case when s.setdatabase <> 0 then 'database ' || quote_ident(d.datname) end)
         || ': ' || split_part(o.option, '=', 1) as name,
       array[substr(o.option, strpos(o.option, '=') + 1)] as definition
  from pg_db_role_setting s
 cross join unnest(s.setconfig) o(option)
  left join pg_database d on d.oid = s.setdatabase
  left join pg_roles r on r.oid = s.setrole
 where case when $1::bool then d.datname = current_database() else s.setdatabase = 0 end
   and (s.setrole = 0 or r.oid is not null)
