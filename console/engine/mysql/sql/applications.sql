-- Purpose: program names of MariaDB's sessions; empty where performance_schema is off
-- Privilege: SELECT on performance_schema
-- Cost: one pass over the connection attributes
select a.processlist_id as id,
       a.attr_value as application
  from performance_schema.session_connect_attrs a
 where a.attr_name = 'program_name'
