-- Purpose: give dbdeck's lock for one run back
-- Privilege: none
-- Cost: constant
select release_lock(%s) as released
