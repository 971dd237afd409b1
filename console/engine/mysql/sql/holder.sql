-- Purpose: the connection that holds dbdeck's lock for one run
-- Privilege: none
-- Cost: constant
select is_used_lock(%s) as id
