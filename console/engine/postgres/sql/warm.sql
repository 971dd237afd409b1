-- Purpose: bring every role into this connection's own cache: whether a session may be ended is decided
--   by roles, and while somebody holds pg_authid exclusively only the cache can still tell
-- Privilege: none
-- Cost: one pass over pg_roles and one look-up a role, once a connection; at most 10,000 roles
select count(pg_get_userbyid(r.oid)) as roles,
       bool_or(pg_has_role(r.oid, 'usage')) as member
  from (select oid from pg_roles limit 10000) r
