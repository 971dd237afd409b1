-- Purpose: who is in which role and can use its rights: by inheriting, by SET ROLE, or by granting
--   itself either, which ADMIN allows
-- Privilege: none
-- Cost: one pass over pg_auth_members
select m.member::int8 as member,
       m.roleid::int8 as role
  from pg_auth_members m
 where m.inherit_option or m.set_option or m.admin_option  --: postgresql>=160000
