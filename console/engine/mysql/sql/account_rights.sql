-- Purpose: the rights on everything that have no column of their own
-- Privilege: SELECT on mysql.global_grants
-- Cost: one pass over a small table
select g.user as name,
       g.host as host,
       g.priv as privilege
  from mysql.global_grants g
