-- Purpose: which server answered (compared before an effect), and how it is reached
-- Privilege: none
-- Cost: two status variables, constant
-- The server computes Uptime as the statement's time minus its start: the difference is exact
-- and does not jitter (12,000 calls, one value).
select version() as version,
       @@server_uuid as system_id,  --: mysql
       coalesce((select global_value from information_schema.system_variables  --: mariadb
                  where variable_name = 'SERVER_UID' and global_value <> ''),  --: mariadb
                concat(@@hostname, ':', @@port, ':', @@server_id)) as system_id,  --: mariadb
       unix_timestamp() - (select variable_value from performance_schema.global_status  --: mysql
       unix_timestamp() - (select variable_value from information_schema.global_status  --: mariadb
                            where variable_name = 'Uptime') as started,
       cast(@@global.read_only as char) as read_only,
       cast(@@global.super_read_only as char) as super_read_only,  --: mysql
       '0' as super_read_only,  --: mariadb
       (select variable_value from performance_schema.session_status  --: mysql
       (select variable_value from information_schema.session_status  --: mariadb
         where variable_name = 'Ssl_version') as tls,
       current_user() as account,
       coalesce(database(), '') as db
