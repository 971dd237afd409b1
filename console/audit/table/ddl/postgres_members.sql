-- Purpose: who is a member of the owner, or (16 and later) may make itself one again: who makes a role there is given
-- ADMIN OPTION on it by the first superuser, and only a superuser takes that back. Cost: catalogs only.
-- Privilege: none beyond a login.
select 'member' as kind, member as name,
       case when bool_or(acts) then 'is a member of the owner dbdeck_audit_owner, and may change everything'
            else 'may make itself a member of the owner dbdeck_audit_owner (ADMIN OPTION)' end as text,
       string_agg(format('REVOKE dbdeck_audit_owner FROM %I%s;', member, by), ' ' order by own desc, by) as wrong
from (select m.rolname::text as member, g.grantor = g.member as own,
             coalesce((to_jsonb(g) ->> 'set_option')::bool or (to_jsonb(g) ->> 'inherit_option')::bool, true) as acts,
             case when current_setting('server_version_num')::int >= 160000
                  then format(' GRANTED BY %I', pg_get_userbyid(g.grantor)) else '' end as by
      from pg_auth_members g
      join pg_roles o on o.oid = g.roleid
      join pg_roles m on m.oid = g.member
      where o.rolname = 'dbdeck_audit_owner') g
group by member
