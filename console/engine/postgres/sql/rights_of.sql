-- Purpose: which roles a role is a member of by grants of its own
-- Privilege: none
-- Cost: one pass over pg_auth_members
select g.rolname::text as privilege
  from pg_catalog.pg_auth_members a
  join pg_catalog.pg_roles g on g.oid = a.roleid
  join pg_catalog.pg_roles m on m.oid = a.member
 where m.rolname = $1::text
