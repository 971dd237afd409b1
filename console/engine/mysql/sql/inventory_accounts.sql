-- Purpose: the accounts and roles of the server with what holds for them; no password and no hash of one
-- Privilege: SELECT on mysql.user (MySQL), on mysql.global_priv (MariaDB)
-- Cost: one pass over a small table
select u.user as name,
       u.host as host,
       u.plugin as plugin,  --: mysql
       coalesce(nullif(u.plugin, ''), 'mysql_native_password') as plugin,  --: mariadb
       coalesce(length(u.authentication_string), 0) > 0 as has_password,
       u.ssl_type as tls,
       u.max_questions as questions,
       u.max_updates as updates,
       u.max_connections as connections,
       u.max_user_connections as user_connections,
       u.account_locked as locked,  --: mysql
       exists (select 1 from mysql.role_edges r where r.from_user = u.user and r.from_host = u.host) as is_role  --: mysql
  from mysql.user u  --: mysql
       coalesce(json_value(g.priv, '$.account_locked'), 0) as locked,  --: mariadb
       u.is_role = 'Y' as is_role  --: mariadb
  from mysql.user u  --: mariadb
  join mysql.global_priv g on g.user = u.user and g.host = u.host  --: mariadb
