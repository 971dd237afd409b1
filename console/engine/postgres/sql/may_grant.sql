-- Purpose: which of some roles somebody may not make others a member of; '' where it may make no role at all
-- Privilege: none
-- Cost: two catalog looks
select r.rolname::text as role
  from pg_catalog.pg_roles r, pg_catalog.pg_roles me
 where r.rolname = any($1::text[]) and me.rolname = $2::text and not me.rolsuper
   and not me.rolcreaterole  --: postgresql<160000
   and not exists (select from pg_catalog.pg_auth_members m
                    where m.roleid = r.oid and m.admin_option
                      and pg_catalog.pg_has_role(me.oid, m.member, 'MEMBER'))
union all
select '' from pg_catalog.pg_roles me
 where me.rolname = $2::text and not me.rolsuper and not me.rolcreaterole
