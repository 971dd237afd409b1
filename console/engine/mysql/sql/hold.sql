-- Purpose: take dbdeck's lock for one run on this connection; it ends with the connection
-- Privilege: none
-- Cost: constant; does not wait
select get_lock(%s, 0) as held
