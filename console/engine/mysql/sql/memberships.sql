-- Purpose: which roles somebody was granted, each row of a user for itself
-- Privilege: SELECT on mysql.role_edges (MySQL), on mysql.roles_mapping (MariaDB)
-- Cost: one pass over a small table
select r.from_user as role,  --: mysql
       r.from_host as role_host,  --: mysql
       r.to_user as member,  --: mysql
       r.to_host as host,  --: mysql
       r.with_admin_option = 'Y' as admin  --: mysql
  from mysql.role_edges r  --: mysql
 where r.to_user = %s  --: mysql
select r.role as role,  --: mariadb
       null as role_host,  --: mariadb
       r.user as member,  --: mariadb
       r.host as host,  --: mariadb
       r.admin_option = 'Y' as admin  --: mariadb
  from mysql.roles_mapping r  --: mariadb
 where r.user = %s  --: mariadb
 order by 1, 2, 4
