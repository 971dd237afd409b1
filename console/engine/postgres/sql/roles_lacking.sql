-- Purpose: which of some roles somebody has not the rights of, by whatever way
-- Privilege: none
-- Cost: two catalog looks
select r.rolname::text as role
  from pg_catalog.pg_roles r, pg_catalog.pg_roles me
 where r.rolname = any($1::text[]) and me.rolname = $2::text
   and not pg_catalog.pg_has_role(me.oid, r.oid, 'USAGE')
