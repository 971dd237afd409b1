-- Purpose: what a role may not do to settings: of the server where role and database are empty, else of a
--   role, a database, or a role in a database; '' is the session's own role. Nothing is said of a role that
--   becomes another one when it logs in (ALTER ROLE … SET role); null is unknown
-- Privilege: none
-- Cost: a few catalog looks a setting
select w.setting, w.role, w.database, pg_get_userbyid(d.datdba)::text as owner,
       me.rolsuper as me_super, me.rolcreaterole as me_createrole, r.rolsuper as target_super,
       r.oid = me.oid as own,
       true as admin,  --: postgresql<160000
       exists (select from pg_auth_members m  --: postgresql>=160000
                where m.roleid = r.oid and m.member = me.oid and m.admin_option) as admin,  --: postgresql>=160000
       pg_has_role(me.oid, d.datdba, 'usage') as owns,
       has_function_privilege(me.oid, 'pg_reload_conf()', 'execute') as may_reload,
       me.rolsuper as may_alter,  --: postgresql<150000
       me.rolsuper or s.context <> 'superuser' as may_set  --: postgresql<150000
       has_parameter_privilege(me.oid, w.setting, 'alter system') as may_alter,  --: postgresql>=150000
       s.context <> 'superuser' or has_parameter_privilege(me.oid, w.setting, 'set') as may_set  --: postgresql>=150000
  from unnest($1::text[], $2::text[], $3::text[]) w(setting, role, database)
  join pg_roles me on me.rolname = coalesce(nullif($4::text, ''), current_user)
  left join pg_roles r on r.rolname = w.role
  left join pg_database d on d.datname = w.database
  left join pg_settings s on s.name = w.setting
 where not exists (select from pg_db_role_setting o
                    where $4::text <> '' and o.setrole in (me.oid, 0)
                      and exists (select from unnest(o.setconfig) c(given) where c.given like 'role=%'))
