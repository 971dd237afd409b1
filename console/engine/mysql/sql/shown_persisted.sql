-- Purpose: what MySQL's mysqld-auto.cnf has: the next start takes it
-- Privilege: SELECT on performance_schema
-- Cost: one pass over the persisted variables
select p.variable_name as name,
       p.variable_value as value
  from performance_schema.persisted_variables p
