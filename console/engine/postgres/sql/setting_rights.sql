-- Purpose: whether hidden settings and the configuration files would be shown to this login
-- Privilege: none
-- Cost: constant
select pg_has_role(current_user, 'pg_read_all_settings', 'usage') as sees_all,
       current_setting('allow_alter_system', true) as alter_system,
       has_function_privilege('pg_show_all_file_settings()', 'execute') as sees_files
