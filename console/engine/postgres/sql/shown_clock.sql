-- Purpose: the server's clock, as a look begins
-- Privilege: none
-- Cost: constant
select clock_timestamp() as now
