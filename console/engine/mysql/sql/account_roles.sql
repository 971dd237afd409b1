-- Purpose: who has which role
-- Privilege: SELECT on mysql.role_edges (MySQL), on mysql.roles_mapping (MariaDB)
-- Cost: one pass over a small table
select r.to_user as name,  --: mysql
       r.to_host as host,  --: mysql
       r.from_user as role,  --: mysql
       r.from_host as role_host  --: mysql
  from mysql.role_edges r  --: mysql
select r.user as name,  --: mariadb
       r.host as host,  --: mariadb
       r.role as role,  --: mariadb
       '' as role_host  --: mariadb
  from mysql.roles_mapping r  --: mariadb
