-- Purpose: whether the server counts reads by index, and all of them
-- Privilege: SELECT on performance_schema
-- Cost: constant; no row where performance_schema is off
select i.enabled = 'YES' as counted,
       (select sum(g.variable_value)
          from performance_schema.global_status g
         where g.variable_name in
               ('Performance_schema_index_stat_lost', 'Performance_schema_table_instances_lost')) as lost
  from performance_schema.setup_instruments i
 where i.name = 'wait/io/table/sql/handler'
