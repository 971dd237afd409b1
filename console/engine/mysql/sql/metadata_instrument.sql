-- Purpose: whether the server records metadata locks, and all of them
-- Privilege: SELECT on performance_schema
-- Cost: constant; no row where performance_schema is off
select i.enabled = 'YES' and l.variable_value = 0 as complete
  from performance_schema.setup_instruments i
  join performance_schema.global_status l
    on l.variable_name = 'Performance_schema_metadata_lock_lost'
 where i.name = 'wait/lock/metadata/sql/mdl'
