-- Purpose: may a role set the password of another one; '' is the session's own role
-- Privilege: none
-- Cost: two catalog looks
select r.rolname::text as name, r.rolsuper as target_super, me.rolsuper as me_super,
       me.rolcreaterole as me_createrole, r.oid = me.oid as own,
       true as admin  --: postgresql<160000
       exists (select from pg_auth_members m  --: postgresql>=160000
                where m.roleid = r.oid and m.member = me.oid and m.admin_option) as admin  --: postgresql>=160000
  from pg_roles r, pg_roles me
 where r.rolname = any($1::text[]) and me.rolname = coalesce(nullif($2::text, ''), current_user)
