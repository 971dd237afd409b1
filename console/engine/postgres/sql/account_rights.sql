-- Purpose: what of the accounts this login may read: asked first, because a statement that is refused
--   stands in the server's log each time
-- Privilege: none
-- Cost: constant
select has_column_privilege('pg_catalog.pg_authid', 'rolname', 'select')
       and has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'select') as kinds,
       has_column_privilege('pg_catalog.pg_subscription', 'subconninfo', 'select') as subscriptions
