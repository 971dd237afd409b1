-- Purpose: the check constraints of a database
-- Privilege: on each table any right; others are not shown
-- Cost: one pass over the data dictionary (MySQL); it opens each table of the database once (MariaDB)
select t.table_name as table_name,  --: mysql
       c.constraint_name as name,  --: mysql
       c.check_clause as clause  --: mysql
  from information_schema.check_constraints c  --: mysql
  join information_schema.table_constraints t on t.constraint_schema = c.constraint_schema  --: mysql
   and t.constraint_name = c.constraint_name and t.constraint_type = 'CHECK'  --: mysql
select c.table_name as table_name,  --: mariadb
       c.constraint_name as name,  --: mariadb
       c.check_clause as clause  --: mariadb
  from information_schema.check_constraints c  --: mariadb
 where c.constraint_schema = %s
