-- Purpose: whether the owner of the ledger is locked, as it was made. Cost: one row of the grants.
-- Privilege: SELECT on mysql.*.
show create user dbdeck_audit_owner@localhost
