-- Purpose: whether hidden settings and the configuration files would be shown to this login, and what the
--   operator's role may do to the server's settings; null where there is no such role
-- Privilege: none
-- Cost: constant
select pg_has_role(current_user, 'pg_read_all_settings', 'usage') as sees_all,
       current_setting('allow_alter_system', true) as alter_system,
       has_function_privilege('pg_show_all_file_settings()', 'execute') as sees_files,
       (select has_parameter_privilege(r.oid, $2::text, 'alter system')  --: postgresql>=150000
       (select case when $2::text is not null then r.rolsuper end  --: postgresql<150000
          from pg_roles r where r.rolname = $1::text) as may_alter,
       (select has_function_privilege(r.oid, 'pg_reload_conf()', 'execute')
          from pg_roles r where r.rolname = $1::text) as may_reload
