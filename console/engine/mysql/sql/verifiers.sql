-- Purpose: the verifiers themselves, to try guesses offline; read only when somebody asks for that
-- Privilege: SELECT on mysql.user (MySQL), on mysql.global_priv (MariaDB)
-- Cost: one pass over a small table
select u.user as name,
       u.host as host,
       u.plugin as plugin,  --: mysql
       u.authentication_string as verifier,  --: mysql
       json_unquote(json_extract(u.user_attributes, '$.additional_password')) as older  --: mysql>=80014
       null as older  --: mysql<80014
  from mysql.user u  --: mysql
       u.priv as priv  --: mariadb
  from mysql.global_priv u  --: mariadb
