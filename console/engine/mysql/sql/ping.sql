-- Purpose: one round trip
-- Privilege: none
-- Cost: constant
select 1 as one
