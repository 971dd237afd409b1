-- Purpose: which server answered (compared before an effect), and how it is reached
-- Privilege: none
-- Cost: constant
select current_setting('server_version_num')::int4 as version_num,
       split_part(current_setting('server_version'), ' ', 1) as version,
       (select system_identifier::text from pg_control_system()) as system_id,
       pg_postmaster_start_time() as started_at,
       not pg_is_in_recovery() as is_primary,
       session_user::text as session_user,
       current_database()::text as database,
       clock_timestamp() as now,
       (select sslversion from pg_stat_get_activity(pg_backend_pid())) as tls
