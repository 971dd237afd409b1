-- Purpose: may a role end or cancel sessions of these roles; '' is the session's own role
-- Privilege: none
-- Cost: some catalog looks a role
select r.rolname::text as name, r.rolsuper as powerful,
       me.rolsuper or (not r.rolsuper and (pg_has_role(me.oid, r.oid, 'usage')
                                           or pg_has_role(me.oid, 'pg_signal_backend', 'usage'))) as may
  from pg_roles r, pg_roles me
 where r.rolname = any($1::text[]) and me.rolname = coalesce(nullif($2::text, ''), current_user)
 order by 1
