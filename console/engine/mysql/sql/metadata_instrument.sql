-- Purpose: whether the server records metadata locks at all
-- Privilege: SELECT on performance_schema
-- Cost: constant; no row where performance_schema is off
select i.enabled as enabled
  from performance_schema.setup_instruments i
 where i.name = 'wait/lock/metadata/sql/mdl'
