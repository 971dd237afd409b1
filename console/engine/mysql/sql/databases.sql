-- Purpose: the databases that hold users' data, and how their tables are made unless told otherwise
-- Privilege: on each any right, or SHOW DATABASES; others are not shown
-- Cost: one pass over the data dictionary (MySQL) or the data folder (MariaDB)
select s.schema_name as name,
       s.default_character_set_name as charset,
       s.default_collation_name as collation
  from information_schema.schemata s
 where s.schema_name not in ('mysql', 'sys', 'performance_schema', 'information_schema')
 order by s.schema_name
