-- Purpose: what another login may do
-- Privilege: SELECT on mysql.*
-- Cost: constant
show grants for %s@%s
