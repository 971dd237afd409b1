-- Purpose: the accounts of one name, and MariaDB's PUBLIC, whose grants everybody has
-- Privilege: SELECT on mysql.user
-- Cost: one pass over the accounts
select u.user as name, u.host as host
  from mysql.user u
 where u.user in (%s, 'PUBLIC')
