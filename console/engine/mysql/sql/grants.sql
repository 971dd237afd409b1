-- Purpose: what the login may do, for `doctor`
-- Privilege: none
-- Cost: constant
show grants
