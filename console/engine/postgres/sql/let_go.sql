-- Purpose: give an advisory lock of this session back
-- Privilege: none
-- Cost: constant
select pg_advisory_unlock($1::int8) as released
