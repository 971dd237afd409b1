-- Purpose: which roles somebody is in by a grant of its own, what the grant allows and who made it; `passed_on`
--   are those who have the role from that member
-- Privilege: none
-- Cost: one pass over pg_auth_members
select g.rolname::text as role,
       m.rolname::text as member,
       a.admin_option as admin,
       a.inherit_option as inherits,  --: postgresql>=160000
       null::bool as inherits,  --: postgresql<160000
       a.set_option as becomes,  --: postgresql>=160000
       null::bool as becomes,  --: postgresql<160000
       b.rolname::text as grantor,  --: postgresql>=160000
       null::text as grantor,  --: postgresql<160000
       array(select d.rolname::text from pg_catalog.pg_auth_members p
               join pg_catalog.pg_roles d on d.oid = p.member
              where p.roleid = a.roleid and p.grantor = a.member order by 1) as passed_on
  from pg_catalog.pg_auth_members a
  join pg_catalog.pg_roles g on g.oid = a.roleid
  join pg_catalog.pg_roles m on m.oid = a.member
  left join pg_catalog.pg_roles b on b.oid = a.grantor
 where m.rolname = $1::text
 order by g.rolname, b.rolname
