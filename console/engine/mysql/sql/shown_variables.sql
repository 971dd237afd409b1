-- Purpose: every global variable with its value, and who set it last where the server tells
-- Privilege: SELECT on performance_schema (MySQL), none (MariaDB)
-- Cost: one pass over the variables, constant
select g.variable_name as name,  --: mysql
       g.variable_value as value,  --: mysql
       i.variable_source as source,  --: mysql
       unix_timestamp(i.set_time) as set_at,  --: mysql
       i.set_user as set_user,  --: mysql
       i.set_host as set_host  --: mysql
  from performance_schema.global_variables g  --: mysql
  left join performance_schema.variables_info i on i.variable_name = g.variable_name  --: mysql
select lower(s.variable_name) as name,  --: mariadb
       s.global_value as value,  --: mariadb
       s.global_value_origin as source,  --: mariadb
       null as set_at, null as set_user, null as set_host  --: mariadb
  from information_schema.system_variables s  --: mariadb
 where s.variable_scope <> 'SESSION ONLY'  --: mariadb
