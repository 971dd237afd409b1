-- Purpose: one global variable as the server describes it; no row for one that only sessions have
-- Privilege: none
-- Cost: one pass over the variables, constant
select g.variable_name as name,  --: mysql
       g.variable_value as value,  --: mysql
       @@global.persisted_globals_load as loads,  --: mysql
       i.min_value as smallest,  --: mysql
       i.max_value as largest,  --: mysql
       m.data_type as kind,  --: mysql>=90000
       m.documentation as summary  --: mysql>=90000
       null as kind, '' as summary  --: mysql<90000
  from performance_schema.global_variables g  --: mysql
  left join performance_schema.variables_info i on i.variable_name = g.variable_name  --: mysql
  left join performance_schema.variables_metadata m on m.variable_name = g.variable_name  --: mysql>=90000
 where g.variable_name = %s  --: mysql
select s.variable_name as name,  --: mariadb
       s.global_value as value,  --: mariadb
       s.variable_type as kind,  --: mariadb
       s.numeric_min_value as smallest,  --: mariadb
       s.numeric_max_value as largest,  --: mariadb
       s.enum_value_list as choices,  --: mariadb
       s.variable_comment as summary,  --: mariadb
       s.read_only as read_only  --: mariadb
  from information_schema.system_variables s  --: mariadb
 where s.variable_name = %s  --: mariadb
   and s.variable_scope <> 'SESSION ONLY'  --: mariadb
