-- Purpose: is the ledger made of what dbdeck made, and who else may change it. Cost: catalogs only.
-- Privilege: none beyond a login.
select 'function' as kind,
       p.proname || case when count(*) over (partition by p.proname) = 1 then ''
                         else '(' || pg_get_function_identity_arguments(p.oid) || ')' end as name,
       p.prosrc as text,
       case when p.proconfig is distinct from array['search_path=pg_catalog, pg_temp']
            then 'its search_path is not fixed' else '' end as wrong
from pg_proc p where p.pronamespace = 'dbdeck_audit'::regnamespace
union all
-- What ALTER FUNCTION changes without touching the text: a strict one gives null for a null, and runs nothing.
select 'traits', p.proname::text,
       concat_ws(' ', l.lanname, case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
                 case when p.prosecdef then 'definer' else 'invoker' end,
                 case when p.proisstrict then 'strict' end, case when p.proleakproof then 'leakproof' end), ''
from pg_proc p join pg_language l on l.oid = p.prolang where p.pronamespace = 'dbdeck_audit'::regnamespace
union all
select 'trigger', c.relname || '.' || t.tgname, t.tgfoid::regproc::text || ' ' || t.tgtype,
       case when t.tgenabled = 'D' then 'it is disabled'
            when t.tgenabled <> 'A' then 'session_replication_role silences it'
            when t.tgqual is not null or t.tgattr::text <> '' then 'it lets some changes pass' else '' end
from pg_trigger t join pg_class c on c.oid = t.tgrelid
where c.relnamespace = 'dbdeck_audit'::regnamespace and not t.tgisinternal
union all
select 'index', i.relname::text, pg_get_expr(x.indpred, x.indrelid),
       case when x.indisvalid and x.indisunique then '' else 'it is not a valid unique index' end
from pg_index x join pg_class i on i.oid = x.indexrelid
where x.indrelid = 'dbdeck_audit.entry'::regclass and x.indisunique
union all
select 'rule', r.rulename::text, '', 'a rule may swallow rows'
from pg_rewrite r join pg_class c on c.oid = r.ev_class
where c.relnamespace = 'dbdeck_audit'::regnamespace and c.relkind in ('r', 'p')
union all
select 'policy', p.polname::text, '', 'row security may hide rows'
from pg_policy p where p.polrelid = 'dbdeck_audit.entry'::regclass
union all
select 'policy', c.relname::text, '', 'row security is on and may hide rows'
from pg_class c where c.relnamespace = 'dbdeck_audit'::regnamespace and c.relrowsecurity
union all
select 'right', coalesce(g.rolname, 'PUBLIC')::text,
       a.privilege_type || ' (' || f.attname || ') on dbdeck_audit.' || c.relname, 'foreign'
from pg_class c
join pg_attribute f on f.attrelid = c.oid
cross join lateral aclexplode(f.attacl) a
left join pg_roles g on g.oid = a.grantee
where c.relnamespace = 'dbdeck_audit'::regnamespace and a.grantee <> c.relowner and a.privilege_type <> 'SELECT'
union all
select 'right', coalesce(g.rolname, 'PUBLIC')::text, 'CREATE on schema dbdeck_audit', 'foreign'
from pg_namespace n
cross join lateral aclexplode(n.nspacl) a
left join pg_roles g on g.oid = a.grantee
where n.nspname = 'dbdeck_audit' and a.grantee <> n.nspowner and a.privilege_type = 'CREATE'
union all
select 'right', coalesce(g.rolname, 'PUBLIC')::text, a.privilege_type || ' on dbdeck_audit.' || c.relname, 'foreign'
from pg_class c
cross join lateral aclexplode(c.relacl) a
left join pg_roles g on g.oid = a.grantee
where c.relnamespace = 'dbdeck_audit'::regnamespace and a.grantee <> c.relowner and a.privilege_type <> 'SELECT'
union all
select 'right', 'PUBLIC', 'EXECUTE on dbdeck_audit.' || p.proname, 'foreign'
from pg_proc p
where p.pronamespace = 'dbdeck_audit'::regnamespace
  and (p.proacl is null or exists (select from aclexplode(p.proacl) a where a.grantee = 0))
union all
select 'superuser', r.rolname::text, '', 'foreign'
from pg_roles r
where r.rolsuper and exists (
    select from pg_proc p cross join lateral aclexplode(p.proacl) a
    where p.pronamespace = 'dbdeck_audit'::regnamespace and a.grantee = r.oid and a.grantee <> p.proowner)
union all
select 'table', c.relname::text, '', case when c.relpersistence = 'p' then '' else 'a crash of the server empties it' end
from pg_class c where c.relnamespace = 'dbdeck_audit'::regnamespace and c.relkind = 'r'
union all
select 'owner', o.rolname::text, '', case when o.rolcanlogin then 'somebody can log in as it' else '' end
from pg_roles o where o.rolname = 'dbdeck_audit_owner'
union all
select 'owner', o.rolname::text, f.what, 'foreign'
from (select n.nspowner as owner, 'schema dbdeck_audit' as what
      from pg_namespace n where n.nspname = 'dbdeck_audit'
      union all
      select c.relowner, 'table dbdeck_audit.' || c.relname
      from pg_class c where c.relnamespace = 'dbdeck_audit'::regnamespace and c.relkind = 'r'
      union all
      select p.proowner, 'function dbdeck_audit.' || p.proname
      from pg_proc p where p.pronamespace = 'dbdeck_audit'::regnamespace) f
join pg_roles o on o.oid = f.owner
where o.rolname <> 'dbdeck_audit_owner'
